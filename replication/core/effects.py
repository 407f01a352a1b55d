"""What the core asks for: tuples, first their code, to be carried out in their order.

(SEND, peer, message)
(STORE, rows, done)                          make the replica's own rows durable: done(error). Rows are
                                             (key, value or None to delete)
(APPLY, peer, parts, rows, trusted, done)    apply another node's records and these rows, as one: done(error,
                                             sequence). `trusted`: frames of the primary, in order
(READ, wants, limit_rows, limit_bytes, done) changes of [(p, since), …]: done(error, head, parts, progress), where
                                             progress is [(p, through, whole), …] and head the sequence that the
                                             reading saw
(DIGEST, p, table, after, last, done)        digest a range of keys, alone on the writer: from behind `after` up to
                                             `last`, or, if that is None, as many keys as one digest covers (of the
                                             first table, if `table` is None): done(error, table, last, count, digest,
                                             onward), where onward is the next (table, after) of the partition, or None
(CLEAR, p, done)                             drop some of the rows of a partition: done(error, whether rows are left)
(SERVE, p, epoch)                            this node serves the partition from now on
(CEASE, p)                                   … and from now on it doesn't; what it holds in memory is to be forgotten
(DONE, done, copies, error)                  a write has ended
(REPORT, what, details)                      something an operator wants to know
(PURGE, before sequence)                     tombstones that are old enough and listed before it may be forgotten
"""

SEND = 0
STORE = 1
APPLY = 2
READ = 3
DIGEST = 4
CLEAR = 5
SERVE = 6
CEASE = 7
DONE = 8
REPORT = 9
PURGE = 10
