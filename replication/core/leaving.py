"""Copies that are not to be any more: of nodes that were taken out, of those that stood in for others, and of spares
when fewer copies are wanted.

Only the primary knows whether all copies that are to be are complete. So whoever has one too many asks it, and empties
its own when it is told so, and neither the claim nor the placement has become another one since. Nothing is emptied
that the primary has still to learn of.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, effects, holders, messages
from replication.core.state import SERVING, VOID, Partition, Peer, ReplicaState


def tick(state: ReplicaState) -> None:
    """Ask about what has been of no use for a while."""
    due: dict[bytes, list[list[int]]] = {}
    me = state.me
    for part in state.parts:
        claim = part.claim
        if claim is None or claim.primary == me or claim.heir == me or not _useless(state, part):
            part.useless_since = None
            continue
        if part.useless_since is None:
            part.useless_since = state.now
        # A node that may have copies may be asked to have this one again soon, and needs only the difference then.
        patience = state.settings.leave_ms if state.me in state.ranked(part.number) else 0
        if state.now - part.useless_since >= patience and part.claim is not None:
            due.setdefault(part.claim.primary, []).append([part.number, part.claim.epoch])
    for who, asked in due.items():
        peer = state.peers[who]
        if state.now - peer.spare_at >= state.settings.retry_ms:
            peer.spare_at = state.now
            state.out.append((effects.SEND, who, (messages.SPARE, asked)))


def _useless(state: ReplicaState, part: Partition) -> bool:
    """Whether this node has a copy, or some of one, and is to have none, as far as it knows."""
    claim = part.claim
    if not part.touched or part.copy == VOID or claim is None or state.me in (claim.primary, claim.heir):
        return False
    peer = state.peers.get(claim.primary)
    if peer is None or not state.reachable(peer) or part.number in peer.offers:
        return False
    if part.number in peer.source.opened or state.me in state.ranked(part.number)[: state.settings.copies]:
        return False
    return state.me not in holders.spares(state, part, claim)


def asked(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A peer asks whether its copies are needed."""
    free = []
    for p, epoch in message[1]:
        part = state.parts[p]
        claim = part.claim
        if claim is None or claim.primary != state.me or claim.epoch != epoch or part.phase != SERVING:
            continue
        needed = holders.of(state, part)
        if peer.id in needed or p in peer.stream.opened or p in peer.wanted:
            continue
        if state.settings.copies < 2 or (
            part.heir_live and all(p in state.peers[who].live for who in needed)
        ):
            free.append([p, epoch])
    if free:
        state.out.append((effects.SEND, peer.id, (messages.FREE, free)))


def told(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """The primary doesn't need them."""
    for p, epoch in message[1]:
        part = state.parts[p]
        claim = part.claim
        if claim is not None and (claim.epoch, claim.primary) == (epoch, peer.id) and _useless(state, part):
            claims.void(state, part)  # also on the streams of those that were its primaries before
            state.unsaved.add(p)
