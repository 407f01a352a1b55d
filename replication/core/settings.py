"""Limits of a replica, and how they hang together."""

import attrs


@attrs.frozen(kw_only=True)
class ReplicaSettings:
    """Of one group. Times in milliseconds.

    Args:
        copies: how many nodes hold each partition: primary, heir, and spares beyond two.
        window_rows, window_bytes: sent to a holder and not yet acknowledged; beyond it frames are no longer sent one
            by one but gathered. What was gathered counts, too, and beyond the window writers wait.
        whole_rows, whole_bytes: a difference of this size is sent as one frame, so that the copy stays live.
        chunk_rows, chunk_bytes: one answer to a pull.
        apply_bytes: answers that have come are made durable together up to about so much.
        pulls_max: pulls under way to one peer.
        pull_partitions: partitions in one pull.
        start_wait_ms: how long a starting node listens to others before it claims.
        pull_wait_ms: how long a takeover waits for what others have, and a partition that ceased (`caches`) for more.
        move_wait_ms: how long a partition may stand still for a planned move; looked at ten times a second, so that
            what is given up stood still for less than 500 ms with some to spare.
        retry_ms: when to say again what was not answered, and at what pace a peer is asked again whose records could
            not be taken in: after this time, then twice as long each time, 64 times at most.
        hail_ms: how often peers compare their claims.
        stuck_ms: an heir that is alive and acknowledges nothing for so long is replaced.
        spare_wait_ms: how long a spare leaves a takeover to those before it, for each of them.
        check_ms: between two digests; 0 turns them off. A copy that differed isn't compared again for eight of them,
            and for twice as long each time that mending it didn't help.
        persist_ms: how often what acks have taught is written down.
        purge_ms: between two rounds of forgetting tombstones; 0 turns them off.
        tombstone_ms: how old a tombstone must be.
        absence_ms: how long a node must have been out of reach before floors are raised without asking it: a copy of
            its that comes back later is emptied, with whatever it alone has.
        leave_ms: how long a copy that is of no use any more is kept, for it may be wanted again.
        spread_above: among more peers than so many, new claims are told everybody by two of them.
        moves_max: partitions that a node which is to hold none moves away at once.
        waiting_max: writes that wait for an heir.
        caches: whoever uses the group keeps rows in memory: it is told to cease before rows change beneath it.
    """

    copies: int = 2
    window_rows: int = 50_000
    window_bytes: int = 16 << 20
    whole_rows: int = 150_000
    whole_bytes: int = 48 << 20
    chunk_rows: int = 5_000
    chunk_bytes: int = 2 << 20
    apply_bytes: int = 4 << 20
    pulls_max: int = 2
    pull_partitions: int = 64
    start_wait_ms: int = 1_500
    pull_wait_ms: int = 500
    move_wait_ms: int = 300
    retry_ms: int = 500
    hail_ms: int = 2_000
    stuck_ms: int = 10_000
    spare_wait_ms: int = 1_000
    check_ms: int = 1_000
    persist_ms: int = 1_000
    purge_ms: int = 3_600_000
    tombstone_ms: int = 30 * 86_400_000
    absence_ms: int = 30 * 86_400_000
    leave_ms: int = 60_000
    spread_above: int = 4
    moves_max: int = 64
    waiting_max: int = 1_000_000
    caches: bool = False

    def __attrs_post_init__(self) -> None:
        if self.whole_rows < 2 * self.window_rows or self.whole_bytes < 2 * self.window_bytes:
            raise ValueError("a difference as large as two windows must fit in one frame")
        if self.copies < 1:
            raise ValueError("a group has at least one copy")
