"""The edge: sessions whose socket is here, known to the primary of their user's partition while it is open there."""

from typing import Any

from node.mail import presence
from node.mail.state import Effect
from node.routing import codes, handling, keeping, opening
from node.routing.homes import home, home_once
from node.routing.state import Login, Part, Peer, RoutingState
from node.routing.surroundings import Phone
from node.wire import errors

FAREWELLS_MAX: int = 100_000
"""Sessions that ended while the link to their primary was full. One more, and the primary is to forget all of this
node's, as soon as there is room to say that, and they are announced anew."""


def _part_of(state: RoutingState, session: Phone) -> Part:
    return state.parts[home_once(state, session.user)]


def seat(state: RoutingState, session: Phone, user: int, stream: bytes, login: Login) -> None:
    """A session has logged in; `Phones.welcome` follows when its primary knows it, or `Phones.end`."""
    before = state.sessions.get(user)
    if before is not None and before is not session:
        if before.login > login:
            state.counts.superseded += 1
            state.phones.end(session, errors.TIMEOUT)  # see hosting.LOWER
            return
        expel(state, before, errors.SUPERSEDED)
    session.user = user
    session.login = login
    session.stream = stream
    session.round = 0
    state.sessions[user] = session
    part = _part_of(state, session)
    state.ticket = state.tickets.take(session, part.number, state.ticket)
    part.sessions.append(session)
    if part.open:
        opening.announce(state, part, session)
    else:
        opening.want(state, part)


def leave(state: RoutingState, session: Phone) -> None:
    """The session ended. Nothing happens the second time."""
    if state.tickets.get(session.ticket) is not session:
        return
    keeping.forget_session(state, session)
    user = session.user
    state.tickets.leave(session)
    del state.sessions[user]
    part = _part_of(state, session)
    part.sessions.remove(session)
    if part.open and session.round:
        target = part.target
        if target == state.ways.me:
            presence.offline(state.mail, user, session)
        elif target is not None:
            _farewell(state, state.peers[target], session.ticket)


def expel(state: RoutingState, session: Phone, code: int) -> None:
    """End it, saying why."""
    if code == errors.SUPERSEDED:
        state.counts.superseded += 1
    leave(state, session)
    state.phones.end(session, code)


def _farewell(state: RoutingState, peer: Peer, ticket: int) -> None:
    if peer.anew:
        return
    peer.farewells[ticket] = None
    if len(peer.farewells) > FAREWELLS_MAX:
        peer.farewells.clear()
        peer.anew = True
        state.counts.farewells_dropped += 1


def flush(state: RoutingState, peer: Peer) -> None:
    """Tell the primary of sessions that ended."""
    if peer.anew:
        if not state.ways.send(peer.node, codes.SESSIONS, (codes.HELLO,)):
            return
        peer.anew = False
        opening.lost(state, peer.node)
    farewells = peer.farewells
    while farewells:
        ticket = next(iter(farewells))
        if not state.ways.send(peer.node, codes.SESSIONS, (codes.OFFLINE, ticket)):
            return
        del farewells[ticket]


# ---- what a primary says to a session ----------------------------------------------------------------------


def heard(state: RoutingState, peer: Peer, ticket: int, announcement: int) -> Phone | None:
    """The session that a primary speaks to; None if there is none, or if it was announced anew since, which makes its
    primary say it again."""
    session = state.tickets.get(ticket)
    if session is None:
        _farewell(state, peer, ticket)
        return None
    part = _part_of(state, session)
    if session.round != announcement or not part.open or part.target != peer.node:
        state.counts.stale_answers += 1
        return None
    return session


def told(state: RoutingState, effect: Effect) -> None:
    """DELIVER, RECEIPT or CONFIRM for a session here."""
    state.phones.outlets[effect[0]](effect)


def welcomed(state: RoutingState, session: Phone, waiting: int) -> None:
    """Its primary knows it."""
    ways = state.ways
    part = _part_of(state, session)
    if state.phones.welcome(session, waiting) and part.target is not None and part.target != ways.me:
        place = ways.public_of(part.target)
        if place is not None:
            state.phones.move(session, *place)


def again(state: RoutingState, session: Phone) -> None:
    """Its primary has lost something for it."""
    state.counts.announced_again += 1
    opening.announce(state, _part_of(state, session), session)


# ---- what a session says to its primary --------------------------------------------------------------------


def speak(state: RoutingState, session: Phone, message: tuple[Any, ...]) -> None:
    """ACK, READ or CONFIRM, to the primary of the session's user. Not kept: while there is none, nothing that is said
    is worth anything. If there is no room in the link the session is announced anew, so that its primary repeats all
    that the phone hasn't answered."""
    part = state.parts[home(state, session.user)]
    if not part.open:
        state.counts.dropped += 1
    elif part.target == state.ways.me:
        if not handling.handle(state.mail, message):
            state.counts.dropped += 1
    elif part.target is not None and not state.ways.send(part.target, codes.MESSAGES, message):
        state.counts.dropped += 1
        if not part.announce or part.announce[0] is not session:
            again(state, session)
