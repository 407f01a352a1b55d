"""A node of the world of a cluster: sessions of anybody, routed to whoever is the primary of what they speak of.

What a node's composition does is done here: frames are handed to the edge, what comes over links to the router, and
each of them is a pass: the replica, the mail core and the router are drained until they are quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import attrs

from node import majority
from node.accounts.tables import GROUP as ACCOUNTS
from node.mail import effects
from node.mail.driver import MailDriver
from node.mail.reconcile import Reconcile
from node.mail.replicated import Replicated
from node.mail.rows import MailTables
from node.mail.state import Effect, MailState
from node.mail.tables import MAIL
from node.routing import codes
from node.routing.router import Router
from node.routing.state import RoutingState
from ops.simulation.cluster.belonging import ROSTER, Belonging, Held, is_written, write
from ops.simulation.cluster.edge import Edge
from ops.simulation.cluster.ends import Knocks
from ops.simulation.cluster.events import Afar, Belongs, CalledEnded, Connected, LetIn, TurnedAway
from ops.simulation.cluster.links import SimLinks
from ops.simulation.cluster.phone import EdgeSession
from ops.simulation.cluster.registering import NodeAccounts
from ops.simulation.cluster.surroundings import ClusterSurroundings
from ops.simulation.cluster.ways import NodeWays
from ops.simulation.machine import Machine
from ops.simulation.mail.events import Said
from ops.simulation.mail.node import CHECK_EVERY, GROUP, MailNode
from ops.simulation.mail.phone import Session
from ops.simulation.tables.claims import name_of, node_of
from ops.simulation.tables.node import CONTROL, LIVENESS
from replication.carrier import Carrier
from replication.core import replica, unasked
from replication.core.state import ReplicaState
from replication.detector import Detector
from replication.detectorstate import BEAT, BOOT_SIZE, DEAD, LOOK, STATE
from replication.membership.errors import MembershipError
from replication.membership.member import REMOVED
from replication.placed import Placed
from replication.tables import CLUSTER, replicated
from replication.zeromq.errors import MembersUnusable
from store.errors import StoreError
from store.group import OpenGroup
from store.schema import Group

KEPT: Final = attrs.evolve(MAIL, tables=(*ACCOUNTS.tables, *MAIL.tables))
"""As a node's group `users`."""


