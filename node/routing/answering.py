"""The primary: what the mail core says, to phones here and at other edges.

To an edge everything goes over one channel in the order in which it was said. What can't be queued is never missed in
silence: of an answer to a sender, the whole partition is opened anew, and what is kept is sent again; of
anything else, the session is offline, and announced again when there is room.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from node.mail import effects
from node.mail.state import Effect
from node.routing import codes, hosting, keeping, retelling, seating, telling
from node.routing.homes import home
from node.routing.state import Origin, Peer, Remote, RoutingState
from node.wire import errors

AGAIN_PER_PASS_MAX: int = 256
"""Notices to one edge."""


def outlets(state: RoutingState) -> Mapping[int, Callable[[Effect], None]]:
    """What the mail core's driver takes."""
    return {
        effects.ACCEPTED: partial(accepted, state),
        effects.GAP: partial(answer, state),
        effects.BUSY: partial(answer, state),
        effects.REFUSED: partial(answer, state),
        effects.RECEIPT: partial(tell_session, state),
        effects.DELIVER: partial(tell_session, state),
        effects.CONFIRM: partial(tell_session, state),
        effects.BACKLOG: partial(backlog, state),
        effects.TELL: partial(telling.tell, state),
        effects.TOLD: partial(telling.told, state),
        effects.RETELL: partial(retelling.ask, state),
        effects.RETOLD: partial(retelling.retold, state),
    }


# ---- answers to senders ----------------------------------------------------------------------------------


def _origin(state: RoutingState, effect: Effect) -> Origin | None:
    origin = state.origins.get(effect[1])
    if origin is not None:
        return origin if origin.stream == effect[3] else None
    session = state.sessions.get(effect[1])
    if session is not None and session.stream == effect[3]:
        keeping.answered(state, state.ways.me, session, effect)
    return None


def accepted(state: RoutingState, effect: Effect) -> None:
    """ACCEPTED. What is accepted in a row goes as one message."""
    origin = _origin(state, effect)
    if origin is None:
        return
    _, _, recipient, _, first, last, how = effect
    peer = origin.peer
    run = peer.run
    if run is not None:
        if run[3] == first - 1 and run[0] == origin.ticket and run[1] == recipient and run[4] == how:
            run[3] = last
            return
        _end_run(state, peer)
    peer.run = [origin.ticket, recipient, first, last, how]


def _end_run(state: RoutingState, peer: Peer) -> None:
    run, peer.run = peer.run, None
    if run is not None and not state.ways.send(peer.node, codes.MESSAGES, (codes.ACCEPTED, *run)):
        _lost(state, peer, run[1])


def answer(state: RoutingState, effect: Effect) -> None:
    """GAP, BUSY, REFUSED."""
    origin = _origin(state, effect)
    if origin is None:
        return
    peer = origin.peer
    _end_run(state, peer)
    code = _ANSWERS[effect[0]]
    if not state.ways.send(peer.node, codes.MESSAGES, (code, origin.ticket, effect[2], *effect[4:])):
        _lost(state, peer, effect[2])


_ANSWERS: tuple[int, ...] = (codes.ACCEPTED, codes.GAP, codes.BUSY, codes.REFUSED)
assert (effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED) == (0, 1, 2, 3)


def _lost(state: RoutingState, peer: Peer, recipient: int) -> None:
    state.counts.choked += 1
    peer.choked_at = state.mail.now
    hosting.shut(peer, home(state, recipient))


# ---- what is said to sessions ----------------------------------------------------------------------------

_TO_SESSIONS: Mapping[int, int] = MappingProxyType(
    {effects.RECEIPT: codes.RECEIPT, effects.CONFIRM: codes.CONFIRMED}
)


def tell_session(state: RoutingState, effect: Effect) -> None:
    """DELIVER, RECEIPT, CONFIRM."""
    handle = state.mail.session_of(effect[1])
    if not isinstance(handle, Remote):
        if handle is not None:
            seating.told(state, effect)
        return
    if handle.gone:
        return
    handle.used = True
    peer = handle.peer
    if peer.run is not None:
        _end_run(state, peer)
    what, _, *said = effect
    code = codes.DELIVER if what == effects.DELIVER else _TO_SESSIONS[what]
    if not state.ways.send(peer.node, codes.MESSAGES, (code, handle.ticket, handle.round, *said)):
        _missed(state, handle)


def backlog(state: RoutingState, effect: Effect) -> None:
    """BACKLOG: the session may be welcomed, or can't be."""
    handle = effect[1]
    waiting: int = effect[2]
    if not isinstance(handle, Remote):
        session = state.tickets.get(handle.ticket)
        if session is handle:
            seating.welcomed(state, session, waiting)
    elif not handle.gone:
        peer = handle.peer
        if waiting < 0:
            hosting.end(state, handle, errors.INTERNAL)
            _missed(state, handle)
            return
        hosting.forget_coming(state, handle)
        _end_run(state, peer)
        message = (codes.WELCOME, handle.ticket, handle.round, waiting)
        if not state.ways.send(peer.node, codes.MESSAGES, message):
            _missed(state, handle)


def _missed(state: RoutingState, remote: Remote) -> None:
    """Something for the session could not be queued, or found out: nothing more is said to it. It is taken off when
    the pass ends, since the mail core is in the middle of something."""
    state.counts.choked += 1
    remote.gone = True
    remote.peer.choked_at = state.mail.now
    remote.peer.lost[remote.ticket] = remote


# ---- the end of a pass -----------------------------------------------------------------------------------


def flush(state: RoutingState, peer: Peer) -> None:
    """Say what was gathered, and what waited for room."""
    _end_run(state, peer)
    while peer.lost:
        _, remote = peer.lost.popitem()
        hosting.withdraw(state, remote)
        if (remote.ticket, remote.round) not in peer.ends:
            peer.again[remote.ticket] = remote.round
    if not peer.connected:
        return
    send, node = state.ways.send, peer.node
    while peer.ends:
        (ticket, announcement), code = next(iter(peer.ends.items()))
        if not send(node, codes.MESSAGES, (codes.END, ticket, announcement, code)):
            return
        del peer.ends[ticket, announcement]
    # What begins anew says more than what was missed. So a link that was full a moment ago is given time first.
    rested = state.mail.now - peer.choked_at >= state.settings.reopen_ms
    for p, code in tuple(peer.notices.items()) if peer.notices else ():
        if code == codes.SERVED and not rested:
            continue
        if not send(node, codes.MESSAGES, (code, p)):
            return
        del peer.notices[p]
    if not rested:
        return
    for _ in range(min(AGAIN_PER_PASS_MAX, len(peer.again))):
        ticket, announcement = next(iter(peer.again.items()))
        if not send(node, codes.MESSAGES, (codes.AGAIN, ticket, announcement)):
            return
        del peer.again[ticket]
