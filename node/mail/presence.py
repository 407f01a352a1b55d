"""A user's session comes and goes. A new one takes the place of the old; what the old one had in flight waits again."""

from functools import partial

from node.mail import delivery, effects, loading, receipts
from node.mail.state import Box, Handle, MailState


def online(state: MailState, user: int, handle: Handle) -> None:
    """``handle`` is now the user's session. BACKLOG follows, then what waits, then what the user is owed."""
    state.sessions[user] = handle
    loading.with_box(state, user, partial(_begin, state, handle=handle))


def _begin(state: MailState, box: Box | None, handle: Handle) -> None:
    if box is None:
        state.out.append((effects.BACKLOG, handle, -1))
        return
    if state.sessions.get(box.user) is not handle:
        return  # gone, or replaced, while the box was loaded
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
    if state.sessions.get(user) is not handle:
        return
    del state.sessions[user]
    receipts.end(state, user, handle)
    box = state.boxes.get(user)
    if box is not None:
        release(box)
        loading.let_go(state, box)


def release(box: Box) -> None:
    """Forget all that concerns the box's session."""
    for pair in box.hungry or ():
        pair.hungry = False
    box.hungry = None
    box.session = None
    box.inflight = box.inflight_bytes = 0
    box.scanned = True
    box.scanning = False
    box.discovering = 0
    box.scan_after = None


def registered(state: MailState, user: int) -> None:
    """The number is known from now on."""
    box = state.boxes.get(user)
    if box is not None:
        box.known = True
