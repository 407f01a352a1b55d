"""What the recipient says: it has a message (`ack`), its owner has read up to one (`read`).

Only an ack removes a message. It names the numbers that were received, never "up to n" over a gap, and it is good
whenever it comes: a node that forgot in a crash what it handed over still learns that the message arrived.
"""

from collections.abc import Sequence
from functools import partial

from node.mail import delivery, effects, loading, pacing, receipts, writebehind
from node.mail.intervals import Intervals
from node.mail.pair import Pair
from node.mail.state import MailState
from node.wire.verbs import DELIVERED, KIND_DELIVERED, KIND_READ

ACK_AHEAD_MAX = 1_024
"""How far above `high` an ack of a number nobody here knows is believed; also the longest range of one ack."""
INTERVALS_MAX = 512
"""An ack that would add an interval to a pair that has as many is answered and forgotten: a repeated delivery is
cheaper than a recipient that fills the store with holes."""


def ack(state: MailState, recipient: int, sender: int, stream: bytes, first: int, last: int) -> bool:
    """The recipient has each of first..last, stored. False if it could not be taken in now; the client repeats it."""
    assert 0 < first <= last < first + ACK_AHEAD_MAX
    state.counts.acks += 1
    pair = state.pairs.get((recipient, sender, stream))
    if pair is not None:
        pair.used = True
        _ack(state, pair, first, last)
        return True
    return loading.with_pair(state, (recipient, sender, stream), partial(_ack, state, first=first, last=last))


def _ack(state: MailState, pair: Pair, first: int, last: int) -> None:
    box = pair.box
    if pair.seen is not box.session:
        delivery.attune(box, pair)
    unknown = 0  # the first of a run of numbers that only the disk can tell about
    n = first
    while n <= last:
        handed = pair.inflight.pop(n, None)
        if handed is not None:
            box.inflight -= 1
            box.inflight_bytes -= handed[0]
        message = pair.pending.get(n)
        end = n
        if message is not None:
            writebehind.drop(state, pair, message)
            if message.committing:
                writebehind.doom(state, pair, n, message.size)
                if message.due != writebehind.URGENT:
                    pacing.in_vain(state)
            else:
                pacing.draw_in(state, pacing.IN_TIME_MS)
            pair.gone.add(n)
            _note(state, pair, n, n)
            state.counts.accepted_delivered += 1
            latencies = state.latencies
            (latencies.accepted if handed is None else latencies.both).record(state.now - message.arrived)
            state.out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, DELIVERED))
        elif handed is not None:
            state.latencies.delivered.record(state.now - handed[1])
            _took(state, pair, n, handed[0] - delivery.ENTRY_BYTES)
        else:
            end = min(last, pair.settled_to(n))
            if end < n:
                unknown = unknown or n
                n += 1
                continue
            if pair.durable():
                _confirm(state, pair, n, end)
            else:
                _note(state, pair, n, end)
        if unknown:
            _find(state, pair, unknown, n - 1)
            unknown = 0
        n = end + 1
    if unknown:
        _find(state, pair, unknown, last)
    delivery.acked(state, pair)


def _took(state: MailState, pair: Pair, n: int, size: int) -> None:
    """The recipient has taken a message that is on disk."""
    pair.gone.add(n)
    writebehind.doom(state, pair, n, size)
    receipts.owe(state, pair, KIND_DELIVERED, n, n)
    _note(state, pair, n, n)


def _note(state: MailState, pair: Pair, first: int, last: int) -> None:
    """The ack of first..last is to be confirmed once the pair is written."""
    if pair.acked is None:
        pair.acked = Intervals((first, last))
    else:
        pair.acked.add_range(first, last)
    if not pair.dirty:
        writebehind.mark(state, pair)


def _find(state: MailState, pair: Pair, first: int, last: int) -> None:
    pair.asked += 1
    state.out.append((effects.FIND, pair, first, last, pair.commits))


def not_found(state: MailState, pair: Pair) -> None:
    """FIND was of no use: the client repeats what was not confirmed."""
    pair.asked -= 1


def found(
    state: MailState, pair: Pair, first: int, last: int, commits: int, sizes: Sequence[tuple[int, int]]
) -> None:
    """The answer to FIND: (n, bytes of the body) of those of first..last that are on disk."""
    pair.asked -= 1
    if pair.commits != commits:
        _find(state, pair, first, last)
        return
    if pair.untouched():
        # Only a send makes a row: a recipient that acks what was never sent leaves nothing behind.
        _confirm(state, pair, first, last)
        return
    stored = dict(sizes)
    forgotten = Intervals()
    for n in range(first, last + 1):
        if n in pair.inflight or n in pair.pending or pair.settled(n):
            _ack(state, pair, n, n)
        elif n in stored:
            if state.doomed < writebehind.DOOMED_MAX:
                _took(state, pair, n, stored[n])
        elif _is_believed(pair, n):
            # Perhaps it was accepted on a node that isn't reached, and forgotten here; its sender waits to be told.
            pair.gone.add(n)
            pair.climb()
            receipts.owe(state, pair, KIND_DELIVERED, n, n)
            _note(state, pair, n, n)
        else:
            forgotten.add(n)
    for run in forgotten.ranges():
        _confirm(state, pair, *run)


def _is_believed(pair: Pair, n: int) -> bool:
    """Whether the ack of a number that nobody here knows is worth remembering."""
    if n > pair.high + ACK_AHEAD_MAX:
        return False
    return len(pair.gone.spans) < 2 * INTERVALS_MAX or n - 1 in pair.gone or n + 1 in pair.gone


def read(state: MailState, recipient: int, sender: int, stream: bytes, upto: int) -> bool:
    """The recipient's owner has read all up to a number. False if it could not be taken in now."""
    state.counts.reads += 1
    return loading.with_pair(state, (recipient, sender, stream), partial(_read, state, upto=upto))


def _read(state: MailState, pair: Pair, upto: int) -> None:
    mark = 0 if pair.untouched() else min(upto, max(pair.high, pair.gone.highest()) + ACK_AHEAD_MAX)
    if mark > pair.read:
        pair.read = mark
        receipts.owe(state, pair, KIND_READ, 1, mark)
    elif pair.durable():
        state.out.append((effects.CONFIRM, pair.recipient, pair.sender, pair.stream, KIND_READ, 1, upto))
        return
    pair.read_told = max(pair.read_told, upto)
    if not pair.dirty:
        writebehind.mark(state, pair)


def _confirm(state: MailState, pair: Pair, first: int, last: int) -> None:
    state.out.append((effects.CONFIRM, pair.recipient, pair.sender, pair.stream, KIND_DELIVERED, first, last))
