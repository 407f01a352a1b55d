"""A node of the world of a cluster: sessions of anybody, routed to whoever is the primary of what they speak of.

What a node's composition does is done here: frames are handed to the edge, what comes over links to the router, and
each of them is a pass: the replica, the mail core and the router are drained until they are quiet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from node.mail import effects
from node.mail.driver import MailDriver
from node.mail.replicated import Replicated
from node.mail.rows import MailTables
from node.mail.state import Effect, MailState
from node.routing import codes
from node.routing.router import Router
from node.routing.settings import RoutingSettings
from node.routing.state import RoutingState
from ops.simulation.cluster.accounts import Everybody
from ops.simulation.cluster.edge import Edge, EdgePhones
from ops.simulation.cluster.links import SimLinks
from ops.simulation.cluster.phone import EdgeSession
from ops.simulation.machine import Machine
from ops.simulation.mail.events import Said
from ops.simulation.mail.node import CHECK_EVERY, GROUP, MailNode, MailSurroundings
from ops.simulation.mail.phone import Session
from ops.simulation.tables.claims import name_of, node_of
from replication.carrier import Carrier
from replication.core.state import ReplicaState
from store.group import OpenGroup


class ClusterSurroundings(MailSurroundings, Protocol):
    """What a node is told of the world that it is in."""

    routing: RoutingSettings
    link_window: int
    clients_move: bool
    phones: EdgePhones


class ClusterNode(MailNode):
    """One life of a node."""

    around: ClusterSurroundings

    def __init__(self, machine: Machine, around: ClusterSurroundings) -> None:
        super().__init__(machine, around)
        self.me = self.name
        self.partitions = around.partitions[GROUP]
        self.accounts = Everybody(machine.hand)

    def start(self) -> None:
        """Open the store, and links to everybody."""
        machine = self.machine
        self.links = SimLinks(machine.life, codes.CHANNELS, self, self._carry, self.around.link_window)
        super().start()
        self.links.meet([name_of(node) for node in range(self.around.nodes) if node != self.number])

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

    def send(self, peer: bytes, channel: str, message: tuple[object, ...]) -> bool:
        """To another node's router."""
        return self.links.send(peer, channel, message)

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
        self.router.connected(peer, channel)

    def disconnected(self, peer: bytes, channel: str) -> None:
        """It can't any more."""
        self.router.disconnected(peer, channel)

    def deliver(self, peer: int, channel: str, message: Any) -> None:
        """A message came."""
        if channel in codes.CHANNELS:
            self._set_now()
            self.links.received(name_of(peer), message)
            self._pass()
        else:
            super().deliver(peer, channel, message)

    def tick(self, now: int) -> None:
        """Time went by."""
        self._set_now()
        self.links.tick(self.state.now)
        self.accounts.tick()
        self.router.tick()
        super().tick(now)

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
        """Somebody connects, and logs in."""
        self._set_now()
        self.edge.connect(_own(session))
        self._pass()

    def leave(self, session: Session) -> None:
        """The connection is gone."""
        self._set_now()
        self.edge.leave(_own(session))
        self._pass()

    def frame(self, session: Session, verb: str, *f: Any) -> None:
        """A frame of a session."""
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
