"""Whether what this node has of a partition may be nowhere else: its primary hasn't asked for it yet, or is this node.

Called on any thread: it looks at what is there for a moment, and remembers nothing.
"""

from replication.core.state import ReplicaState


def is_mine(state: ReplicaState, p: int) -> bool:
    """Whether this node is the partition's primary, by its own claim."""
    claim = state.parts[p].claim
    return claim is not None and claim.primary == state.me


def has_news(state: ReplicaState, p: int) -> bool:
    """Whether there is something here that wasn't its primary's, and that this hasn't asked beyond (`claims.offer`)."""
    claim = state.parts[p].claim
    peer = state.peers.get(claim.primary) if claim is not None else None
    return peer is not None and p in peer.offers
