"""The client: what an app developer imports, and `waystation chat`. Of ours it imports only `node.wire`.

client       the public API: `Client.open(...)`, `send`, `messages`, `receipts`
errors       every error that the API raises, with its cause and its remedy
settings     every limit and every time, and how they relate
trust        how the server is known: authority, fingerprint, first use, plain

core         the state machine: frames and commands in; frames, writes and events out. No I/O, clock or chance
outgoing     what one recipient is sent: numbers, resending, receipts
incoming     what one sender's stream brought: received, acknowledged, read
intervals    sets of numbers kept as intervals
records      the rows that outlive a crash
events       what the core tells its driver
backoff      how long to wait before the next connection
returning    the same, and how phones of a node that died spread
moving       where it goes: home, or once where a node said

state        the rows in SQLite
identity     number, device key and stream
connection   one connection, and the loop that makes the next one
handover     stored messages on their way to the app
chat         the conversation in a terminal
"""
