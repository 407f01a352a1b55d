"""Which nodes are to have a copy of a partition that this node is primary of, and so get its stream."""

from replication.claim import Claim
from replication.core.state import LIVE, Partition, ReplicaState


def of(state: ReplicaState, part: Partition) -> set[bytes]:
    """The nodes that get the partition's stream: the heir, spares if more than two copies are wanted, and who is to
    replace an heir that is in the wrong place."""
    claim = part.claim
    if claim is None or claim.primary != state.me or part.copy != LIVE:
        return set()
    found = spares(state, part, claim)
    if claim.heir is not None:
        found.add(claim.heir)
    successor = replacement(state, part)
    if successor is not None:
        found.add(successor)
    return found


def spares(state: ReplicaState, part: Partition, claim: Claim) -> set[bytes]:
    """The first in rank besides the claim's primary and heir, if more than two copies are wanted."""
    found: set[bytes] = set()
    if state.settings.copies > 2:
        wanted = state.settings.copies - (1 if claim.heir is None else 2)
        for node in state.ranked(part.number):
            if len(found) >= wanted:
                break
            if node not in (claim.primary, claim.heir):
                found.add(node)
    return found


def replacement(state: ReplicaState, part: Partition) -> bytes | None:
    """Who is to become heir instead of one that is to have no copy any more, or that stands in for another: the first
    in rank that is there."""
    claim = part.claim
    assert claim is not None
    if claim.heir is None or state.settings.copies < 2:
        return None
    ranked = state.ranked(part.number)
    if claim.heir in ranked:
        if part.number not in state.rehoming:
            return None
        ranked = ranked[: state.settings.copies]
    for node in ranked:
        if node == claim.heir:
            return None
        peer = state.peers.get(node)
        if peer is not None and state.reachable(peer):
            return node
    return None
