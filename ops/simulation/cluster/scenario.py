"""Phones at any node of a cluster, writing to one another over all partitions, while nodes and links fail."""

from __future__ import annotations

from typing import ClassVar, Final

from node.routing.settings import RoutingSettings
from ops.simulation.checkers.answers import Answers
from ops.simulation.checkers.serving import Served
from ops.simulation.cluster.drawing import ANSWER_MS_MAX, NAME, PARTITIONS, PATIENCE_MS, USERS, plan
from ops.simulation.cluster.edge import EdgePhones
from ops.simulation.cluster.node import ClusterNode
from ops.simulation.cluster.phone import ClusterPhone, EdgeSession
from ops.simulation.machine import Machine
from ops.simulation.mail.node import GROUP, MailNode
from ops.simulation.mail.phone import Phone, Session
from ops.simulation.mail.scenario import Mail
from ops.simulation.plan import Plan
from ops.simulation.trace import DiskLost, Down, Fault, Peace, Up
from ops.simulation.world import World

LOOK_MS: Final = 20
"""Between two looks at what isn't answered, or isn't served."""
ANSWERED_MS: Final = ANSWER_MS_MAX + PATIENCE_MS + 100
"""What an edge takes is answered until then: open for nearly all of the first, and then nobody serves it."""
CALM_ANSWERED_MS: Final = 600
"""Where nothing happens: longer than a takeover, and than sends to a partition that nobody serves are kept."""
SERVED_MS: Final = 900
"""Where nothing happens, a partition of which a copy counts is served until then: a death is noticed in 200 ms, claims
are made durable, and others are asked what they have (`pull_wait_ms`, and again)."""


class Cluster(Mail):
    """One run of it."""

    name: ClassVar[str] = NAME
    partition_count: ClassVar[int] = PARTITIONS
    users: ClassVar[int] = USERS
    runs: ClassVar[type[MailNode]] = ClusterNode
    phones: EdgePhones

    def __init__(self, world: World) -> None:
        knobs = world.plan.knobs
        self.routing = RoutingSettings(**knobs["routing"])
        self.link_window: int = knobs["link_window"]
        self.clients_move: bool = knobs["clients_move"]
        self._sessions = 0
        self._happened = 0
        super().__init__(world)
        # Where a primary forgets soon at which edge a sender is, that edge gives the send back by its own time.
        soon = CALM_ANSWERED_MS if self.routing.origins_max >= USERS else ANSWERED_MS
        self.answers = Answers(
            lambda: world.clock.now, self._stands_still, self._calm_since, ANSWERED_MS, soon
        )
        self.served = Served(
            self.disks,
            GROUP,
            PARTITIONS,
            lambda: world.clock.now,
            lambda node: world.machines[node].up,
            self._calm_since,
            SERVED_MS,
        )
        self.checkers = (*self.checkers, self.answers, self.served)
        for kind in (Fault, Up, Down, DiskLost, Peace):
            world.trace.subscribe(kind, self._something_happened)
        world.clock.after(LOOK_MS, self._look)

    @classmethod
    def draw(cls, seed: int, nodes: int | None, steps: int) -> Plan:
        """Knobs, messages and faults."""
        return plan(seed, nodes, steps)

    def phone(self, user: int) -> Phone:
        """A user's device."""
        return ClusterPhone(user, self.world.plan.seed, self.nodes, self)

    def node(self, machine: Machine) -> ClusterNode:
        """One more life."""
        self.disks[machine.number] = machine.disk
        return ClusterNode(machine, self)

    # ---- between phones and nodes ---------------------------------------------------------------------

    def seek(self, phone: Phone, node: int) -> None:
        """A phone connects to a node."""
        self._sessions += 1
        session = EdgeSession(phone.user, phone.stream, node, self._sessions)
        self._later(session, False, self.world.machines[node].ask, ClusterNode.connect, session)

    def point(self, session: Session, node: int) -> None:
        """A node tells a phone which one is nearer."""
        self._later(session, True, self._point, session, node)

    def _point(self, session: Session, node: int) -> None:
        phone = self._by_user[session.user]
        assert isinstance(phone, ClusterPhone)
        phone.pointed(session, node, self.world.clock.now)

    # ---- what is looked at ----------------------------------------------------------------------------

    def _something_happened(self, _: object) -> None:
        self._happened = self.world.clock.now

    def _stands_still(self, edge: int) -> bool:
        return self.world.machines[edge].paused

    def _calm_since(self) -> int | None:
        """Since when nothing has happened; None if something is the matter that goes on."""
        machines = self.world.machines
        if any(machine.paused or machine.slow or machine.disk.full for machine in machines):
            return None
        return self._happened if self.world.network.is_whole else None

    def _look(self) -> None:
        self.world.clock.after(LOOK_MS, self._look)
        self.world.trace.judge(self.answers.look)
        self.world.trace.judge(self.served.look)

    def rest(self) -> bool:
        """As in the world of mail."""
        rests = super().rest()
        if rests:
            self._sum_up()
        return rests

    def _sum_up(self) -> None:
        """What routing did, in the last life of each node; and what edges answered, in all."""
        self.totals.update(self.answers.counts)
        self.totals["looks in the calm"] = self.served.looked
        for machine in self.world.machines:
            assert isinstance(machine.node, ClusterNode)
            counts = machine.node.router.state.counts
            self._add("resent", counts.resent)
            self._add("announced again", counts.announced_again)
            self._add("superseded", counts.superseded)
            self._add("connections lost", machine.node.links.broken)

    def _add(self, what: str, count: int) -> None:
        self.totals[what] = self.totals.get(what, 0) + count
