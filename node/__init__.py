"""Phones: from a socket to the store and back.

wire        the protocol: schema, frames, errors. Imports nothing of ours
hub         connections: one epoll set, one Trio task
accounts    numbers, PINs, devices, logins
mail        messages, from a sender's number to the recipient's ack
session     what is held for one connection
arrival     frames before login: hello, pin, register, login
talk        frames after login: send, skip, ack, read, confirm
outlet      what mail has to say to phones, as frames
service     the node as the hub sees it: one pass after another
settings    limits of sessions
histogram   counts by powers of two
posting     signed JSON to an address of the operator's
retry       how long to pause before something is tried again
clock       the time that mail counts by
seen        sessions whose writes a trace or a tap sees
tapping     what sampled sessions say and are told, for a tee
shadow      sessions without sockets: what phones said to another node, said again here
tables      the group `users`: all that is kept of a user
takeover    directories of before that group
founding    what makes a directory a member's: init, join
running     a node from its directory to its graceful end
alone       one that stands alone
member      one that is a member of a cluster: memberservice instead of service, frames by routed
partaking   its part in the cluster: passes, partitions that come and go, ways to others
routing     between the edge that has a phone's socket and its primary
assembling  what serves phones, put together
serving     until it is to stop
handing     plain connections and sessions, out of one node and into the next
"""
