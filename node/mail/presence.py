"""A user's session comes and goes. A new one takes the place of the old; what the old one had in flight waits again."""

from functools import partial

from node.mail import delivery, effects, loading, receipts
from node.mail.state import Box, Handle, MailState


def online(state: MailState, user: int, handle: Handle) -> None:
    """``handle`` is to be the user's session. BACKLOG follows; only after it anything is said to the session: what
    waits, and what the user is owed."""
    state.arriving[user] = handle
    loading.with_box(state, user, partial(_begin, state, user=user, handle=handle))


def _begin(state: MailState, box: Box | None, user: int, handle: Handle) -> None:
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
        if pair.pending:
            delivery.attune(box, pair)
    receipts.begin(state, box.user, handle)
    delivery.pump(state, box)


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
    session = state.sessions.get(user)
    if session is not None:
        offline(state, user, session)


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
