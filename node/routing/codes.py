"""What goes over links between edge and primary: arrays that begin with one of these codes.

Further elements at the end of an array are a later release's, and ignored (see `reading`); so is what has another code.
A new value of an element that is there (an error code, a kind of receipt) makes no sense to who doesn't know it: it is
said only when everybody speaks the version that has it.

Three channels, each with its own links and its own bounded queues, so that none delays another:

`MESSAGES`, edge to primary. `ticket`: the edge's number of a session, for its life. `epoch, counter`: its login.

    (HELLO,)                                            the link is new: forget my sessions, and what I opened
    (OPEN, p)                                           I send what is for p from now on; nothing counts before it
    (SEND, ticket, epoch, counter, sender, recipient, stream, n, base, body or None)       None: skip
    (ACK, user, sender, stream, first, last)
    (READ, user, sender, stream, upto)
    (CONFIRM, user, recipient, stream, kind, first, last)

… and primary to edge. `round`: which announcement of the session; what is for an earlier one is stale.

    (HELLO,)                                            the link is new: I hold nothing of yours any more
    (UNSERVED, p)                                       nothing of yours for p is looked at before you open it again
    (SERVED, p)                                         open it again: I serve it, and forgot what you had sent
    (ACCEPTED, ticket, recipient, first, last, how)     (GAP, ticket, recipient, high)
    (BUSY, ticket, recipient, n, retry)                 (REFUSED, ticket, recipient, n, code, retry)
    (WELCOME, ticket, round, waiting)
    (DELIVER, ticket, round, sender, stream, n, flags, arrived, body)
    (RECEIPT, ticket, round, recipient, stream, kind, first, last)
    (CONFIRMED, ticket, round, sender, stream, kind, first, last)
    (END, ticket, round, code)                          close it
    (AGAIN, ticket, round)                              announce it again

`SESSIONS`, edge to primary, and back for ANSWER:

    (HELLO,)                                            what was said over this link may be lost
    (ONLINE, p, [[user, epoch, counter, stream, ticket, round], …])
    (OFFLINE, ticket)
    (ASK, number, what, user, …)                        (ANSWER, number, outcome, …)

`RECEIPTS`, between primaries, with a HELLO when a link is new: see `telling`, and `retelling` for whoever has notes.
"""

from typing import Final

MESSAGES: Final = "route.messages"
SESSIONS: Final = "route.sessions"
RECEIPTS: Final = "route.receipts"
CHANNELS: Final = (MESSAGES, SESSIONS, RECEIPTS)

HELLO: Final = 0
OPEN: Final = 1
SEND: Final = 2
ACK: Final = 3
READ: Final = 4
CONFIRM: Final = 5
UNSERVED: Final = 6
SERVED: Final = 7
ACCEPTED: Final = 8
GAP: Final = 9
BUSY: Final = 10
REFUSED: Final = 11
WELCOME: Final = 12
DELIVER: Final = 13
RECEIPT: Final = 14
CONFIRMED: Final = 15
END: Final = 16
AGAIN: Final = 17

ONLINE: Final = 1
OFFLINE: Final = 2
ASK: Final = 3
ANSWER: Final = 4

TELL: Final = 1
TOLD: Final = 2
READY: Final = 3
RETELL: Final = 4
RETOLD: Final = 5

# `what` of an ask.
PIN: Final = 1
REGISTER: Final = 2
LOGIN: Final = 3

# `outcome` of an answer.
PIN_SENT: Final = 1
REGISTERED: Final = 2
LOGGED_IN: Final = 3
REFUSAL: Final = 4
NOT_HERE: Final = 5

ANNOUNCED_MAX: Final = 256
"""Sessions in one ONLINE."""
READY_MAX: Final = 1_024
"""Partitions in one READY."""
