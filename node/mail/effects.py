"""What the mail core asks for: plain tuples, first their code, in the order in which they must be carried out.

To a user's live session, wherever it is (dropped if there is none; the client repeats what it was not answered):

    (ACCEPTED, sender, recipient, stream, first, last, how)
    (GAP, sender, recipient, stream, high)
    (BUSY, sender, recipient, stream, n, retry_ms)
    (REFUSED, sender, recipient, stream, n, code, retry_ms)    code: of node.wire.errors
    (RECEIPT, sender, recipient, stream, kind, first, last)
    (DELIVER, recipient, sender, stream, n, flags, arrived_ms, body)
    (CONFIRM, recipient, sender, stream, kind, first, last)
    (BACKLOG, handle, waiting)                                  the session may be welcomed; -1: it can't be

Of the store, each answered by the core's function of the same name in parentheses:

    (LOAD, recipient, sender, stream)                           loading.loaded
    (LOAD_BOX, recipient)                                       loading.box_loaded
    (LOOKUP, pair, n, body, commits)                            numbering.looked_up
    (FIND, pair, first, last, commits)                          acking.found
    (FETCH, pair, handle, start, limit)                         delivery.fetched
    (SCAN, recipient, handle, after, limit)                     delivery.scanned
    (LOAD_OWED, sender, recipient, stream)                      receipts.loaded
    (SCAN_OWED, sender, handle, after, limit)                   receipts.scanned
    (COMMIT, batch)                                             writebehind.committed
    (SCAN_WAITING, user, after, limit)                          expiry.waiting
    (AGED, key, rows)                                           expiry.aged
    (WIPED, user, generation)                                   nothing waits for that device any more
"""

ACCEPTED = 0
GAP = 1
BUSY = 2
REFUSED = 3
RECEIPT = 4
DELIVER = 5
CONFIRM = 6
BACKLOG = 7
LOAD = 8
LOAD_BOX = 9
LOOKUP = 10
FIND = 11
FETCH = 12
SCAN = 13
LOAD_OWED = 14
SCAN_OWED = 15
COMMIT = 16
SCAN_WAITING = 17
WIPED = 18
AGED = 19
