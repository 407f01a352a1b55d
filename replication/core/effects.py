"""What the core asks for: tuples, first their code, to be carried out in their order.

(SEND, peer, message)
(STORE, rows, done)
    Make the replica's own rows durable: done(error). Rows are (key, value or None to delete). STORE and APPLY become
    durable in the order in which they are asked for.
(APPLY, peer, parts, rows, trusted, done)
    Apply another node's records and these rows, as one: done(error, sequence). peer: whom they count as changed by;
    None: by this node. trusted: frames of the primary, in order.
(READ, wants, limit_rows, limit_bytes, done)
    Read the changes of [(p, since), …]: done(error, head, parts, progress). progress is [(p, through, whole), …],
    head the sequence that the reading saw.
(DIGEST, p, table, after, last, done)
    Digest a range of keys, alone on the writer: from behind `after` up to `last`, or, if that is None, as many keys
    as one digest covers; of the first table, if `table` is None. done(error, table, last, count, digest, onward),
    where onward is the next (table, after) of the partition, or None.
(CLEAR, p, done)
    Drop some of the rows of a partition: done(error, whether rows are left).
(SERVE, p, epoch)
    This node serves the partition from now on; said again when only the epoch is new.
(CEASE, p)
    … and from now on it doesn't. What is held of it in memory is to be forgotten.
(DONE, done, copies, error)
    A write, or a move, has ended: call done(copies, error).
(REPORT, what, details)
    Something that an operator wants to know.
(PURGE, p, before)
    Forget the tombstones of a partition that are listed before this local sequence, and older than `tombstone_ms` by
    the clock of the node that made them. Nobody is told how it went: what can't be done now is done in a later round.
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
