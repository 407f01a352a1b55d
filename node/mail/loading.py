"""Pairs and boxes are brought in from the store when first needed, and let go again when the cache is full."""

from collections.abc import Callable, Sequence
from typing import Any

from node.mail import effects
from node.mail.pair import Pair, PairKey
from node.mail.state import Box, MailState

EVICTION_STEPS_MAX = 8
"""Pairs that the cache's hand passes for each one loaded (second chance; Corbató 1968)."""


def nothing() -> None:
    """For events that are repeated by whoever sent them."""


def with_pair(
    state: MailState,
    key: PairKey,
    then: Callable[[Pair], None],
    otherwise: Callable[[], None] = nothing,
    *,
    always: bool = False,
) -> bool:
    """Call ``then(pair)`` now if the pair is in memory, otherwise when it was loaded; ``otherwise()`` if that fails.

    Returns False, and never calls, if too many events wait already; with ``always`` (for the core's own work, which
    comes in chunks) it waits all the same.
    """
    pair = state.pairs.get(key)
    if pair is not None:
        pair.used = True
        then(pair)
        return True
    if state.loads_waiting >= state.settings.loads_waiting_max and not always:
        return False
    state.loads_waiting += 1
    state.counts.loads += 1
    waiting = state.loading.get(key)
    if waiting is not None:
        waiting.append((then, otherwise))
        return True
    state.loading[key] = [(then, otherwise)]
    state.loads_of[key[0]] = state.loads_of.get(key[0], 0) + 1
    state.out.append((effects.LOAD, *key))
    return True


def loaded(
    state: MailState,
    key: PairKey,
    row: Sequence[Any] | None,
    stored_high: int,
    box_row: Sequence[int] | None,
    partition: int,
    known: bool,
) -> None:
    """The answer to LOAD: the pair's row, the highest number on disk, the row of the recipient's box."""
    recipient, sender, stream = key
    box = state.boxes.get(recipient)
    if box is None:
        box = _make_box(state, recipient, partition, box_row, known)
        if recipient not in state.box_loading:
            # Nothing waits for a user whose box was let go while online: see let_go.
            box.session = state.session_of(recipient)
    pair = Pair(box, sender, stream)
    if row is not None:
        pair.restore(row)
    pair.high = max(pair.high, stored_high)
    pair.climb()
    state.pairs[key] = pair
    box.pairs[sender, stream] = pair
    for then, _ in _end_load(state, key):
        then(pair)
    evict(state)


def failed(state: MailState, key: PairKey) -> None:
    """LOAD was of no use: those who wait are told."""
    for _, otherwise in _end_load(state, key):
        otherwise()
    _let_go_of(state, key[0])


def _end_load(state: MailState, key: PairKey) -> list[tuple[Callable[[Pair], None], Callable[[], None]]]:
    waiting = state.loading.pop(key)
    state.loads_waiting -= len(waiting)
    state.loads_of[key[0]] -= 1
    if not state.loads_of[key[0]]:
        del state.loads_of[key[0]]
    return waiting


def box_loaded(
    state: MailState, user: int, box_row: Sequence[int] | None, partition: int, known: bool
) -> None:
    """The answer to LOAD_BOX."""
    box = state.boxes.get(user)
    if box is None:
        box = _make_box(state, user, partition, box_row, known)
    for then in state.box_loading.pop(user):
        then(box)
    _let_go_of(state, user)


def box_failed(state: MailState, user: int) -> None:
    """LOAD_BOX was of no use: the login can't be completed."""
    for then in state.box_loading.pop(user):
        then(None)
    _let_go_of(state, user)


def with_box(state: MailState, user: int, then: Callable[[Box | None], None]) -> None:
    """Call ``then(box)`` now if the box is in memory, otherwise when it was loaded; with None if that failed."""
    box = state.boxes.get(user)
    if box is not None and user not in state.box_loading:
        then(box)
        return
    waiting = state.box_loading.get(user)
    if waiting is not None:
        waiting.append(then)
        return
    state.box_loading[user] = [then]
    state.out.append((effects.LOAD_BOX, user))


def _make_box(state: MailState, user: int, partition: int, row: Sequence[int] | None, known: bool) -> Box:
    count, size = row if row is not None else (0, 0)
    box = state.boxes[user] = Box(user, partition, count, size, known)
    return box


def evict(state: MailState) -> None:
    """Let go of pairs that were not used since the hand last passed, while there are too many."""
    pairs = state.pairs
    for _ in range(EVICTION_STEPS_MAX):
        if len(pairs) <= state.settings.pairs_cached_max:
            return
        key = next(iter(pairs))
        pair = pairs.pop(key)
        if pair.used or not pair.idle():
            pair.used = False
            pairs[key] = pair
            continue
        forget(state, pair)


def forget(state: MailState, pair: Pair) -> None:
    """Drop an idle pair, and its box if that was all that held it."""
    assert pair.idle()
    state.pairs.pop(pair.key, None)
    box = pair.box
    del box.pairs[pair.sender, pair.stream]
    let_go(state, box)


def _let_go_of(state: MailState, user: int) -> None:
    box = state.boxes.get(user)
    if box is not None:
        let_go(state, box)


def let_go(state: MailState, box: Box) -> None:
    """Drop a box that says nothing any more.

    While its user is online, only when nothing waits: a box that is made anew for an online user
    takes it that every pair is caught up.
    """
    if box.pairs or box.dirty or box.pending or box.user in state.box_loading or box.user in state.loads_of:
        return  # what is being loaded was read with the row of a box that may have changed since
    if box.session is not None and (box.count or box.inflight or not box.scanned or box.scanning):
        return
    del state.boxes[box.user]
    if box.session is not None and state.distant is not None:
        state.distant.rest(box.user)
