"""What is due is written, one batch at a time.

A message that was offered to an online recipient waits `sync_delay_ms` for the ack: acknowledged earlier it is never
written, only its pair, within `flush_delay_ms`, many messages to one row. (The write-back cache with a variable sync
delay of Rick Reed, "That's 'Billion' with a 'B'", Erlang Factory 2014.) While a batch is being written the next one
gathers, so the delay of the disk makes batches larger, not the queue of batches longer.
"""

from node.mail import effects, gathering, loading, receipts, retelling, telling, wipes
from node.mail.intervals import Intervals
from node.mail.pair import Message, Pair
from node.mail.settings import DAY_MS
from node.mail.state import Batch, Box, MailState, Owed, Telling

URGENT = 0
"""`due` of a message in the queue of those to be written with the next batch."""
DOOMED_MAX = 20_000
"""Rows of messages that may wait to be deleted. With more, mailboxes are not drained further: what was acknowledged
while the disk takes nothing must not fill the memory."""
ROWS_MAX = 20_000
"""Rows in one commit, messages apart, beyond which it takes in no further pair."""


def mark(state: MailState, pair: Pair) -> None:
    """The pair differs from its row: write it before long."""
    if not pair.dirty:
        pair.dirty = True
        pair.day = max(pair.day, state.now // DAY_MS)  # rows only grow: see `Pair.row`
        state.dirty.append((state.now + state.settings.flush_delay_ms, pair))
        state.counts.marked += 1


def hasten(state: MailState, pair: Pair) -> None:
    """Write the pair with the next batch; it is marked."""
    if not pair.parked:
        state.dirty.appendleft((state.now, pair))
        state.counts.marked += 1


def doom(state: MailState, pair: Pair, n: int, size: int) -> None:
    """The row of a message that is over is to be deleted when its pair is written."""
    pair.doomed[n] = size
    state.doomed += 1


def answer_written(state: MailState, pair: Pair, n: int) -> None:
    """ACCEPTED follows for n, which has no message to write, once the pair is written."""
    if pair.skipped is None:
        pair.skipped = Intervals()
    pair.skipped.add(n)
    mark(state, pair)


def catch_up(state: MailState, pair: Pair) -> None:
    """A message of the pair is to be written at once; those before it that wait for an ack go first."""
    if next(reversed(pair.pending.values())).due == URGENT:
        return  # so are those that were taken before it
    for message in pair.pending.values():
        if message.due != URGENT and not message.committing:
            message.due = URGENT
            state.urgent.append((pair, message))


def drop(state: MailState, pair: Pair, message: Message) -> None:
    """The message leaves memory: it is over, or on disk, or refused after all."""
    del pair.pending[message.n]
    state.pending -= 1
    state.pending_bytes -= message.size
    if not message.committing:
        box = pair.box
        box.pending -= 1
        box.pending_bytes -= message.size
        message.body = b""  # what still stands in a queue


def wake_at(state: MailState) -> int | None:
    """When `collect` has something to do, in the unit of `now`; None while a batch is being written."""
    if state.committing is not None:
        return None
    _tidy(state)
    if state.urgent or state.purges:
        return max(state.now, gathering.may_write_at(state))
    due = []
    if state.delayed:
        due.append(state.delayed[0][1].due)
    if state.dirty:
        due.append(state.dirty[0][0])
    if state.dirty_owed:
        due.append(state.dirty_owed[0][0])
    if state.dirty_tellings:
        due.append(state.dirty_tellings[0][0])
    if state.wipes_paused:
        due.append(state.wipes_paused[0][0])
    return max(min(due), gathering.may_write_at(state)) if due else None


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
    tellings = state.dirty_tellings
    while tellings and not tellings[0][1].dirty:
        tellings.popleft()


def collect(state: MailState) -> None:
    """Make a batch of what is due, if no other is being written."""
    if state.wipes_paused:
        wipes.resume(state)
    _tidy(state)
    if not gathering.may_write(state):
        return
    batch = Batch(state.now)
    boxes: dict[int, Box] = {}
    _take_messages(state, batch, boxes)
    _take_pairs(state, batch, boxes)
    _take_owed(state, batch)
    _take_tellings(state, batch)
    _take_purges(state, batch)
    if batch.empty():
        return
    batch.boxes = list(boxes.values())
    for box in batch.boxes:
        box.dirty = True
    state.committing = batch
    state.counts.commits += 1
    state.counts.written += len(batch.messages)
    # Before all else that was asked for: an answer to that may change a pair, and its row is to be as it is now.
    state.out.insert(0, (effects.COMMIT, batch))


def _take_messages(state: MailState, batch: Batch, boxes: dict[int, Box]) -> None:
    now = state.now
    limit = state.settings.commit_messages_max
    for queue, everything in ((state.urgent, True), (state.delayed, False)):
        while queue and len(batch.messages) < limit and (everything or queue[0][1].due <= now):
            pair, message = queue.popleft()
            if message.committing or pair.pending.get(message.n) is not message:
                continue
            message.committing = True
            batch.messages.append((pair, message))
            box = pair.box
            box.pending -= 1
            box.pending_bytes -= message.size
            box.count += 1
            box.bytes += message.size
            boxes[box.user] = box


def _take_pairs(state: MailState, batch: Batch, boxes: dict[int, Box]) -> None:
    while state.dirty and state.dirty[0][0] <= state.now and batch.rows() < ROWS_MAX:
        pair = state.dirty.popleft()[1]
        if not pair.dirty or pair.parked:
            continue
        if pair.owing:
            pair.parked = True  # until its receipts are loaded: see receipts
            continue
        _gather(state, pair, batch)
        if pair.doomed:
            box = boxes[pair.recipient] = pair.box
            state.doomed -= len(pair.doomed)
            for n, size in pair.doomed.items():
                batch.deletes.append((pair, n, size))
                box.count -= 1
                box.bytes -= size
            pair.doomed = {}
            if box.count < 0 or box.bytes < 0:  # it was counted anew, and only up to a limit
                box.count = max(0, box.count)
                box.bytes = max(0, box.bytes)


def _take_owed(state: MailState, batch: Batch) -> None:
    while state.dirty_owed and state.dirty_owed[0][0] <= state.now and batch.rows() < ROWS_MAX:
        owed = state.dirty_owed.popleft()[1]
        if owed.dirty:
            _gather_owed(state, owed, batch)


def _take_tellings(state: MailState, batch: Batch) -> None:
    """Marks of what was told."""
    while state.dirty_tellings and state.dirty_tellings[0][0] <= state.now and batch.rows() < ROWS_MAX:
        one = state.dirty_tellings.popleft()[1]
        if one.dirty:
            one.dirty = False
            if one.empty():  # otherwise the mark is right again
                _unmark(batch, one)


def _unmark(batch: Batch, one: Telling) -> None:
    one.marked = False
    batch.marks.append((one, False))


def _take_purges(state: MailState, batch: Batch) -> None:
    """What was called for since stays; the sweep will find it again."""
    for key, day in state.purges:
        recipient, sender, stream = key
        owed_key = (sender, recipient, stream)
        if (
            key in state.loading
            or key in state.telling
            or owed_key in state.owed_loading
            or receipts.find(state, *owed_key)
        ):
            continue
        pair = state.pairs.get(key)
        if pair is not None:
            if pair.day != day or not pair.idle():
                continue
            loading.forget(state, pair)
        batch.purged.append((key, day))
        batch.served = state.served
        state.counts.purged += 1
    state.purges = []


def _gather_owed(state: MailState, owed: Owed, batch: Batch) -> None:
    owed.dirty = False
    if owed.empty() and not owed.stored:
        telling.answer(state, owed)
        receipts.forget(state, owed)
    else:
        owed.writing = True
        batch.owed.append((owed, not owed.empty()))
        if owed.tellers is not None:
            batch.tellers.append((owed, owed.tellers))
            owed.tellers = None


def _gather(state: MailState, pair: Pair, batch: Batch) -> None:
    """A pair goes with its receipts, or with a mark: a number that is gone on disk, and not told on disk, would never
    be told."""
    owed = receipts.find(state, pair.sender, pair.recipient, pair.stream)
    if owed is not None and owed.dirty:
        _gather_owed(state, owed, batch)
    untold = state.telling.get(pair.key) if state.telling else None
    if untold is not None:
        if not untold.empty():
            untold.dirty = False
            if not untold.marked:
                untold.marked = True
                batch.marks.append((untold, True))
        elif untold.marked and not untold.dirty:  # all of it is owed here now
            _unmark(batch, untold)
    pair.dirty = False
    pair.writing = True
    pair.climb()
    batch.pairs.append(pair)
    if pair.untold:
        batch.told.append(pair)
        pair.untold = False
        retelling.gather(state, pair, batch)
    if pair.acked is not None:
        batch.acked.append((pair, pair.acked))
        pair.acked = None
    if pair.skipped is not None:
        batch.skipped.append((pair, pair.skipped))
        pair.skipped = None
    if pair.read_told:
        batch.read.append((pair, pair.read_told))
        pair.read_told = 0
