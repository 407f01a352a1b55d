"""The primary's rule for n: which number of a sender's stream may be taken, and what is answered to the others.

A number is *known* if it is stored, pending or over; not if it is merely at or below `high`: 5 and 6 are in memory,
the recipient's ack of 6 is written with the pair (high = 6), the node dies, 5 is sent again. It was never accepted,
and is nowhere.
"""

from collections import deque
from functools import partial

from node.mail import delivery, effects, loading, pacing, writebehind
from node.mail.intervals import Intervals
from node.mail.pair import Behind, Message, Pair
from node.mail.state import MailState
from node.wire import errors
from node.wire.verbs import DELIVERED, ONE_COPY

MESSAGE_BYTES = 256
"""What a message in memory takes besides its body."""
INTERVALS_MAX = 1_024
"""Of what is over of one pair: a sender that has left as many gaps may leave no more. (Gaps of messages that wait are
as many as a mailbox may hold.)"""
BEHIND_MAX = 1_024
"""Numbers of one pair that wait for what the store says of an earlier one."""


def send(
    state: MailState, sender: int, recipient: int, stream: bytes, n: int, base: int, body: bytes
) -> None:
    """A sender's message. It is answered, now or later, by one of ACCEPTED, GAP, BUSY, REFUSED, or drowned after one
    GAP or BUSY that tells the sender to come back to it."""
    state.counts.sends += 1
    pair = state.pairs.get((recipient, sender, stream))
    if pair is not None:
        pair.used = True
        place(state, pair, n, base, body)
    else:
        _load(state, sender, recipient, stream, n, base, body)


def skip(state: MailState, sender: int, recipient: int, stream: bytes, n: int, base: int) -> None:
    """The sender gives up a number that was refused. Answered as a send is."""
    state.counts.skips += 1
    pair = state.pairs.get((recipient, sender, stream))
    if pair is not None:
        pair.used = True
        place(state, pair, n, base, None)
    else:
        _load(state, sender, recipient, stream, n, base, None)


def _load(
    state: MailState, sender: int, recipient: int, stream: bytes, n: int, base: int, body: bytes | None
) -> None:
    """The number waits for its pair, if there is room for its body."""
    size = len(body) if body is not None else 0
    busy = partial(_busy_unloaded, state, sender, recipient, stream, n)
    if size + _memory(state) > state.settings.pending_bytes_max or not loading.with_pair(
        state,
        (recipient, sender, stream),
        partial(_loaded, state, n=n, base=base, body=body, size=size),
        partial(_not_loaded, state, size, busy),
    ):
        busy()
    else:
        state.held_bytes += size


def _loaded(state: MailState, pair: Pair, n: int, base: int, body: bytes | None, size: int) -> None:
    state.held_bytes -= size
    place(state, pair, n, base, body)


def _not_loaded(state: MailState, size: int, busy: partial[None]) -> None:
    state.held_bytes -= size
    busy()


def _memory(state: MailState) -> int:
    return state.pending_bytes + state.held_bytes + MESSAGE_BYTES * state.pending


def place(state: MailState, pair: Pair, n: int, base: int, body: bytes | None) -> None:
    """Apply the rule. ``body`` None is a skip."""
    high = pair.high
    if pair.behind is not None:
        _wait(state, pair, n, base, body)
    elif n == high + 1 and not 0 < base <= pair.gapped < n:
        _take(state, pair, n, body)
    elif n in pair.pending:
        state.counts.duplicates += 1
        if body is not None and body != pair.pending[n].body:
            _refuse(state, pair, n, errors.STREAM_REUSED, 0)
        # answered when the first one settles
    elif n in pair.gone:
        _come_back(pair, n)
        state.counts.duplicates += 1
        state.out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, DELIVERED))
    elif n in pair.expired:
        _come_back(pair, n)
        state.counts.duplicates += 1
        if pair.durable():
            state.out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, ONE_COPY))
        else:  # it may be what is not written yet
            writebehind.answer_written(state, pair, n)
    elif 0 < base <= pair.gapped < n:
        pair.gapped = n  # its sender goes back below it, and would be overtaken
    elif n <= high:
        _look_up(state, pair, n, body)
    elif n == base and len(pair.gone.spans) + len(pair.expired.spans) < 2 * INTERVALS_MAX:
        _take(state, pair, n, body)
    else:
        _gap(state, pair, n)


def _wait(state: MailState, pair: Pair, n: int, base: int, body: bytes | None) -> None:
    """What comes while the store is asked about an earlier number comes after it."""
    assert pair.behind is not None
    size = len(body) if body is not None else 0
    if len(pair.behind) >= BEHIND_MAX or size + _memory(state) > state.settings.pending_bytes_max:
        _busy(state, pair, n)
    else:
        state.held_bytes += size
        pair.behind.append((n, base, body))


def _look_up(state: MailState, pair: Pair, n: int, body: bytes | None) -> None:
    size = len(body) if body is not None else 0
    if size + _memory(state) > state.settings.pending_bytes_max:
        _busy(state, pair, n)
        return
    state.held_bytes += size
    pair.asked += 1
    pair.behind = deque()
    state.out.append((effects.LOOKUP, pair, n, body, pair.commits))


