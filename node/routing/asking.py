"""Account requests: put to the primary of the user's partition, wherever it is, and answered by a callback.

A request that a claim or a link interrupts is put again to whoever is the primary then. A login and a registration
come to the same however often they are put; a PIN would be sent twice, so who asked for one is told to ask again.
If a node doesn't serve the partition, all that is asked about its users waits until that node says SERVED, or another
claim is known. In case neither is heard, one request is put all the same after a pause, which doubles: however many
phones come back at once after a failover, they don't ask in vain. This module must never show what a request carries.
"""

from functools import partial
from typing import Any, Final

from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Refused, Registered
from node.mail import presence
from node.routing import awaiting, codes, hosting
from node.routing.homes import home_once
from node.routing.state import Asking, Away, Peer, RoutingState
from node.routing.surroundings import Done
from node.wire import errors

NOT_NOW = "the server that knows this number can't be reached now"
NO_MAJORITY = "the servers of this cluster don't see one another now"
PAUSES: Final = 8
"""The first one, when a node has said that it doesn't serve, is so much shorter than the longest, `reopen_ms`."""


def ask(state: RoutingState, what: int, user: int, fields: tuple[Any, ...], done: Done) -> None:
    """`done` is called once, now or later."""
    p = home_once(state, user)
    if p in state.served and state.ways.primary_of(p) == state.ways.me:
        state.counts.asks += 1
        _serve(state, p, what, user, fields, done)
        return
    settings = state.settings
    if len(state.asks) >= settings.asks_max:
        state.counts.asks_failed += 1
        done(_not_now(state))
        return
    state.counts.asks += 1
    state.asked += 1
    until = state.mail.now + settings.ask_ms_max
    asking = state.asks[state.asked] = Asking(state.asked, what, user, p, fields, done, until)
    _put(state, asking)


def _not_now(state: RoutingState, text: str = NOT_NOW) -> Refused:
    return Refused(errors.OVERLOADED, text, state.settings.retry_ms)


def _put(state: RoutingState, asking: Asking) -> None:
    """To whoever is the primary; if nobody can be reached, again at the next tick."""
    ways, p = state.ways, asking.part
    target = ways.primary_of(p)
    if target == ways.me:
        if p in state.served:
            del state.asks[asking.number]
            _serve(state, p, asking.what, asking.user, asking.fields, asking.done)
        return
    peer = state.peers.get(target) if target is not None else None
    if peer is None or not peer.sessions or _is_vain(state, p, peer.node):
        return
    message = (codes.ASK, asking.number, asking.what, asking.user, *asking.fields)
    if ways.send(peer.node, codes.SESSIONS, message):
        asking.peer = peer.node


def _is_vain(state: RoutingState, p: int, node: bytes) -> bool:
    """Whether this node has just said that it doesn't serve it. When that was long ago, one request may find out."""
    away, now = state.away.get(p), state.mail.now
    if away is None or away.node != node:
        return False
    if now < away.until:
        return True
    state.away[p] = _away(state, node, 2 * away.pause)
    return False


def _away(state: RoutingState, node: bytes, pause: int) -> Away:
    pause = min(pause, state.settings.reopen_ms)
    return Away(node, pause, state.mail.now + pause)


def _serve(state: RoutingState, p: int, what: int, user: int, fields: tuple[Any, ...], done: Done) -> None:
    """A request about a user whose primary is this node."""
    accounts = state.accounts
    then = partial(_outcome, state, p, done)
    if what == codes.LOGIN:
        nonce, certificate, signature, address = fields
        accounts.login(user, nonce, certificate, signature, address, then)
    elif what == codes.REGISTER:
        pin, key, stream, address = fields
        refuse = partial(_refuse, state, done)
        put = partial(accounts.register, user, pin, key, stream, address, then)
        if awaiting.may_register(state, p):
            put()
        elif not (awaiting.ask(state, p) and awaiting.add(state, p, put, refuse)):
            refuse()
    elif not awaiting.ask(state, p):
        _refuse(state, done)
    else:
        (address,) = fields
        accounts.request_pin(user, address, then)


def _refuse(state: RoutingState, done: Done) -> None:
    state.counts.asks_failed += 1
    done(_not_now(state, NO_MAJORITY))


