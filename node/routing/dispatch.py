"""A message of a peer, to whoever it is for. What makes no sense is counted, and the link it came on begins anew. What
has a code that this release doesn't know is counted by it and passed over, for a newer release may say more.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Refused, Registered
from node.mail import effects
from node.mail.acking import ACK_AHEAD_MAX
from node.routing import asking, codes, handling, hosting, hot, keeping, opening, reading, seating, telling
from node.routing.homes import home
from node.routing.state import Peer, RoutingState

_TO_SENDERS = frozenset((codes.ACCEPTED, codes.GAP, codes.BUSY, codes.REFUSED))
_TO_SESSIONS = frozenset((codes.DELIVER, codes.RECEIPT, codes.CONFIRMED))
_TO_PRIMARIES = frozenset((codes.ACK, codes.READ, codes.CONFIRM))


def messages(state: RoutingState, peer: Peer, message: list[Any]) -> bool:
    """One of MESSAGES. False: it makes no sense."""
    if not (hot.is_sound(message) or reading.take(reading.MESSAGES, message)):
        return _pass_over(state, codes.MESSAGES, reading.MESSAGES, message)
    code = message[0]
    if code == codes.SEND:
        _send(state, peer, message)
    elif code in _TO_SESSIONS:
        _to_session(state, peer, message)
    elif code in _TO_SENDERS:
        _to_sender(state, peer, message)
    elif code in _TO_PRIMARIES:
        return _to_primary(state, peer, message)
    elif code == codes.HELLO:
        peer.opened.clear()
        peer.notices.clear()
        opening.lost(state, peer.node)
    elif code in (codes.OPEN, codes.UNSERVED, codes.SERVED):
        p = message[1]
        if p >= state.ways.partitions:
            return False
        if code == codes.OPEN:
            hosting.opened(state, peer, p)
        elif code == codes.UNSERVED:
            opening.turned_away(state, peer.node, state.parts[p])
        else:
            opening.called(state, peer.node, state.parts[p])
            asking.called(state, p)
    else:
        if code == codes.END and message[1] not in state.tickets:
            return True  # its primary has forgotten it, too
        session = seating.heard(state, peer, message[1], message[2])
        if session is None:
            return True
        if code == codes.WELCOME:
            seating.welcomed(state, session, message[3])
        elif code == codes.AGAIN:
            seating.again(state, session)
        else:
            seating.expel(state, session, message[3])
    return True


def _send(state: RoutingState, peer: Peer, message: list[Any]) -> None:
    _, ticket, epoch, counter, sender, recipient, stream, n, base, body = message
    if home(state, recipient) not in peer.opened:
        state.counts.unopened += 1
    elif base <= n and hosting.spoke(state, peer, ticket, (epoch, counter), sender, stream):
        state.counts.handled += 1
        keeping.hand_over(state, sender, recipient, stream, n, base, body)


def _to_primary(state: RoutingState, peer: Peer, message: list[Any]) -> bool:
    code, user = message[0], message[1]
    if home(state, user) not in peer.opened:
        state.counts.unopened += 1
        return True
    state.counts.handled += 1
    if (code == codes.ACK and not message[4] <= message[5] < message[4] + ACK_AHEAD_MAX) or (
        code == codes.CONFIRM and message[5] > message[6]
    ):
        return False
    if not handling.handle(state.mail, message):
        state.counts.dropped += 1
    return True


def _to_sender(state: RoutingState, peer: Peer, message: list[Any]) -> None:
    session = state.tickets.get(message[1])
    if session is None:
        state.counts.stale_answers += 1
        return
    recipient, rest = message[2], message[3:]
    effect = (_EFFECTS[message[0]], session.user, recipient, session.stream, *rest)
    keeping.answered(state, peer.node, session, effect)


def _to_session(state: RoutingState, peer: Peer, message: list[Any]) -> None:
    session = seating.heard(state, peer, message[1], message[2])
    if session is not None:
        seating.told(state, (_EFFECTS[message[0]], session.user, *message[3:]))


_EFFECTS: Mapping[int, int] = MappingProxyType(
    {
        codes.ACCEPTED: effects.ACCEPTED,
        codes.GAP: effects.GAP,
        codes.BUSY: effects.BUSY,
        codes.REFUSED: effects.REFUSED,
        codes.DELIVER: effects.DELIVER,
        codes.RECEIPT: effects.RECEIPT,
        codes.CONFIRMED: effects.CONFIRM,
    }
)


def sessions(state: RoutingState, peer: Peer, message: list[Any]) -> bool:
    """One of SESSIONS. False: it makes no sense."""
    code = message[0]
    if code == codes.ASK:
        if not reading.take_ask(message):
            return _pass_over(state, codes.SESSIONS, reading.ASKS, message, 2)
        asking.asked(state, peer, message[1], message[2], message[3], tuple(message[4:]))
        return True
    if code == codes.ANSWER:
        if not reading.take_answer(message):
            return _pass_over(state, codes.SESSIONS, reading.ANSWERS, message, 2)
        asking.answered(state, peer, message[1], _outcome(message[2], message[3:]))
        return True
    if not reading.take(reading.SESSIONS, message):
        return _pass_over(state, codes.SESSIONS, reading.SESSIONS, message)
    if code == codes.ONLINE:
        p, entries = message[1:]
        if p >= state.ways.partitions:
            return False
        hosting.online(state, peer, p, entries)
    elif code == codes.OFFLINE:
        hosting.offline(state, peer, message[1])
    else:
        asking.lost(state, peer.node)
        hosting.forget_sessions(state, peer)
    return True


def receipts(state: RoutingState, peer: Peer, message: list[Any]) -> bool:
    """One of RECEIPTS. False: it makes no sense."""
    if not reading.take(reading.RECEIPTS, message):
        return _pass_over(state, codes.RECEIPTS, reading.RECEIPTS, message)
    return telling.received(state, peer, message)


def _pass_over(
    state: RoutingState, channel: str, shapes: Mapping[int, reading.Shape], message: list[Any], place: int = 0
) -> bool:
    """Whether a message that isn't as it should be is one of a newer release, by the code that stands there."""
    if len(message) <= place or reading.is_known(shapes, message[place]):
        return False
    state.unknown[channel].note(*message[: place + 1 : place or 1])
    return True


def _outcome(code: int, fields: list[Any]) -> Outcome | None:
    if code == codes.PIN_SENT:
        return PinSent(*fields)
    if code == codes.REGISTERED:
        return Registered(*fields)
    if code == codes.LOGGED_IN:
        user, stream, generation, *login = fields
        return LoggedIn(user, stream, generation, (login[0], login[1]))
    if code == codes.REFUSAL:
        return Refused(*fields)
    return None
