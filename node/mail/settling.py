"""What the outcome of a commit means for those who wait for it: senders, recipients, and the core's own books."""

from node.mail import (
    delivery,
    effects,
    gathering,
    healing,
    pacing,
    receipts,
    retelling,
    telling,
    wipes,
    writebehind,
)
from node.mail.intervals import Intervals
from node.mail.pair import Pair
from node.mail.state import Batch, MailState
from node.wire.verbs import KIND_DELIVERED, KIND_READ, ONE_COPY, TWO_COPIES


def committed(state: MailState, batch: Batch, *, failed: bool, copies: int = ONE_COPY) -> None:
    """The answer to COMMIT. After a failure nothing of the batch is on disk; otherwise it is on ``copies`` disks.

    Of a partition whose claim went elsewhere meanwhile neither is known: it is dropped before this is called, and
    with it its part of the batch.
    """
    assert copies in (ONE_COPY, TWO_COPIES)
    assert state.committing is batch
    state.committing = None
    gathering.begin(state, batch)
    for box in batch.boxes:
        box.dirty = False
    for pair in batch.pairs:
        pair.writing = False
    if failed:
        _undo(state, batch)
        return
    out = state.out
    now, accepted = state.now, state.latencies.accepted.record
    for pair, message in batch.messages:
        n = message.n
        pair.commits += 1
        if pair.fetching and (not pair.floor or n < pair.floor):
            pair.floor = n
        if pair.pending.get(n) is message:
            writebehind.drop(state, pair, message)
            state.counts.accepted_stored += 1
            pacing.draw_in(state, pacing.OF_USE_MS)
            accepted(now - message.arrived)
            out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, copies))
            if state.settings.sync_first:
                delivery.offer(state, pair, message)
        elif n not in pair.gone:  # expired while it was written
            out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, copies))
    for pair, numbers in batch.skipped:
        for first, last in numbers.ranges():
            out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, first, last, copies))
    for pair, numbers in batch.acked:
        for first, last in numbers.ranges():
            out.append(
                (effects.CONFIRM, pair.recipient, pair.sender, pair.stream, KIND_DELIVERED, first, last)
            )
    for pair, upto in batch.read:
        out.append((effects.CONFIRM, pair.recipient, pair.sender, pair.stream, KIND_READ, 1, upto))
    for owed, stored in batch.owed:
        receipts.written(state, owed, stored=stored)
    for owed, tellers in batch.tellers:
        telling.answer_all(state, owed, tellers)
    for one, marked in batch.marks:
        if not marked and one.empty() and not one.marked and state.telling.get(one.key) is one:
            telling.over(state, one)
    if state.wipes:
        for pair in batch.pairs:
            if not pair.dirty:
                wipes.written(state, pair)
    for pair in batch.pairs:
        pair.high_stored = pair.high_written
    for pair in batch.told:
        healing.written(state, pair)
    retelling.written(state, batch)
    if state.throttled and state.doomed < writebehind.DOOMED_MAX:
        delivery.unthrottle(state)


def _undo(state: MailState, batch: Batch) -> None:
    """Tell the senders, and let everything else wait for a better moment.

    Of each pair, all numbers from the lowest failed one on are dropped: were a later one taken, it would overtake.
    """
    settings = state.settings
    state.counts.commits_failed += 1
    state.hold_until = state.now + settings.busy_retry_ms
    lowest: dict[Pair, int] = {}
    for pair, message in batch.messages:
        n = message.n
        pair.box.count -= 1
        pair.box.bytes -= message.size
        if pair.doomed.pop(n, None) is not None:
            state.doomed -= 1
        if pair.pending.get(n) is message:
            lowest[pair] = min(lowest.get(pair, n), n)
        elif n not in pair.gone:  # expired while it was written
            writebehind.answer_written(state, pair, n)
    for pair, n, size in batch.deletes:
        pair.box.count += 1
        pair.box.bytes += size
        writebehind.doom(state, pair, n, size)
    for pair, first in lowest.items():
        _withdraw(state, pair, first)
    for pair, numbers in batch.acked:
        pair.acked = _union(pair.acked, numbers)
    for pair, numbers in batch.skipped:
        pair.skipped = _union(pair.skipped, numbers)
    for pair, upto in batch.read:
        pair.read_told = max(pair.read_told, upto)
    for pair in batch.told:
        pair.untold = True
    retelling.not_written(state, batch)
    for pair in batch.pairs:
        writebehind.mark(state, pair)
    for owed, _ in batch.owed:
        owed.writing = False
        receipts.mark(state, owed)
    for owed, tellers in batch.tellers:
        for teller, news in tellers.items():
            telling.wait(owed, teller, news)
    for one, marked in batch.marks:
        one.marked = not marked
        if one.empty() and state.telling.get(one.key) is one:
            telling.over(state, one)
    state.purges += batch.purged


def _withdraw(state: MailState, pair: Pair, first: int) -> None:
    dropped = {n for n in pair.pending if n >= first}
    for n in dropped:
        writebehind.drop(state, pair, pair.pending[n])
        delivery.recall(pair, n)
    # Down to the lowest, also over numbers that are over: otherwise what follows them is taken before these come again.
    while pair.high >= first and (pair.high in dropped or pair.settled(pair.high)):
        pair.high -= 1
    pair.climb()
    delivery.acked(state, pair)
    pair.gapped = max(dropped)
    state.counts.busy += 1
    retry = state.settings.busy_retry_ms
    state.out.append((effects.BUSY, pair.sender, pair.recipient, pair.stream, first, retry))


def _union(ours: Intervals | None, theirs: Intervals) -> Intervals:
    if ours is not None:
        theirs.update(ours)
    return theirs
