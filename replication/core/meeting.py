"""Whether a primary has learned what others may have written while they were apart from it.

After a split one claim of a partition stands, and its primary serves at once; what was written on the other side comes
when it comes. For most of it that is soon enough. What mustn't be given away twice has to wait: so a peer counts only
when it has said, since it was away last, what it has that this node may lack, and nothing of that is on its way.

The question is a hail with a number: whoever knows our claims answers with all that it offers.
"""

from replication.core.state import Peer, ReplicaState


def parted(peer: Peer) -> None:
    """A peer isn't there, or its link is down: it may write what we don't hear of."""
    peer.met = False
    peer.meeting = 0
    peer.partings += 1


def question(state: ReplicaState, peer: Peer) -> int:
    """The number of what a peer is asked; 0: it has told already."""
    if peer.met:
        return 0
    if not peer.meeting:
        peer.meeting = state.serial()
    return peer.meeting


def told(state: ReplicaState, peer: Peer, ours: int, number: int) -> None:
    """A peer that knew all of our claims has told of all that it offers."""
    if ours == state.incarnation and number == peer.meeting:
        peer.met = True


def has_met(state: ReplicaState, node: bytes) -> bool:
    """Whether a member has told all that it may have, since it was away last; this node has."""
    if node == state.me:
        return True
    peer = state.peers.get(node)
    return peer is not None and peer.met


def is_whole(state: ReplicaState, p: int) -> bool:
    """Whether nothing of a partition is to be learned of anybody, as far as this node has been told."""
    return not any(p in peer.wanted for peer in state.peers.values())
