"""A user's session comes and goes. A new one takes the place of the old; what the old one had in flight waits again."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from node.mail import delivery, effects, loading, receipts
from node.mail.pair import Pair
from node.mail.state import Box, Handle, MailState

Flight = tuple[int, tuple[tuple[int, int, int], ...]]
"""The highest number of a pair that was handed over, and (n, size, arrived) of those that are in flight."""
_NOTHING: Mapping[tuple[int, bytes], Flight] = MappingProxyType({})


def online(state: MailState, user: int, handle: Handle) -> None:
    """``handle`` is to be the user's session. BACKLOG follows; only after it anything is said to the session: what
    waits, and what the user is owed."""
    state.arriving[user] = handle
    come(state, user, handle)


def come(
    state: MailState, user: int, handle: Handle, flights: Mapping[tuple[int, bytes], Flight] = _NOTHING
) -> None:
    """The second half of it, for a session that stands in `arriving`. ``flights``: by (sender, stream), what another
    process has handed over on it."""
    loading.with_box(state, user, partial(_begin, state, user=user, handle=handle, flights=flights))


def _begin(
    state: MailState,
    box: Box | None,
    user: int,
    handle: Handle,
    flights: Mapping[tuple[int, bytes], Flight],
) -> None:
    if state.arriving.get(user) is not handle:
        return  # gone, or replaced, while the box was loaded
    del state.arriving[user]
    if box is None:
        state.out.append((effects.BACKLOG, handle, -1))
        return
    state.sessions[user] = handle
    release(box)
    box.session = handle
    box.scanned = False
    state.out.append((effects.BACKLOG, handle, box.count + box.pending))
    for pair in box.pairs.values():
        flight = flights.get((pair.sender, pair.stream))
        if pair.pending or flight is not None:
            delivery.attune(box, pair)
        if flight is not None:
            _take_up(state, box, pair, flight)
    receipts.begin(state, box.user, handle)
    delivery.pump(state, box)


def _take_up(state: MailState, box: Box, pair: Pair, flight: Flight) -> None:
    """What is in flight is so still; but no more of it than there may be now: the rest is handed over again."""
    settings = state.settings
    pair.handed, messages = flight
    for n, size, arrived in messages:
        room = box.inflight < settings.window and box.inflight_bytes < settings.window_bytes
        if pair.settled(n) or n > pair.high or not room or len(pair.inflight) >= settings.pair_share:
            continue
        pair.inflight[n] = (size, arrived)
        box.inflight += 1
        box.inflight_bytes += size


def offline(state: MailState, user: int, handle: Handle) -> None:
    """The session ended. Nothing happens if another one has taken its place."""
    if state.arriving.get(user) is handle:
        del state.arriving[user]
    if state.sessions.get(user) is not handle:
        return
    del state.sessions[user]
    receipts.end(state, user, handle)
    box = state.boxes.get(user)
    if box is not None:
        release(box)
        loading.let_go(state, box)


def dismiss(state: MailState, user: int) -> None:
    """Whatever session the user has, it is told nothing any more."""
    state.arriving.pop(user, None)
    session = state.session_of(user)
    if session is not None:
        offline(state, user, session)


def is_busy(state: MailState, user: int) -> bool:
    """Whether something of the session is under way that ends with `Distant.rest`."""
    return user in state.boxes or user in state.owed_scans or user in state.arriving


def is_still(state: MailState, user: int) -> bool:
    """Whether nothing else in memory is about the user, but for receipts that are being loaded."""
    return not (user in state.owed or user in state.box_loading or user in state.loads_of)


def release(box: Box) -> None:
    """Forget all that concerns the box's session."""
    for pair in box.hungry or ():
        pair.hungry = False
    box.hungry = None
    box.session = None
    box.inflight = box.inflight_bytes = 0
    box.fetching = 0
    box.scanned = True
    box.scanning = False
    box.missed = False
    box.discovering = 0
    box.scan_after = None


def registered(state: MailState, user: int) -> None:
    """The number is known from now on."""
    box = state.boxes.get(user)
    if box is not None:
        box.known = True
