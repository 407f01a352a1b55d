"""Messages that grew too old, what waited for a device that was replaced, and pairs that nobody wrote to for long.

The first two are the only ways besides the recipient's ack by which a message goes; both are told to the sender.
"""

from collections.abc import Sequence
from functools import partial

from node.mail import delivery, loading, presence, receipts, wipes, writebehind
from node.mail.pair import Pair, PairKey
from node.mail.settings import DAY_MS
from node.mail.state import MailState
from node.wire.verbs import KIND_EXPIRED

PURGES_MAX = 1_000
"""Pairs in one commit whose rows are deleted; the others are found again."""


def aged(state: MailState, key: PairKey, rows: Sequence[tuple[int, int]]) -> None:
    """The sweep found messages above the age limit on disk: (n, bytes of the body). Dropped if the core is too busy:
    the next sweep finds them again."""
    if state.doomed < writebehind.DOOMED_MAX:
        loading.with_pair(state, key, partial(_expire, state, rows=rows))


def _expire(state: MailState, pair: Pair, rows: Sequence[tuple[int, int]]) -> None:
    for n, size in rows:
        if pair.settled(n) or n in pair.pending:
            continue
        pair.expired.add(n)
        writebehind.doom(state, pair, n, size)
        delivery.recall(pair, n)
        state.counts.expired += 1
        receipts.owe(state, pair, KIND_EXPIRED, n, n)
        writebehind.mark(state, pair)
    delivery.acked(state, pair)


def old_pair(state: MailState, key: PairKey, day: int) -> None:
    """The sweep found a pair without waiting messages that last changed on ``day``."""
    if state.now // DAY_MS - day > state.settings.pair_retention_days:
        # It may have changed since it was found.
        loading.with_pair(state, key, partial(_purge, state, day=day))


def _purge(state: MailState, pair: Pair, day: int) -> None:
    if pair.day == day and pair.idle() and len(state.purges) < PURGES_MAX:
        state.purges.append((pair.key, day))


def _expire_pending(state: MailState, pair: Pair, n: int) -> None:
    """A message in memory: what was never accepted is answered as a skip is, once the pair is written."""
    message = pair.pending[n]
    writebehind.drop(state, pair, message)
    delivery.recall(pair, n)
    pair.expired.add(n)
    if message.committing:
        writebehind.doom(state, pair, n, message.size)
    else:
        writebehind.answer_written(state, pair, n)
    state.counts.expired += 1
    receipts.owe(state, pair, KIND_EXPIRED, n, n)
    writebehind.mark(state, pair)


def wipe(state: MailState, user: int, generation: int) -> None:
    """A new device of ``user`` was registered: nothing that waits for the old one may reach it. WIPED follows when
    that is on disk; until then the user must not log in."""
    presence.dismiss(state, user)
    running = wipes.start(state, user, generation)
    box = state.boxes.get(user)
    for pair in list(box.pairs.values()) if box is not None else ():
        for n in sorted(pair.pending):
            _expire_pending(state, pair, n)
        if pair.dirty:
            running.left[pair.key] = None
            writebehind.hasten(state, pair)
    wipes.advance(state, running)


def waiting(
    state: MailState,
    user: int,
    found: Sequence[tuple[int, bytes, Sequence[tuple[int, int]]]],
    after: tuple[int, bytes] | None,
) -> None:
    """The answer to SCAN_WAITING: (sender, stream, [(n, bytes)]) and where to go on (None: that was all)."""
    running = wipes.scanned(state, user, after)
    for sender, stream, _ in found:
        running.left[user, sender, stream] = None
    for sender, stream, rows in found:
        key = (user, sender, stream)
        loading.with_pair(
            state, key, partial(_end, state, rows=rows), partial(wipes.missed, state, key), always=True
        )
    wipes.advance(state, running)


def not_waiting(state: MailState, user: int) -> None:
    """SCAN_WAITING was of no use: tried again before long."""
    wipes.failed(state, user)


def _end(state: MailState, pair: Pair, rows: Sequence[tuple[int, int]]) -> None:
    _expire(state, pair, rows)
    if pair.dirty:
        writebehind.hasten(state, pair)
    elif not pair.writing:  # all of it was over already
        wipes.written(state, pair)
