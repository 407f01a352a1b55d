"""What is due is written, one batch at a time; what the outcome means for those who wait.

A message that was offered to an online recipient waits `sync_delay_ms` for the ack: acknowledged earlier it is never
written, only its pair, within `flush_delay_ms`, many messages to one row. (The write-back cache with a variable sync
delay of Rick Reed, "That's 'Billion' with a 'B'", Erlang Factory 2014.) While a batch is being written the next one
gathers, so the delay of the disk makes batches larger, not the queue of batches longer.
"""

from node.mail import delivery, effects, receipts, wipes
from node.mail.intervals import Intervals
from node.mail.pair import Message, Pair
from node.mail.settings import DAY_MS
from node.mail.state import Batch, MailState, Owed
from node.wire.verbs import KIND_DELIVERED, KIND_READ, ONE_COPY

LOAD_PATIENCE_MS = 5
"""A pair whose receipts are still being loaded is looked at again after this."""

URGENT = 0
"""`due` of a message in the queue of those to be written with the next batch."""


def mark(state: MailState, pair: Pair) -> None:
    """The pair differs from its row: write it before long."""
    if not pair.dirty:
        pair.dirty = True
        pair.day = state.now // DAY_MS
        state.dirty.append((state.now + state.settings.flush_delay_ms, pair))


def hasten(state: MailState, pair: Pair) -> None:
    """Write the pair with the next batch."""
    pair.dirty = True
    state.dirty.appendleft((state.now, pair))


def answer_written(state: MailState, pair: Pair, n: int) -> None:
    """ACCEPTED follows for n, which has no message to write, once the pair is written."""
    if pair.skipped is None:
        pair.skipped = Intervals()
    pair.skipped.add(n)
    mark(state, pair)


def catch_up(state: MailState, pair: Pair) -> None:
    """A message of the pair is to be written at once; those before it that wait for an ack go first."""
    for message in pair.pending.values():
        if message.due != URGENT and not message.committing:
            message.due = URGENT
            state.urgent.append((pair, message))


def drop(state: MailState, pair: Pair, message: Message) -> None:
    """The message leaves memory: it is over, or on disk, or refused after all."""
    del pair.pending[message.n]
    size = len(message.body)
    box = pair.box
    box.pending -= 1
    box.pending_bytes -= size
    state.pending_bytes -= size


def wake_at(state: MailState) -> int | None:
    """When `collect` has something to do, in the unit of `now`; None while a batch is being written."""
    if state.committing is not None:
        return None
    _tidy(state)
    if state.urgent or state.purges:
        return max(state.now, state.hold_until)
    due = []
    if state.delayed:
        due.append(state.delayed[0][1].due)
    if state.dirty:
        due.append(state.dirty[0][0])
    if state.dirty_owed:
        due.append(state.dirty_owed[0][0])
    return max(min(due), state.hold_until) if due else None


def _tidy(state: MailState) -> None:
    """Let go of what was settled while it stood at the head of a queue."""
    delayed = state.delayed
    while delayed:
        pair, message = delayed[0]
        if pair.pending.get(message.n) is message and not message.committing:
            break
        delayed.popleft()
    dirty = state.dirty
    while dirty and not dirty[0][1].dirty:
        dirty.popleft()
    owed = state.dirty_owed
    while owed and not owed[0][1].dirty:
        owed.popleft()


def collect(state: MailState) -> None:
    """Make a batch of what is due, if no other is being written."""
    now = state.now
    if state.committing is not None or state.hold_until > now:
        return
    _tidy(state)
    batch = Batch(now)
    boxes = {}
    limit = state.settings.commit_messages_max
    for queue, everything in ((state.urgent, True), (state.delayed, False)):
        while queue and len(batch.messages) < limit and (everything or queue[0][1].due <= now):
            pair, message = queue.popleft()
            if message.committing or pair.pending.get(message.n) is not message:
                continue
            message.committing = True
            batch.messages.append((pair, message))
            box = pair.box
            box.count += 1
            box.bytes += len(message.body)
            boxes[box.user] = box
    waiting: list[Pair] = []
    while state.dirty and state.dirty[0][0] <= now and len(batch.pairs) < limit:
        pair = state.dirty.popleft()[1]
        if pair.dirty and pair.owing:
            waiting.append(pair)
        elif pair.dirty:
            _gather(state, pair, batch)
            if pair.doomed:
                boxes[pair.recipient] = pair.box
                for n, size in pair.doomed.items():
                    batch.deletes.append((pair, n, size))
                    pair.box.count -= 1
                    pair.box.bytes -= size
                pair.doomed = {}
    state.dirty.extendleft((now + LOAD_PATIENCE_MS, pair) for pair in waiting)
    while state.dirty_owed and state.dirty_owed[0][0] <= now and len(batch.owed) < limit:
        owed = state.dirty_owed.popleft()[1]
        if owed.dirty:
            _gather_owed(state, owed, batch)
    batch.purged, state.purges = state.purges, []
    if batch.empty():
        return
    batch.boxes = list(boxes.values())
    for box in batch.boxes:
        box.dirty = True
    state.committing = batch
    state.counts.commits += 1
    state.counts.written += len(batch.messages)
    state.out.append((effects.COMMIT, batch))


