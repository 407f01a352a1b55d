"""The way in: an encrypted socket on which a key that the node knows may ask for commands, and nobody else anything.

settings      [admin], and the named limits
errors        what can be wrong with the folder, the keys or the address
folder        the files of the channel in the data directory, made at the first start
keyring       who may ask, and in which role
place         where the socket is
messages      what goes over it
audit         who asked for what, and what came of it
desk          one request: may he, what does he mean, do it, write it down
server        the socket's side of the node
client        the other side
roster        which nodes somebody operates, by short names
members       from one member of a cluster to all
"""
