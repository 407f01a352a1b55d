"""Listeners, plain connections and sessions, taken out of one node and put into the next, which is another process.

    state      what is handed over, as values; and as bytes
    freezing   the node that goes: says bye to TLS, stands still, takes everything out
    restoring  the node that comes: puts everything in, before its first pass
    belongings what goes over with a session: of a node that stands alone, of a member of a cluster

How it gets from one process to the other is `admin/upgrade`. TLS connections can't be handed over: what OpenSSL knows
of one can't be taken out of a process.
"""