def _gather_owed(state: MailState, owed: Owed, batch: Batch) -> None:
    owed.dirty = False
    if owed.empty() and not owed.stored:
        receipts.forget(state, owed)
    else:
        owed.writing = True
        batch.owed.append((owed, not owed.empty()))


def _gather(state: MailState, pair: Pair, batch: Batch) -> None:
    """A pair goes with its receipts: a number that is gone on disk, and not told on disk, would never be told."""
    owed = receipts.find(state, pair.sender, pair.recipient, pair.stream)
    if owed is not None and owed.dirty:
        _gather_owed(state, owed, batch)
    pair.dirty = False
    pair.writing = True
    pair.climb()
    batch.pairs.append(pair)
    if pair.acked is not None:
        batch.acked.append((pair, pair.acked))
        pair.acked = None
    if pair.skipped is not None:
        batch.skipped.append((pair, pair.skipped))
        pair.skipped = None
    if pair.read_told:
        batch.read.append((pair, pair.read_told))
        pair.read_told = 0


def committed(state: MailState, batch: Batch, *, failed: bool) -> None:
    """The answer to COMMIT. After a failure nothing of the batch is on disk."""
    assert state.committing is batch
    state.committing = None
    for box in batch.boxes:
        box.dirty = False
    for pair in batch.pairs:
        pair.writing = False
    if failed:
        _undo(state, batch)
        return
    out = state.out
    for pair, message in batch.messages:
        n = message.n
        pair.commits += 1
        if pair.fetching and (not pair.floor or n < pair.floor):
            pair.floor = n
        if pair.pending.get(n) is message:
            drop(state, pair, message)
            state.counts.accepted_stored += 1
            out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, ONE_COPY))
            if state.settings.sync_first:
                delivery.offer(state, pair, message)
        elif n not in pair.gone:  # expired while it was written
            out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, ONE_COPY))
    for pair, numbers in batch.skipped:
        for first, last in numbers.ranges():
            out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, first, last, ONE_COPY))
    for pair, numbers in batch.acked:
        for first, last in numbers.ranges():
            out.append(
                (effects.CONFIRM, pair.recipient, pair.sender, pair.stream, KIND_DELIVERED, first, last)
            )
    for pair, upto in batch.read:
        out.append((effects.CONFIRM, pair.recipient, pair.sender, pair.stream, KIND_READ, 1, upto))
    for owed, stored in batch.owed:
        receipts.written(state, owed, stored=stored)
    if state.wipes:
        for pair in batch.pairs:
            if not pair.dirty:
                wipes.written(state, pair)


def _undo(state: MailState, batch: Batch) -> None:
    """Tell the senders, and let everything else wait for a better moment.

    Of each pair, all numbers from the lowest failed one on are dropped: were a later one taken, it would overtake.
    """
    settings = state.settings
    state.counts.commits_failed += 1
    state.hold_until = state.now + settings.busy_retry_ms
    lowest: dict[Pair, int] = {}
    for pair, message in batch.messages:
        pair.box.count -= 1
        pair.box.bytes -= len(message.body)
        pair.doomed.pop(message.n, None)
        if pair.pending.get(message.n) is message:
            lowest[pair] = min(lowest.get(pair, message.n), message.n)
    for pair, n, size in batch.deletes:
        pair.box.count += 1
        pair.box.bytes += size
        pair.doomed[n] = size
    for pair, first in lowest.items():
        _withdraw(state, pair, first)
    for pair, numbers in batch.acked:
        pair.acked = _union(pair.acked, numbers)
    for pair, numbers in batch.skipped:
        pair.skipped = _union(pair.skipped, numbers)
    for pair, upto in batch.read:
        pair.read_told = max(pair.read_told, upto)
    for pair in batch.pairs:
        mark(state, pair)
    for owed, _ in batch.owed:
        owed.writing = False
        receipts.mark(state, owed)
    state.purges += batch.purged


def _withdraw(state: MailState, pair: Pair, first: int) -> None:
    dropped = [n for n in pair.pending if n >= first]
    for n in dropped:
        drop(state, pair, pair.pending[n])
        delivery.recall(pair, n)
    while pair.high in dropped:
        pair.high -= 1
    pair.climb()
    pair.gapped = max(dropped)
    state.counts.busy += 1
    retry = state.settings.busy_retry_ms
    state.out.append((effects.BUSY, pair.sender, pair.recipient, pair.stream, first, retry))


def _union(ours: Intervals | None, theirs: Intervals) -> Intervals:
    if ours is not None:
        theirs.update(ours)
    return theirs