def looked_up(
    state: MailState, pair: Pair, n: int, body: bytes | None, commits: int, stored: bytes | None
) -> None:
    """The answer to LOOKUP: the stored body of a number at or below `high`, None if there is none."""
    behind = _answered(state, pair, body)
    if pair.commits != commits or n in pair.pending or pair.settled(n) or n > pair.high:
        place(state, pair, n, 0, body)  # things have moved on
    elif stored is None:
        _take(state, pair, n, body)
    elif body is not None and body != stored:
        _refuse(state, pair, n, errors.STREAM_REUSED, 0)
    else:
        _come_back(pair, n)
        state.counts.duplicates += 1
        state.out.append((effects.ACCEPTED, pair.sender, pair.recipient, pair.stream, n, n, ONE_COPY))
    while behind:
        if pair.behind is not None:  # the next question
            pair.behind.extend(behind)
            return
        then = behind.popleft()
        state.held_bytes -= len(then[2] or b"")
        place(state, pair, *then)


def not_looked_up(state: MailState, pair: Pair, n: int, body: bytes | None) -> None:
    """LOOKUP was of no use: the sender is to try again, with what it sent since as well."""
    behind = _answered(state, pair, body)
    state.held_bytes -= sum(len(then[2] or b"") for then in behind)
    _busy(state, pair, n)


def _answered(state: MailState, pair: Pair, body: bytes | None) -> deque[Behind]:
    pair.asked -= 1
    if body is not None:
        state.held_bytes -= len(body)
    behind, pair.behind = pair.behind, None
    assert behind is not None
    return behind


def _take(state: MailState, pair: Pair, n: int, body: bytes | None) -> None:
    settings = state.settings
    box = pair.box
    now = state.now
    if (
        state.hold_until > now
        or _memory(state) >= settings.pending_bytes_max
        or (state.committing is not None and now - state.committing.started > settings.commit_lag_ms_max)
        or (state.wipes and pair.recipient in state.wipes)  # what comes now is for the new device
    ):
        _busy(state, pair, n)
        return
    if body is None:
        pair.expired.add(n)
        if pair.given_up is None:
            pair.given_up = Intervals()
        pair.given_up.add(n)
        writebehind.answer_written(state, pair, n)
        _took(pair, n)
        return
    size = len(body)
    if (
        box.count + box.pending >= settings.mailbox_messages_max
        or box.bytes + box.pending_bytes + size > settings.mailbox_bytes_max
    ):
        _refuse(state, pair, n, errors.MAILBOX_FULL, settings.full_retry_ms)
        return
    if settings.tell_unknown and not box.known:
        _refuse(state, pair, n, errors.UNKNOWN_RECIPIENT, 0)
        return
    _took(pair, n)
    box.pending += 1
    box.pending_bytes += size
    state.counts.taken += 1
    state.pending += 1
    state.pending_bytes += size
    if box.session is None or settings.sync_first:
        if pair.pending:
            writebehind.catch_up(state, pair)
        message = pair.pending[n] = Message(n, now, body, writebehind.URGENT)
        state.urgent.append((pair, message))
    else:
        message = pair.pending[n] = Message(n, now, body, now + pacing.delay_ms(state))
        state.delayed.append((pair, message))
        delivery.offer(state, pair, message)


def _took(pair: Pair, n: int) -> None:
    pair.gapped = 0
    if n > pair.high:
        pair.high = n
        gone, expired = pair.gone.spans, pair.expired.spans
        if (gone and gone[-1] > n) or (expired and expired[-1] > n):
            pair.climb()


def _come_back(pair: Pair, n: int) -> None:
    """A number that is known came. If it is the one at which its sender was told to go back (and has been taken, and
    acknowledged, since), the sender is back, and what follows isn't from before."""
    if n == pair.gapped:
        pair.gapped = 0


def hold_off(state: MailState, sender: int, recipient: int, stream: bytes, n: int, retry_ms: int) -> None:
    """A number that the core is not to look at now. Its sender is told to come back to it; once for it and those that
    follow it, if the pair is in memory or on its way: none is loaded for this."""
    key = (recipient, sender, stream)
    otherwise = partial(_busy_unloaded, state, sender, recipient, stream, n, retry_ms)
    if (key not in state.pairs and key not in state.loading) or not loading.with_pair(
        state, key, partial(_hold_off, state, n=n, retry_ms=retry_ms), otherwise
    ):
        otherwise()


def _hold_off(state: MailState, pair: Pair, n: int, retry_ms: int) -> None:
    told, pair.gapped = pair.gapped, n
    if not told or n <= told:
        state.counts.busy += 1
        state.out.append((effects.BUSY, pair.sender, pair.recipient, pair.stream, n, retry_ms))


def _gap(state: MailState, pair: Pair, n: int) -> None:
    """Tell the sender to go back, once for a run of numbers that are too high."""
    told, pair.gapped = pair.gapped, n
    if told and n > told:
        return
    state.counts.gaps += 1
    state.out.append((effects.GAP, pair.sender, pair.recipient, pair.stream, pair.high))


def _busy(state: MailState, pair: Pair, n: int) -> None:
    state.counts.busy += 1
    pair.gapped = n
    retry = state.settings.busy_retry_ms
    state.out.append((effects.BUSY, pair.sender, pair.recipient, pair.stream, n, retry))


def _busy_unloaded(
    state: MailState, sender: int, recipient: int, stream: bytes, n: int, retry_ms: int = 0
) -> None:
    state.counts.busy += 1
    retry_ms = retry_ms or state.settings.busy_retry_ms
    state.out.append((effects.BUSY, sender, recipient, stream, n, retry_ms))


def _refuse(state: MailState, pair: Pair, n: int, code: int, retry_ms: int) -> None:
    state.counts.refused += 1
    state.out.append((effects.REFUSED, pair.sender, pair.recipient, pair.stream, n, code, retry_ms))
