"""A node's part in its cluster: passes around what the cluster's tasks bring, partitions that come and go, ways to
other nodes. Between the replica of the group `users` and the node's service; it holds neither mail nor sessions.

Partitions that come and go are gathered, and handed to mail and router when the carrier has been drained: dropping
looks at every session once, however many go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from node import majority
from node.routing import codes, hot
from node.routing.opening import is_needed
from replication.core import unasked
from replication.core.state import SERVING
from replication.zeromq import words
from replication.zeromq.address import Address
from replication.zeromq.errors import AddressUnusable
from store.store import Store

if TYPE_CHECKING:
    from node.assembling import Parts
    from node.memberservice import MemberService
    from replication.cluster import Cluster
    from replication.replicated import ReplicatedGroup

ROUNDS_MAX = 8
"""Of carrier and mail in one pass; what is left then goes on in the next one."""


class Partaking:
    """`begin`, `end`: the cluster's `Host`. `serve`, `cease`, `claimed`, `report`: its `Hosted`, of the group `users`.
    The rest: the router's `Ways`. Of use once `take_up` and `opened` were called."""

    def __init__(
        self,
        me: bytes,
        partitions: int,
        partition_of: Callable[[int], int],
        *,
        clients_move: bool = False,
    ) -> None:
        self.me = me
        self.partitions = partitions
        self.partition_of = partition_of
        self._clients_move = clients_move
        self.cluster: Cluster
        self.group: ReplicatedGroup
        self.parts: Parts
        self.service: MemberService
        self.is_open = False  # all of these are set
        self.served: set[int] = set()
        self.wipes_due = False  # a partition has come whose unfinished wipes weren't looked for
        self._since: dict[int, int] = {}
        self._gone: set[int] = set()
        self._come: set[int] = set()
        self._learned: set[int] = set()
        self._depth = 0
        self._own = False

    # ---- the cluster's Host --------------------------------------------------------------------

    def begin(self) -> None:
        """Within a pass of the hub it is a part of that; else a pass of its own."""
        if not self._depth:
            self._own = self.is_open and not self.service.in_pass
            if self._own:
                self.service.begin_pass()
        self._depth += 1

    def end(self) -> None:
        """The outermost one ends the pass; what was written to sessions goes out."""
        self._depth -= 1
        if not self._depth and self._own:
            self.service.end_pass()
            self.parts.hub.write_out()

    # ---- the group's Hosted --------------------------------------------------------------------

    def serve(self, partition: int, epoch: int) -> None:
        """This node is its primary, perhaps under another claim than before."""
        self._come.add(partition)

    def cease(self, partition: int) -> None:
        """It isn't, perhaps for a moment."""
        self._come.discard(partition)
        if partition in self.served:
            self._gone.add(partition)

    def claimed(self, partition: int) -> None:
        """Another claim is known."""
        self._learned.add(partition)

    def report(self, what: str, details: Mapping[str, Any]) -> None:
        """It was logged."""

    # ---- the end of a pass ---------------------------------------------------------------------

    def drain(self) -> None:
        """Everything that was asked for, of replica, mail and router, until all are quiet."""
        carrier, driver, router = self.group.carrier, self.service.driver, self.service.router
        carrier.state.now = self.cluster.now()
        carrier.drain()
        self._settle()
        driver.drain()
        driver.tick()
        for _ in range(ROUNDS_MAX):
            carrier.drain()
            self._settle()
            driver.drain()
            router.end_pass()
            if not (carrier.state.out or self.service.mail.out or self._gone or self._come or self._learned):
                return

    def _settle(self) -> None:
        """Hand over which partitions have come and gone."""
        if not (self._gone or self._come or self._learned):
            return
        driver, router = self.service.driver, self.service.router
        gone, self._gone = self._gone, set()
        come, self._come = self._come, set()
        learned, self._learned = self._learned, set()
        if gone:
            self.served -= gone
            router.cease(gone)
            driver.drop(gone)
            self.parts.accounts.ceased(gone)
        come -= self.served
        if come:
            self.served |= come
            sequence = self.group.group.sequence
            for p in come:
                self._since[p] = sequence
            driver.serve(come)
            router.serve(come)
            self.wipes_due = True
        for p in learned:
            router.claimed(p)

    # ---- what others ask of it -----------------------------------------------------------------

    def kept_since(self, p: int) -> int:
        """`MailTables.trusted_since`."""
        return self._since.get(p, 1)

    def is_mine(self, p: int) -> bool:
        """Whether this node is a partition's primary by its own claim. Also called on the committer's thread."""
        return unasked.is_mine(self.group.carrier.state, p)

    def has_news(self, p: int) -> bool:
        """Whether it has something that the primary hasn't asked for. Also called on the committer's thread."""
        return unasked.has_news(self.group.carrier.state, p)

    def serves(self, p: int) -> bool:
        """Whether it is served here. Also called on the reader's thread."""
        part = self.group.carrier.state.parts[p]
        return part.phase == SERVING and not part.ceased

    # ---- the router's Ways ---------------------------------------------------------------------

    def primary_of(self, p: int) -> bytes | None:
        """By the claim that this node knows. It is asked for when there is something to say: a link to another
        cluster is opened for it."""
        claim = self.group.carrier.state.parts[p].claim
        if claim is None:
            return None
        self.cluster.membership.far.reach(claim.primary)
        return claim.primary

    def holds(self, peer: bytes) -> bool:
        """Whether sessions here need a node of another cluster, or sessions there this one."""
        state = self.service.router.state
        there = state.peers.get(peer)
        if there is not None and there.remotes:
            return True
        return any(part.target == peer and is_needed(part) for part in state.parts)

    def epoch_of(self, p: int) -> int:
        """Of that claim."""
        claim = self.group.carrier.state.parts[p].claim
        return claim.epoch if claim is not None else 0

    def send(self, peer: bytes, channel: str, message: tuple[Any, ...]) -> bool:
        """Queue it for the link."""
        data = hot.encoded(message) if channel == codes.MESSAGES else None
        return self.cluster.send(peer, channel, message if data is None else words.alone(data))

    def reset(self, peer: bytes, channel: str) -> None:
        """Its link begins anew."""
        self.cluster.reset(peer, channel)

    def is_cut_off(self, peer: bytes) -> bool:
        """Whether the detector thinks that another member is dead, or that it doesn't hear this one."""
        return self.cluster.detector.is_cut_off(peer)

    def public_of(self, peer: bytes) -> tuple[str, int] | None:
        """Where phones find that node and no other, if they may be sent there."""
        if not self._clients_move:
            return None
        row = self.cluster.membership.roster.members.get(peer)
        if row is None or not row.public:
            return None
        try:
            address = Address.parse(row.public)
        except AddressUnusable:
            return None
        return address.host, address.port

    def may_register(self, p: int) -> bool:
        """Whether the partition is this cluster's, a majority of its active members is alive, as this node sees it, and
        nothing that any of them has of the partition is lacking here; and all of them have pledged it to this node."""
        cluster = self.cluster
        return majority.may_register(cluster.membership, self.group.carrier.state, p, cluster.is_alive)

    def may_be_pledged(self, p: int) -> bool:
        """The same, but for what of that majority has yet to pledge the partition to this node's claim: it is asked."""
        cluster = self.cluster
        return majority.may_be_pledged(cluster.membership, self.group.carrier.state, p, cluster.is_alive)

    def is_enough(self, copies: int) -> bool:
        """Whether a registration that is on so many nodes may be granted: as many as the active members can hold. Fewer
        is what one side of a split writes alone. What was written stands, though nobody was told: a wipe that it asks
        for is looked for."""
        copies_max = self.group.carrier.state.settings.copies
        enough = majority.has_enough(self.cluster.membership, copies, copies_max)
        self.wipes_due |= not enough
        return enough

    # ---- the composition root ------------------------------------------------------------------

    def take_up(self, group: ReplicatedGroup, parts: Parts, service: MemberService) -> None:
        """What serves phones stands on this replica."""
        self.group = group
        self.parts = parts
        self.service = service
        service.drain = self.drain

    def opened(self, cluster: Cluster) -> None:
        """The links run, and the groups are started; nothing is served yet."""
        self.cluster = cluster
        self.parts = attrs.evolve(self.parts, cluster=cluster)
        self.is_open = True
        cluster.membership.far.holds = self.holds
        for name in codes.CHANNELS:
            cluster.open_channel(name, RouteChannel(self.service, name))

    def deliver(self, store: Store) -> None:
        """Results of the store, before the hub runs."""
        self.begin()
        try:
            store.deliver_results()
        finally:
            self.end()

    def tick(self) -> None:
        """Time has passed."""
        with self.cluster.within():
            self.service.router.tick()


class RouteChannel:
    """One of the router's channels (`replication.hosting.Channel`)."""

    __slots__ = ("_name", "_service")

    def __init__(self, service: MemberService, name: str) -> None:
        self._service = service
        self._name = name

    def received(self, peer: bytes, message: list[Any]) -> None:
        """A message came."""
        self._service.router.received(peer, self._name, message)

    def connected(self, peer: bytes) -> None:
        """The link stands."""
        self._service.router.connected(peer, self._name)

    def disconnected(self, peer: bytes) -> None:
        """It doesn't any more."""
        self._service.router.disconnected(peer, self._name)
