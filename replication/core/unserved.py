"""Partitions that nobody serves, as far as this node knows, and since when: neither itself, nor a primary that it
reaches.

It is for those who watch; nothing is decided by it. A primary that is reached and doesn't serve lists the partition
itself.
"""

from replication.core.state import MOVING, SERVING, ReplicaState


def tick(state: ReplicaState) -> None:
    """Look at everything once."""
    # Another cluster looks after what its nodes serve, as long as they are no peers.
    there = state.far - state.peers.keys()
    there |= {peer.id for peer in state.peers.values() if state.reachable(peer)}
    for part in state.parts:
        claim = part.claim
        if part.phase in (SERVING, MOVING) or (claim is not None and claim.primary in there):
            part.unserved_since = None
        elif part.unserved_since is None:
            part.unserved_since = state.now


def listed(state: ReplicaState) -> list[list[int]]:
    """[[partition, ms], …]"""
    return [
        [part.number, state.now - part.unserved_since]
        for part in state.parts
        if part.unserved_since is not None
    ]
