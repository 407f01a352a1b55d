"""Receipts between primaries (`node.mail.telling`): TELL to whoever is the sender's primary, TOLD back to whoever told.

Over links of their own, so that a crowd of receipts delays no message.

    (TELL, sender, recipient, stream, delivered, expired, read)        sets in their stored form: [first, last, …]
    (TOLD, sender, recipient, stream, delivered, expired, read)        it is durable here
    (READY, [p, …])                                                    tell what you tell of senders in these, again;
                                                                       and ask again for pairs in them (`retelling`)

Nobody is left to silence. Of whoever tells what isn't taken in, since its sender's partition isn't served here, there
is no room to load the receipt, it is dropped later, or there is no room for the answer, it is remembered that it told
of the partition, and READY follows as soon as that is mended: within a tick, for many partitions at once, however many
receipts they are. A release that doesn't know the word passes it over, and tells again by the mail core's own time. So
does everybody when a node, a link or TOLD is lost: READY is only ever sooner.

What finds no room in a link is told again before long; when a claim or a link is new, what goes there at once.
"""

from collections.abc import Collection
from typing import Any

from node.mail import retelling, telling
from node.mail.state import Effect
from node.routing import codes
from node.routing import retelling as routed
from node.routing.homes import home
from node.routing.state import Peer, RoutingState

# ---- at the pair's primary -------------------------------------------------------------------------------


def tell(state: RoutingState, effect: Effect) -> None:
    """The mail core's TELL."""
    ways = state.ways
    p = home(state, effect[1])
    target = ways.primary_of(p)
    if target == ways.me:
        if p in state.served and not telling.heard(state.mail, ways.me, *effect[1:]):
            telling.put_off(state.mail, *effect[1:4])
    elif target is not None:
        peer = state.peers.get(target)
        if peer is None or not peer.receipts:
            return  # it is told when there is a link
        if not ways.send(target, codes.RECEIPTS, (codes.TELL, *effect[1:])):
            state.counts.tells_choked += 1
            telling.put_off(state.mail, *effect[1:4])


def claimed(state: RoutingState, p: int) -> None:
    """Another node may be its primary."""
    telling.hurry(state.mail, p)
    retelling.hurry(state.mail, p)


def reached(state: RoutingState, node: bytes) -> None:
    """The link to it is new, or from it: what was told may be lost."""
    for p in {*state.mail.tell_rounds.homes(), *state.mail.notes.rounds.homes()}:
        if state.ways.primary_of(p) == node:
            claimed(state, p)


# ---- at the sender's primary -----------------------------------------------------------------------------


def told(state: RoutingState, effect: Effect) -> None:
    """The mail core's TOLD. If there is no room for it, it is asked for what it answers again, and says it then."""
    ways = state.ways
    teller: bytes = effect[1]
    if teller == ways.me:
        telling.told(state.mail, *effect[2:])
    elif not ways.send(teller, codes.RECEIPTS, (codes.TOLD, *effect[2:])):
        state.counts.told_choked += 1
        peer = state.peers.get(teller)
        if peer is not None:
            peer.untaken.add(home(state, effect[2]))
            peer.receipts_choked_at = state.mail.now


def served(state: RoutingState, partitions: Collection[int]) -> None:
    """This node serves them from now on: what it tells itself is due. Others hear READY at the next tick."""
    for p in partitions:
        claimed(state, p)


def ceased(state: RoutingState, partitions: Collection[int]) -> None:
    """This node doesn't: what was told and isn't answered is forgotten."""
    for peer in state.peers.values():
        lost = peer.telling.intersection(partitions)
        peer.telling -= lost
        peer.untaken |= lost


def tick(state: RoutingState) -> None:
    """Say READY, once for all that is. A link that was full a moment ago is given time first."""
    room = telling.has_room(state.mail) and retelling.has_room(state.mail)
    before = state.mail.now - state.settings.reopen_ms
    for peer in state.peers.values():
        if not (room and peer.untaken and peer.receipts) or peer.receipts_choked_at > before:
            continue
        ready = sorted(peer.untaken & state.served)[: codes.READY_MAX]
        if ready and state.ways.send(peer.node, codes.RECEIPTS, (codes.READY, ready)):
            peer.untaken.difference_update(ready)
            state.counts.tells_called += len(ready)


# ---- both ------------------------------------------------------------------------------------------------


def received(state: RoutingState, peer: Peer, message: list[Any]) -> bool:
    """A message of RECEIPTS, whose members are sound. False: it makes no sense all the same."""
    code = message[0]
    if code == codes.TELL:
        _heard(state, peer, message)
    elif code == codes.TOLD:
        telling.told(state.mail, *message[1:])
    elif code == codes.READY:
        for p in message[1]:
            if p >= state.ways.partitions:
                return False
            if state.ways.primary_of(p) == peer.node:
                claimed(state, p)
    elif code == codes.RETELL:
        routed.asked(state, peer, message)
    elif code == codes.RETOLD:
        retelling.answered(state.mail, *message[1:])
    else:
        peer.telling.clear()
        peer.untaken.clear()  # it tells all of it anew
        reached(state, peer.node)
    return True


def _heard(state: RoutingState, peer: Peer, message: list[Any]) -> None:
    p = home(state, message[1])
    if p not in state.served:
        state.counts.tells_unserved += 1
        peer.untaken.add(p)
    elif telling.heard(state.mail, peer.node, *message[1:]):
        peer.telling.add(p)
    else:
        peer.untaken.add(p)
