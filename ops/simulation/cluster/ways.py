"""Where things are, as a node of the world of a cluster knows it: what the router asks (`surroundings.Ways`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node import majority
from node.routing.opening import is_needed
from ops.simulation.cluster.events import Carried
from ops.simulation.tables.claims import node_of
from replication.detectorstate import ALIVE

if TYPE_CHECKING:
    from ops.simulation.cluster.node import ClusterNode


class NodeWays:
    """Of one life of a node."""

    def __init__(self, node: ClusterNode) -> None:
        self.me = node.name
        self.partitions = node.partitions
        self._node = node

    def partition_of(self, user: int) -> int:
        """Where a user lives."""
        return self._node.around.partition_of(user)

    def primary_of(self, p: int) -> bytes | None:
        """By the claim that this node knows. If it rests, a link to it is opened."""
        claim = self._node.state.parts[p].claim
        if claim is None:
            return None
        if self._node.belonging is not None:
            self._node.belonging.membership.far.reach(claim.primary)
        return claim.primary

    def epoch_of(self, p: int) -> int:
        """Of that claim."""
        claim = self._node.state.parts[p].claim
        return 0 if claim is None else claim.epoch

    def holds(self, peer: bytes) -> bool:
        """Whether sessions here need a node of another cluster, or sessions there this one."""
        state = self._node.router.state
        there = state.peers.get(peer)
        if there is not None and there.remotes:
            return True
        return any(part.target == peer and is_needed(part) for part in state.parts)

    def send(self, peer: bytes, channel: str, message: tuple[object, ...]) -> bool:
        """To another node's router."""
        node = self._node
        if node.belonging is not None and node.belonging.is_far(peer):
            node.belonging.membership.far.use(peer)
        sent = node.links.send(peer, channel, message)
        if sent:
            node.around.trace.observe(Carried(node.number, channel))
        return sent

    def reset(self, peer: bytes, channel: str) -> None:
        """What it says makes no sense, which is never so here."""
        raise AssertionError(f"node {self._node.number} makes nothing of what {peer!r} says on {channel}")

    def is_cut_off(self, peer: bytes) -> bool:
        """As its detector thinks."""
        return self._node.detector.is_cut_off(peer)

    def public_of(self, peer: bytes) -> tuple[str, int] | None:
        """Its number serves as a port."""
        return ("node", node_of(peer)) if self._node.around.clients_move else None

    def may_register(self, p: int) -> bool:
        """As a node's: it sees a majority of its cluster, and lacks nothing that these have."""
        node = self._node
        if node.belonging is None:
            return False
        return majority.may_register(node.belonging.membership, node.state, p, self._is_alive)

    def may_be_pledged(self, p: int) -> bool:
        """The same, but for pledges, which are asked for."""
        node = self._node
        if node.belonging is None:
            return False
        return majority.may_be_pledged(node.belonging.membership, node.state, p, self._is_alive)

    def _is_alive(self, node: bytes) -> bool:
        return node == self.me or self._node.detector.state_of(node) == ALIVE
