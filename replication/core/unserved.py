"""Partitions that nobody serves, as far as this node knows, and since when: neither itself, nor a primary that it
reaches.

It is for those who watch; nothing is decided by it. A primary that is reached and doesn't serve lists the partition
itself.
"""

from replication.core.state import MOVING, SERVING, Partition, ReplicaState


def tick(state: ReplicaState) -> None:
    """Look at everything once."""
    for part in state.parts:
        if _served(state, part):
            part.unserved_since = None
        elif part.unserved_since is None:
            part.unserved_since = state.now


def _served(state: ReplicaState, part: Partition) -> bool:
    if part.phase in (SERVING, MOVING):
        return True
    claim = part.claim
    if claim is not None and claim.primary in state.far and claim.primary not in state.peers:
        return True  # another cluster looks after it
    peer = state.peers.get(claim.primary) if claim is not None else None
    return peer is not None and state.reachable(peer)


def listed(state: ReplicaState) -> list[list[int]]:
    """[[partition, ms], …]"""
    return [
        [part.number, state.now - part.unserved_since]
        for part in state.parts
        if part.unserved_since is not None
    ]