def _outcome(state: RoutingState, p: int, done: Done, outcome: Outcome) -> None:
    if isinstance(outcome, Registered):
        presence.registered(state.mail, outcome.user)
    if (isinstance(outcome, Registered) and not state.ways.may_register(p)) or (
        isinstance(outcome, PinSent) and not state.ways.may_be_pledged(p)
    ):
        # The majority went while this was written, and with it the heir, perhaps, for which it waited.
        state.counts.asks_failed += 1
        outcome = _not_now(state, NO_MAJORITY)
    elif isinstance(outcome, LoggedIn):
        if outcome.user in state.mail.wipes or p not in state.served:
            done(_not_now(state))
            return
        login = hosting.next_login(state, p)
        outcome = LoggedIn(outcome.user, outcome.stream, outcome.generation, login)
    done(outcome)


# ---- the other side --------------------------------------------------------------------------------------


def asked(
    state: RoutingState, peer: Peer, number: int, what: int, user: int, fields: tuple[Any, ...]
) -> None:
    """ASK."""
    p = home_once(state, user)
    if p in state.served:
        _serve(state, p, what, user, fields, partial(_answer, state, peer, number))
    else:
        state.wanting.setdefault(p, {})[peer.node] = None
        _say(state, peer, (codes.ANSWER, number, codes.NOT_HERE))


def _answer(state: RoutingState, peer: Peer, number: int, outcome: Outcome) -> None:
    fields: tuple[Any, ...]
    if isinstance(outcome, PinSent):
        fields = (codes.PIN_SENT, outcome.user, outcome.retry_ms, outcome.valid_ms)
    elif isinstance(outcome, Registered):
        fields = (
            codes.REGISTERED, outcome.user, outcome.generation, outcome.replaced, outcome.old_stream,
        )  # fmt: skip
    elif isinstance(outcome, LoggedIn):
        fields = (
            codes.LOGGED_IN, outcome.user, outcome.stream, outcome.generation, *outcome.login,
        )  # fmt: skip
    else:
        fields = (codes.REFUSAL, outcome.code, outcome.text, outcome.retry_ms)
    _say(state, peer, (codes.ANSWER, number, *fields))


def _say(state: RoutingState, peer: Peer, message: tuple[Any, ...]) -> None:
    """An answer that finds no room is missed, and the request ends by its own time."""
    if not state.ways.send(peer.node, codes.SESSIONS, message):
        state.counts.choked += 1


def answered(state: RoutingState, peer: Peer, number: int, outcome: Outcome | None) -> None:
    """ANSWER; None: it isn't there."""
    asking = state.asks.get(number)
    if asking is None or asking.peer != peer.node:
        return
    p = asking.part
    away = state.away.get(p)
    if outcome is None:
        state.counts.asks_again += 1
        asking.peer = None
        if away is None or away.node != peer.node:
            state.away[p] = _away(state, peer.node, max(1, state.settings.reopen_ms // PAUSES))
    else:
        if away is not None and away.node == peer.node:
            called(state, p)
        del state.asks[number]
        asking.done(outcome)


def lost(state: RoutingState, node: bytes) -> None:
    """What was put to this node, or answered by it, may be lost."""
    for p in [p for p, away in state.away.items() if away.node == node]:
        called(state, p)
    for asking in [one for one in state.asks.values() if one.peer == node]:
        if asking.what == codes.PIN:
            _fail(state, asking)
        else:
            _put_again(state, asking)


def claimed(state: RoutingState, p: int) -> None:
    """Its claim may be another one: what is asked is put to its primary when the pass ends."""
    if state.asks:
        state.asks_due.add(p)


def called(state: RoutingState, p: int) -> None:
    """SERVED: the same, though that node has said that it doesn't serve it."""
    state.away.pop(p, None)
    claimed(state, p)


def flush(state: RoutingState) -> None:
    """The end of a pass."""
    due, state.asks_due = state.asks_due, set()
    for asking in [one for one in state.asks.values() if one.part in due]:
        _follow(state, asking)


def tick(state: RoutingState) -> None:
    """Time has passed."""
    for asking in tuple(state.asks.values()):
        if asking.until <= state.mail.now:
            _fail(state, asking)
        else:
            _follow(state, asking)


def _follow(state: RoutingState, asking: Asking) -> None:
    """To whoever is the primary now, if it isn't there. The link to the one before may stand while it is silent."""
    if asking.peer is None:
        _put(state, asking)
    elif asking.what != codes.PIN and state.ways.primary_of(asking.part) not in (None, asking.peer):
        _put_again(state, asking)


def _put_again(state: RoutingState, asking: Asking) -> None:
    state.counts.asks_again += 1
    asking.peer = None
    _put(state, asking)


def _fail(state: RoutingState, asking: Asking) -> None:
    state.counts.asks_failed += 1
    del state.asks[asking.number]
    asking.done(_not_now(state))
