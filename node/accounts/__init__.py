"""Who may use a number: PINs, registration of device keys, login.

Pure:
  numbers       phone number text → user, and whether a user can be a phone number
  keys          which bytes are a device key; verifying a signature
  numbercheck   the same, remembered, for the recipients of messages
  records       the account record and its merge
  pins          when a number may have a PIN, whether a guess is right
  registration  the machine: asking for a PIN, registering a device, finishing a wipe
  login         whether a signature is by the present device
  budgets       limits per address and per number, in memory
  standins      what guesses at numbers without a PIN are measured by, in memory
  settings      the options of [registration]
  outcomes      what is answered
  errors        what goes wrong besides

Driving them:
  tables        its tables in the store
  keeping       who makes changes durable: a group alone, or with copies
  service       what the node's handlers call
  registrar     PIN requests and registrations: the machine in a transaction, then what follows
  doorkeeper    logins: the account read, the signature judged
  wipes         answers that wait for the former device's mail to be expired
  refusals      what a phone is told when the store can't
  courier       the queue before the gateway
  gateway       what a gateway is; printing, webhook, command are those there are, gateways chooses; silent: of a shadow
  provision     accounts in bulk
"""