class ClusterNode(MailNode):
    """One life of a node."""

    around: ClusterSurroundings

    def __init__(self, machine: Machine, around: ClusterSurroundings) -> None:
        super().__init__(machine, around)
        self.me = self.name
        self.partitions = around.partitions[GROUP]
        self.belonging: Belonging | None = None  # None: it is no member

    def start(self) -> None:
        """Open the store; if this node is a member, take over what the former life has left, and open links."""
        around = self.around
        founding = around.founding
        rows = around.joined.get(self.number, founding.rows if founding.has(self.number) else None)
        if self.number in around.gone or rows is None:
            return
        self.open_store()
        assert self.store is not None
        if rows and not is_written(self.store):
            write(self.store, rows, configured=True)
        configured = founding.configured if self.number not in around.joined else ()
        try:
            belonging = Belonging(self.number, self.store, configured, around.membership, self, around.files)
        except MembersUnusable:
            return
        self._begin(belonging)
        self.belonging = belonging
        belonging.membership.far.holds = self.ways.holds
        self.meet(belonging.links.kept_up())
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
        self.knocks = Knocks(partial(around.refuses, self.number))
        assert self.store is not None
        group = self.store.group(GROUP)
        placed = Placed(group=KEPT, partitions=self.partitions, caches=True, owned=True)
        ranked = belonging.membership.ranked(placed)
        state = self.replica(group, members, ranked, now)
        belonging.membership.use(placed, state)
        self.carriers[GROUP] = self.carrier(state, group)
        belonging.groups[GROUP] = Held(placed, self.carriers[GROUP])

    def declared(self) -> tuple[Group, ...]:
        """Mail and accounts in one group, and what a node knows of its cluster."""
        return (replicated(attrs.evolve(KEPT, reconcile=Reconcile(self._is_mine, self._has_news))), CLUSTER)

    def _has_news(self, p: int) -> bool:
        return unasked.has_news(self.state, p)

    def carrier(self, state: ReplicaState, group: OpenGroup) -> Carrier:
        """The replica's, the mail core that stands on it, and the router before that."""
        around = self.around
        carrier = Carrier(state, group, partial(self._send, group.name), self)
        self.state = state
        self.mail = MailState(around.mail, self._now())
        self.accounts = NodeAccounts(self, carrier, around.known, self.is_enough, around.pin_sent)
        self.edge = Edge(self.number, around.phones, around.trace)
        ways = self.ways = NodeWays(self)
        self.router = Router(RoutingState(around.routing, ways, self.mail, self.accounts, self.edge))
        self.edge.router = self.router
        tables = MailTables(group, around.partition_of, self._kept_since, around.mail.mailbox_messages_max)
        outlets = dict(self.router.outlets())
        outlets[effects.ACCEPTED] = partial(self._said, outlets[effects.ACCEPTED])
        self.driver = MailDriver(
            self.mail,
            tables,
            outlets,
            self.accounts.is_known,
            self.accounts.wiped,
            Replicated(carrier),
            self.router.ended,
        )
        carrier.claimed = self._claimed
        return carrier

    def _claimed(self, p: int) -> None:
        if self.belonging is not None:
            self.belonging.membership.far.claimed(GROUP, p)
        self.router.claimed(p)

    # ---- links ----------------------------------------------------------------------------------------

    def _send(self, channel: str, peer: bytes, message: Sequence[Any]) -> None:
        belonging = self.belonging
        if belonging is None or not belonging.links.keeps_up(peer):
            return
        if channel == CONTROL:
            message = belonging.beating(message)
        if channel not in codes.CHANNELS and self.links.clogs(peer, channel):
            return
        if belonging.is_far(peer):
            self.around.trace.observe(Afar(self.number, node_of(peer)))
        super()._send(channel, peer, (belonging.links.key, belonging.links.dialled(peer), message))

    def _carry(self, peer: bytes, words: Any) -> None:
        self._send(words[0], peer, words)

    def received(self, peer: bytes, channel: str, message: list[Any]) -> None:
        """A message of another node's router."""
        if self.belonging is not None and self.belonging.is_far(peer):
            self.belonging.membership.far.use(peer)
        self.router.received(peer, channel, message)

    def connected(self, peer: bytes, channel: str) -> None:
        """A link can be used."""
        self.around.trace.observe(Connected(self.number, channel))
        self.router.connected(peer, channel)

    def disconnected(self, peer: bytes, channel: str) -> None:
        """It can't any more. The link of the replica, which is none here, ends with those of the router: a node that
        has parted, and is a peer again, has forgotten what it was told."""
        self.router.disconnected(peer, channel)
        if channel == codes.SESSIONS:
            replica.disconnected(self.state, peer)

    def deliver(self, peer: int, channel: str, message: Any) -> None:
        """A message came. Whoever hasn't the key of a member isn't heard, nor whoever takes this node for another; and
        who rests may only call."""
        belonging, name = self.belonging, name_of(peer)
        if belonging is None:
            return
        key, dialled, words = message
        if not belonging.links.lets_in(name, key) or belonging.links.key not in dialled:
            self.around.trace.observe(TurnedAway(self.number, peer, key))
            return
        self._set_now()
        if channel != CONTROL and belonging.links.is_resting(name):
            return
        if channel in codes.CHANNELS:
            self.links.received(name, words)
            self._pass()
        elif channel != CONTROL:
            super().deliver(peer, channel, words)
        elif belonging.received(name, words):
            self._pass()
        else:
            beats = words[0] == BEAT
            super().deliver(peer, channel, words[:ROSTER] if beats else words)

    def knock(self, peer: int, key: str) -> None:
        """Somebody comes with this key, as that node."""
        belonging = self.belonging
        if belonging is not None and belonging.links.lets_in(name_of(peer), key):
            self.around.trace.observe(LetIn(self.number, peer, key))

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
        if self.around.ends:
            self._detected(self.knocks.tick(self.detector, self.state.now), self.state.now)
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
                    self._called(effect[1])
                elif effect[0] == LOOK:
                    self._look(*effect[1:])
        super()._detected(effects, now)

    def _called(self, peer: bytes) -> None:
        detector = self.detector
        if detector.state_of(peer) == DEAD and detector.has_ended(peer):
            peers = detector.state.peers
            others = sum(one.cluster == peers[peer].cluster for one in peers.values()) - 1
            event = CalledEnded(self.number, node_of(peer), detector.boot_of(peer), others)
            self.around.trace.observe(event)

    def _look(self, target: bytes, asker: bytes, nonce: int) -> None:
        found = self.around.refuses(self.number, node_of(target))
        if found is not None:
            self._detected(self.detector.knocked(target, asker, nonce, found), self.state.now)

    # ---- what membership asks (`belonging.Peers`) ----------------------------------------------------

    def control(self, peer: bytes, message: Sequence[Any]) -> None:
        """Over the control link."""
        self._send(CONTROL, peer, message)

    def meet(self, peers: Sequence[bytes]) -> None:
        """Links to these, and to nobody else."""
        self.links.meet(peers)

    def clog(self, peer: int, channel: str) -> None:
        """There is no room for what is to be said to a node on one channel, for now."""
        if self.belonging is not None:
            self.links.clogged.add((name_of(peer), channel))

    def unclog(self, peer: int, channel: str) -> None:
        """There is again."""
        if self.belonging is not None:
            self.links.clogged.discard((name_of(peer), channel))

    def break_links(self) -> None:
        """This node has another key: all begin anew."""
        self.links.break_all()

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
            self.around.operated(self.number, what, arguments, getattr(self.belonging, what)(*arguments))
        self._pass()

    def _set_now(self) -> None:
        self.mail.now = self._now()
        self.state.now = self.links.now = self.machine.times.monotonic_ms()

    # ---- what the replica says ------------------------------------------------------------------------

    def serve(self, partition: int, epoch: int) -> None:
        """This node is the partition's primary, perhaps under another claim than before."""
        super().serve(partition, epoch)
        self.accounts.served()
        self.router.serve((partition,))

    def cease(self, partition: int) -> None:
        """It isn't."""
        self.router.cease((partition,))
        super().cease(partition)
        self.accounts.ceased(partition)

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

    def is_enough(self, copies: int) -> bool:
        """Whether a registration that is on so many nodes may be granted."""
        assert self.belonging is not None
        return majority.has_enough(self.belonging.membership, copies, self.state.settings.copies)

    def request(self, what: str, *arguments: Any) -> None:
        """A phone that is nobody's yet asks for something."""
        if self.belonging is None:
            return
        self._set_now()
        getattr(self.router, what)(*arguments)
        self._pass()

    def steady_now(self) -> int:
        """Unix time in ms, of a clock that doesn't jump while the node lives."""
        return self._now()

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
