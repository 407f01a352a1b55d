"""The promises, judged from what is seen from outside: events, disks, and what clients were told.

base         what a checker is, and what it raises
positions    which write stands at which (incarnation, sequence); other checkers ask it
settled      nothing settled is lost; no ghosts; what is called durable is, at that moment
convergence  at rest, all copies are the same
torn         tables that change together agree wherever they are served
sums         transactions that move amounts: no lost update, none by half but by a split, sums
freshness    no position is given to two writes
claims       one primary per claim, durable before use; nothing settled under a refused epoch
cursors      what a node has written down that it knows of a peer, it has
answers      every send is answered in bound by the edge that took it
logins       nobody is put out by a session that logged in before
traffic      what routers say to one another is in proportion to what happens
bound        how long something has waited while nothing happened
serving      a partition of which a copy counts has a primary again in bound
requests     whoever asks for something of an account is answered in bound
told         what a sender's primary owes it is told in bound
buried       no process is called ended that runs
apart        primary and heir of a partition are on different servers once copies had time to go there
mail_*       the promises of mail
"""
