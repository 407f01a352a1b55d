"""Members that come and go while the replica runs.

Who came is hailed like anybody else. Who was removed is dead for good: what it claimed is taken over, what waits for it
goes elsewhere, and what nobody has a complete copy of is served, after a while, from what is left.
`state.ranked` names members only: who came is added before it is replaced, who goes is removed after. Nodes of other
clusters are peers only as long as there is something to be said to them.
"""

from replication.core import claims, effects, moving, pulling, rows
from replication.core.knowledge import Knowledge
from replication.core.state import Partition, Peer, ReplicaState

FORSAKEN_MS = 10_000
"""How long somebody with a complete copy has time to turn up, before a partition whose primary was removed is served
from what is left."""
STRANGER_MS = 5_000
"""A node of whom only claims tell may have come a moment ago. So long nobody takes over what it claims."""


def added(state: ReplicaState, member: bytes) -> None:
    """A node belongs to the cluster from now on."""
    state.departed.discard(member)
    if member != state.me and member not in state.peers:
        state.peers[member] = Peer(member)
        for part in state.parts:
            if part.claim is not None and part.claim.primary == member:
                claims.offer(state, part)  # others may have told of its claim before it was a peer


def parted(state: ReplicaState, member: bytes) -> None:
    """A node of another cluster is no peer for now. What it has of ours, and we of its, is forgotten, also on the disk:
    a cursor that nobody looks after would be believed when it is a peer again."""
    if _forget(state, member):
        state.out.append((effects.STORE, rows.of_known(member, Knowledge()), _written))


def _written(_: Exception | None) -> None:
    """If it wasn't, the next time will."""


def removed(state: ReplicaState, member: bytes) -> None:
    """A node never comes back."""
    state.departed.add(member)
    parted(state, member)


def _forget(state: ReplicaState, member: bytes) -> bool:
    """Whether it was a peer."""
    peer = state.peers.pop(member, None)
    if peer is None:
        return False
    # What is under way of it ends on its own, and nothing follows: no cursor is written behind the one that is reset.
    peer.source.queue.clear()
    peer.source.start = None
    peer.source.session = 0
    peer.pulls.clear()
    peer.wanted.clear()
    state.heard.discard(member)
    for part in state.parts:
        part.gathering.discard(member)
        if part.move_to == member:
            moving.give_up(state, part, f"node {member.hex()} is no peer any more")
        claim = part.claim
        if claim is not None and claim.primary == state.me and claim.heir == member:
            part.heir_live = False
            claims.measure(state, part)
        pulling.again(state, part.number)  # it may have ceased for what is wanted no more
    return True


def is_gone(state: ReplicaState, part: Partition, node: bytes) -> bool:
    """Whether a node that a claim names, and that is no peer, is gone: it was removed, or nobody has heard of it."""
    if node in state.departed:
        return True
    if node in state.far:
        return False
    since = part.unserved_since
    return node != state.me and since is not None and state.now - since >= STRANGER_MS


def is_forsaken(state: ReplicaState, part: Partition) -> bool:
    """Whether its primary was removed, and nobody with a complete copy has taken it over; if so, the heir serves what
    there is, or, if that is removed, too, the first in rank."""
    claim, since = part.claim, part.unserved_since
    if (
        claim is None
        or claim.primary not in state.departed
        or since is None
        or state.now - since < FORSAKEN_MS
    ):
        return False
    if claim.heir is not None and claim.heir not in state.departed:
        return claim.heir == state.me
    for node in state.ranked(part.number):
        if node == state.me:
            return True
        if node in state.far:
            return False
        if node in state.peers and state.reachable(state.peers[node]):
            return False
    return False
