"""Pairs that are to be told again (`node.mail.retelling`): RETELL to whoever is the pair's primary, RETOLD back to
whoever asked. Over the links of receipts (`telling`), whose READY calls for it as well.

    (RETELL, recipient, sender, stream, number)        tell the sender again all that the pair says
    (RETOLD, recipient, sender, stream, number)        that can't be forgotten any more

`number` is the asker's. A release that doesn't know the words passes them over; it is asked again, each 96 seconds in
the end, until it does.
"""

from typing import Any

from node.mail import retelling
from node.mail.state import Effect
from node.routing import codes
from node.routing.homes import home
from node.routing.state import Peer, RoutingState


def ask(state: RoutingState, effect: Effect) -> None:
    """The mail core's RETELL."""
    ways = state.ways
    p = home(state, effect[1])
    target = ways.primary_of(p)
    if target == ways.me:
        if p in state.served and not retelling.asked(state.mail, ways.me, *effect[1:]):
            retelling.put_off(state.mail, *effect[1:4])
    elif target is not None:
        peer = state.peers.get(target)
        if peer is None or not peer.receipts:
            return  # it is asked when there is a link
        if not ways.send(target, codes.RECEIPTS, (codes.RETELL, *effect[1:])):
            retelling.put_off(state.mail, *effect[1:4])


def asked(state: RoutingState, peer: Peer, message: list[Any]) -> None:
    """RETELL. Whoever isn't taken in, or is forgotten when this node ceases, hears READY."""
    p = home(state, message[1])
    if p in state.served and retelling.asked(state.mail, peer.node, *message[1:]):
        peer.telling.add(p)
    else:
        peer.untaken.add(p)


def retold(state: RoutingState, effect: Effect) -> None:
    """The mail core's RETOLD. If there is no room for it, it is asked for again, and said then."""
    asker: bytes = effect[1]
    if asker == state.ways.me:
        retelling.answered(state.mail, *effect[2:])
    elif not state.ways.send(asker, codes.RECEIPTS, (codes.RETOLD, *effect[2:])):
        peer = state.peers.get(asker)
        if peer is not None:
            peer.untaken.add(home(state, effect[2]))
            peer.receipts_choked_at = state.mail.now
