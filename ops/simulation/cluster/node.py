"""A node of the world of a cluster: sessions of anybody, routed to whoever is the primary of what they speak of.

What a node's composition does is done here: frames are handed to the edge, what comes over links to the router, and
each of them is a pass: the replica, the mail core and the router are drained until they are quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from node.mail import effects
from node.mail.driver import MailDriver
from node.mail.replicated import Replicated
from node.mail.rows import MailTables
from node.mail.state import Effect, MailState
from node.mail.tables import MAIL
from node.routing import codes
from node.routing.router import Router
from node.routing.settings import RoutingSettings
from node.routing.state import RoutingState
from ops.simulation.cluster.accounts import Everybody
from ops.simulation.cluster.belonging import DIGEST, Belonging, Held, founder, is_written, write
from ops.simulation.cluster.edge import Edge, EdgePhones
from ops.simulation.cluster.events import Belongs, Carried, Connected
from ops.simulation.cluster.links import SimLinks
from ops.simulation.cluster.phone import EdgeSession
from ops.simulation.machine import Machine
from ops.simulation.mail.events import Said
from ops.simulation.mail.node import CHECK_EVERY, GROUP, MailNode, MailSurroundings
from ops.simulation.mail.phone import Session
from ops.simulation.tables.claims import name_of, node_of
from ops.simulation.tables.node import CONTROL, LIVENESS
from replication.carrier import Carrier
from replication.core import replica
from replication.core.state import ReplicaState
from replication.detector import Detector
from replication.detectorstate import BEAT, BOOT_SIZE, STATE
from replication.membership.errors import MembershipError
from replication.membership.member import REMOVED
from replication.membership.roster import Entry
from replication.membership.settings import MembershipSettings
from replication.placed import Placed
from replication.tables import CLUSTER
from replication.zeromq.errors import MembersUnusable
from store.errors import StoreError
from store.group import OpenGroup
from store.schema import Group


class ClusterSurroundings(MailSurroundings, Protocol):
    """What a node is told of the world that it is in."""

    routing: RoutingSettings
    membership: MembershipSettings
    link_window: int
    clients_move: bool
    founders: int
    servers: int
    joined: dict[int, Sequence[Entry]]
    """What those were told who have joined."""
    gone: set[int]
    """Those who have left."""
    phones: EdgePhones

    def removed(self, node: int) -> None:
        """A node has left."""
        ...

    def operated(self, what: str, arguments: tuple[Any, ...], outcome: Any) -> None:
        """What an operator was told."""
        ...


class ClusterNode(MailNode):
    """One life of a node."""

    around: ClusterSurroundings

    def __init__(self, machine: Machine, around: ClusterSurroundings) -> None:
        super().__init__(machine, around)
        self.me = self.name
        self.partitions = around.partitions[GROUP]
        self.accounts = Everybody(machine.hand)
        self.belonging: Belonging | None = None  # None: it is no member

    def start(self) -> None:
        """Open the store; if this node is a member, take over what the former life has left, and open links."""
        around = self.around
        rows = around.joined.get(self.number)
        founders = [founder(node, around.servers) for node in range(around.founders)]
        if self.number in around.gone:
            return
        if self.number >= around.founders:
            if rows is None:
                return
            founders = []
        self.open_store()
        assert self.store is not None
        if rows is not None and not is_written(self.store):
            write(self.store, rows, configured=True)
        try:
            belonging = Belonging(self.number, self.store, founders, around.membership, self)
        except MembersUnusable:
            return
        self._begin(belonging)
        self.belonging = belonging
        self.meet(belonging.others())
        belonging.membership.apply(())
        self.around.trace.observe(Belongs(self.number))

    def _begin(self, belonging: Belonging) -> None:
        machine, around = self.machine, self.around
        times = machine.times
        self._steady = int(times.wall() * 1000) - times.monotonic_ms()
        now = times.monotonic_ms()
        self.links = SimLinks(machine.life, codes.CHANNELS, self, self._carry, around.link_window)
        members = belonging.membership.nodes
        self.detector = Detector(self.name, members, machine.hand.randbytes(BOOT_SIZE), around.detector, now)
        belonging.detector = self.detector
        assert self.store is not None
        group = self.store.group(GROUP)
        placed = Placed(group=MAIL, partitions=self.partitions, caches=True)
        ranked = belonging.membership.ranked(placed)
        state = self.replica(group, members, ranked, now)
        belonging.membership.use(placed, state)
        self.carriers[GROUP] = self.carrier(state, group)
        belonging.groups[GROUP] = Held(placed, self.carriers[GROUP])

    def declared(self) -> tuple[Group, ...]:
        """The group `mail`, and what a node knows of its cluster."""
        return (*super().declared(), CLUSTER)

    def carrier(self, state: ReplicaState, group: OpenGroup) -> Carrier:
        """The replica's, the mail core that stands on it, and the router before that."""
        around = self.around
        carrier = Carrier(state, group, partial(self._send, group.name), self)
        self.state = state
        self.mail = MailState(around.mail, self._now())
        self.edge = Edge(self.number, around.phones, around.trace)
        self.router = Router(RoutingState(around.routing, self, self.mail, self.accounts, self.edge))
        self.edge.router = self.router
        tables = MailTables(group, around.partition_of, self._kept_since, around.mail.mailbox_messages_max)
        outlets = dict(self.router.outlets())
        outlets[effects.ACCEPTED] = partial(self._said, outlets[effects.ACCEPTED])
        self.driver = MailDriver(
            self.mail, tables, outlets, _known, _wiped, Replicated(carrier), self.router.ended
        )
        carrier.claimed = self.router.claimed
        return carrier

    # ---- what the router asks (`node.routing.surroundings.Ways`) --------------------------------------

    def partition_of(self, user: int) -> int:
        """Where a user lives."""
        return self.around.partition_of(user)

    def primary_of(self, p: int) -> bytes | None:
        """By the claim that this node knows."""
        claim = self.state.parts[p].claim
        return None if claim is None else claim.primary

    def epoch_of(self, p: int) -> int:
        """Of that claim."""
        claim = self.state.parts[p].claim
        return 0 if claim is None else claim.epoch

    def _send(self, channel: str, peer: bytes, message: Sequence[Any]) -> None:
        if channel == CONTROL and self.belonging is not None:
            message = self.belonging.beating(message)
        super()._send(channel, peer, message)

    def send(self, peer: bytes, channel: str, message: tuple[object, ...]) -> bool:
        """To another node's router."""
        sent = self.links.send(peer, channel, message)
        if sent:
            self.around.trace.observe(Carried(self.number, channel))
        return sent

    def reset(self, peer: bytes, channel: str) -> None:
        """What it says makes no sense, which is never so here."""
        raise AssertionError(f"node {self.number} makes nothing of what {peer!r} says on {channel}")

    def public_of(self, peer: bytes) -> tuple[str, int] | None:
        """Its number serves as a port."""
        return ("node", node_of(peer)) if self.around.clients_move else None

    def may_register(self) -> bool:
        """Nobody does."""
        return False

    # ---- links ----------------------------------------------------------------------------------------

    def _carry(self, peer: bytes, words: Any) -> None:
        self._send(words[0], peer, words)

    def received(self, peer: bytes, channel: str, message: list[Any]) -> None:
        """A message of another node's router."""
        self.router.received(peer, channel, message)

    def connected(self, peer: bytes, channel: str) -> None:
        """A link can be used."""
        self.around.trace.observe(Connected(self.number, channel))
        self.router.connected(peer, channel)

    def disconnected(self, peer: bytes, channel: str) -> None:
        """It can't any more."""
        self.router.disconnected(peer, channel)

    def deliver(self, peer: int, channel: str, message: Any) -> None:
        """A message came. What nobody says who belongs to the cluster isn't heard."""
        belonging, name = self.belonging, name_of(peer)
        if belonging is None or not belonging.knows(name):
            return
        self._set_now()
        if channel in codes.CHANNELS:
            self.links.received(name, message)
            self._pass()
        elif channel != CONTROL:
            super().deliver(peer, channel, message)
        elif belonging.received(name, message):
            self._pass()
        else:
            beats = message[0] == BEAT
            super().deliver(peer, channel, message[:DIGEST] if beats else message)

    def tick(self, now: int) -> None:
        """Time went by."""
        if self.belonging is None:
            return
        self._set_now()
        self.links.tick(self.state.now)
        self.accounts.tick()
        self.router.tick()
        self.belonging.tick()
        super().tick(now)
        if self.belonging.state == REMOVED:
            self.around.removed(self.number)

    def waiting_groups(self) -> Sequence[str]:
        """Groups that have something to commit."""
        if self.belonging is None:
            return ()
        assert self.store is not None
        return [group.name for group in self.store.groups if group.queue_length]

    def disk_step(self, group: str) -> None:
        """Commit."""
        assert self.store is not None
        self.store.group(group).step_inline()

    def _detected(self, effects: Sequence[Any], now: int) -> None:
        if self.belonging is not None:
            for effect in effects:
                if effect[0] == STATE:
                    self.belonging.membership.judged(effect[1])
        super()._detected(effects, now)

    # ---- what membership asks (`belonging.Peers`) ----------------------------------------------------

    def control(self, peer: bytes, message: Sequence[Any]) -> None:
        """Over the control link."""
        self._send(CONTROL, peer, message)

    def meet(self, peers: Sequence[bytes]) -> None:
        """Links to these, and to nobody else."""
        self.links.meet(peers)

    def think(self, state: ReplicaState, peer: bytes) -> None:
        """What is thought of a peer that the replica has from now on."""
        if peer in state.peers and peer in self.detector.state.peers:
            replica.liveness(state, peer, LIVENESS[self.detector.state_of(peer)])

    def now(self) -> int:
        """Monotonic."""
        return self.machine.times.monotonic_ms()

    def move(self, group: str, p: int, target: int) -> None:
        """An operator moves a partition, if it is served here and the target is a member."""
        if self.belonging is not None and self.belonging.knows(name_of(target)):
            super().move(group, p, target)

    def operate(self, what: str, *arguments: Any) -> None:
        """An operator does something to the cluster, here."""
        if self.belonging is None:
            return
        self._set_now()
        with suppress(StoreError, MembershipError):
            self.around.operated(what, arguments, getattr(self.belonging, what)(*arguments))
        self._pass()

    def _set_now(self) -> None:
        self.mail.now = self._now()
        self.state.now = self.links.now = self.machine.times.monotonic_ms()

    # ---- what the replica says ------------------------------------------------------------------------

    def serve(self, partition: int, epoch: int) -> None:
        """This node is the partition's primary, perhaps under another claim than before."""
        super().serve(partition, epoch)
        self.router.serve((partition,))

    def cease(self, partition: int) -> None:
        """It isn't."""
        self.router.cease((partition,))
        super().cease(partition)

    # ---- a pass ---------------------------------------------------------------------------------------

    def _drain(self, carrier: Carrier) -> None:
        """Everything that was asked for, until all are quiet; then what was gathered for links is said."""
        self.mail.now = self._now()
        carrier.drain()
        self.driver.drain()
        self.driver.tick()
        carrier.drain()
        self.driver.drain()
        self.router.end_pass()
        self.driver.drain()
        carrier.drain()
        self._passes += 1
        if self._passes % CHECK_EVERY == 0:
            self.mail.check()
            self.router.check()

    # ---- phones that are here -------------------------------------------------------------------------

    def connect(self, session: Session) -> None:
        """Somebody connects, and logs in. Who is no member listens to no phones."""
        if self.belonging is None:
            return
        self._set_now()
        self.edge.connect(_own(session))
        self._pass()

    def leave(self, session: Session) -> None:
        """The connection is gone."""
        if self.belonging is None:
            return
        self._set_now()
        self.edge.leave(_own(session))
        self._pass()

    def frame(self, session: Session, verb: str, *f: Any) -> None:
        """A frame of a session."""
        if self.belonging is None:
            return
        self._set_now()
        self.edge.frame(_own(session), verb, *f)
        self._pass()

    def _said(self, tell: Callable[[Effect], None], effect: Effect) -> None:
        """The mail core says `accepted`, to a sender who may be here or elsewhere."""
        _, sender, recipient, stream, first, last, how = effect
        self.around.trace.observe(Said(self.number, (recipient, sender, stream), first, last, how))
        tell(effect)


def _own(session: Session) -> EdgeSession:
    assert isinstance(session, EdgeSession)
    return session


def _known(user: int) -> bool:
    return True


def _wiped(user: int, generation: int) -> None:
    """No device is ever replaced here."""
