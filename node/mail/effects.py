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

Of the store, each answered by a call of the core, whatever happens; where a second one is named, it is for a reading
that failed, otherwise the first one says how it is told that:

    (LOAD, recipient, sender, stream)                           loading.loaded, failed
    (LOAD_BOX, recipient)                                       loading.box_loaded, box_failed
    (LOOKUP, pair, n, body, commits)                            numbering.looked_up, not_looked_up
    (FIND, pair, first, last, commits)                          acking.found, not_found
    (FETCH, pair, handle, start, limit, bytes)                  delivery.fetched, not_fetched
    (SCAN, recipient, handle, after, limit)                     delivery.scanned; none
    (LOAD_OWED, sender, recipient, stream)                      receipts.loaded
    (SCAN_OWED, sender, handle, after, limit)                   receipts.scanned, not_scanned
    (COMMIT, batch)                                             settling.committed
    (SCAN_WAITING, user, after, limit)                          expiry.waiting, not_waiting
    (SCAN_UNTOLD, partition, after, limit)                      healing.found, not_found
    (SCAN_NOTES, after, limit)                                  retelling.scanned, not_scanned
    (NOTES_OFF, pair's key, number, rows)                       retelling.taken_off
    (AGED, key, rows)                                           expiry.aged
    (WIPED, user, generation)                                   nothing waits for that device any more

To other nodes, where there are any (`telling`; sets are in their stored form):

    (TELL, sender, recipient, stream, delivered, expired, read)         to whoever is the sender's primary
    (TOLD, teller, sender, recipient, stream, delivered, expired, read) to the node that told: it is durable
    (RETELL, recipient, sender, stream, number)                         to the pair's primary (`retelling`)
    (RETOLD, asker, recipient, sender, stream, number)                  to the node that asked for it
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
SCAN_UNTOLD = 20
TELL = 21
TOLD = 22
SCAN_NOTES = 23
NOTES_OFF = 24
RETELL = 25
RETOLD = 26
