"""Receipts between primaries (`node.mail.telling`): TELL to whoever is the sender's primary, TOLD back to whoever told.

Over links of their own, so that a crowd of receipts delays no message. What finds no room or nobody is told again by
the mail core's own time, and at once when a link or a claim is new.

    (TELL, sender, recipient, stream, delivered, expired, read)        sets in their stored form: [first, last, …]
    (TOLD, sender, recipient, stream, delivered, expired, read)        it is durable here
"""

from typing import Any

from node.mail import telling
from node.mail.state import Effect
from node.routing import codes
from node.routing.homes import home
from node.routing.state import Peer, RoutingState


def tell(state: RoutingState, effect: Effect) -> None:
    """The mail core's TELL."""
    ways = state.ways
    p = home(state, effect[1])
    target = ways.primary_of(p)
    if target == ways.me:
        if p in state.served:
            telling.heard(state.mail, ways.me, *effect[1:])
    elif target is not None:
        peer = state.peers.get(target)
        if peer is not None and peer.receipts:
            ways.send(target, codes.RECEIPTS, (codes.TELL, *effect[1:]))


def told(state: RoutingState, effect: Effect) -> None:
    """The mail core's TOLD."""
    ways = state.ways
    teller: bytes = effect[1]
    if teller == ways.me:
        telling.told(state.mail, *effect[2:])
    else:
        ways.send(teller, codes.RECEIPTS, (codes.TOLD, *effect[2:]))


def received(state: RoutingState, peer: Peer, message: list[Any]) -> None:
    """A sound message of RECEIPTS."""
    code = message[0]
    if code == codes.HELLO:
        telling.hurry(state.mail)
    elif code == codes.TOLD:
        telling.told(state.mail, *message[1:])
    elif home(state, message[1]) in state.served:
        telling.heard(state.mail, peer.node, *message[1:])
