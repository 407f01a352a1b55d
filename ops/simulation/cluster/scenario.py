"""Phones at any node of a cluster, writing to one another over all partitions, while nodes fail, come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from node.routing.settings import RoutingSettings
from ops.simulation.checkers.answers import Answers
from ops.simulation.checkers.logins import Logins
from ops.simulation.checkers.serving import Served
from ops.simulation.checkers.traffic import Traffic
from ops.simulation.cluster.drawing import ANSWER_MS_MAX, NAME, PARTITIONS, PATIENCE_MS, USERS, plan
from ops.simulation.cluster.edge import EdgePhones
from ops.simulation.cluster.events import Parted
from ops.simulation.cluster.node import ClusterNode
from ops.simulation.cluster.phone import ClusterPhone, EdgeSession
from ops.simulation.machine import Machine
from ops.simulation.mail.node import GROUP, MailNode
from ops.simulation.mail.phone import Phone, Session
from ops.simulation.mail.scenario import Mail
from ops.simulation.plan import Plan, Step
from ops.simulation.tables.claims import name_of
from ops.simulation.trace import DiskLost, Down, Fault, Peace, Up
from ops.simulation.world import World
from replication.membership.member import ACTIVE, LEAVING
from replication.membership.roster import Entry
from replication.membership.settings import MembershipSettings

EACH: Final = 3.0
CHANGE: Final = 4.0
LEAST: Final = 200
"""Messages of routers, as `Traffic` counts them."""
WIDE: Final = 60
"""A link of so many messages under way holds up nobody for long."""
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
    rounds_max: ClassVar[int] = 200
    """A partition that could not be moved is tried again after ten seconds."""
    partition_count: ClassVar[int] = PARTITIONS
    users: ClassVar[int] = USERS
    runs: ClassVar[type[MailNode]] = ClusterNode
    phones: EdgePhones

    def __init__(self, world: World) -> None:
        knobs = world.plan.knobs
        self.routing = RoutingSettings(**knobs["routing"])
        self.link_window: int = knobs["link_window"]
        self.clients_move: bool = knobs["clients_move"]
        self.membership = MembershipSettings(**knobs["membership"])
        self.founders: int = knobs["founders"]
        self.servers: int = knobs["servers"]
        self.joined: dict[int, Sequence[Entry]] = {}
        self.gone: set[int] = set()
        self.lost: set[int] = set()
        self._sessions = 0
        self._happened = 0
        self.vanishing = knobs["vanishing"]
        super().__init__(world)
        # Where a primary forgets soon at which edge a sender is, that edge gives the send back by its own time; where
        # each message is a commit of its own, they wait for one another; and a narrow link takes some time to carry
        # all that begins anew after a takeover.
        slow = (
            self.routing.origins_max < USERS
            or knobs["mail"]["commit_messages_max"] == 1
            or self.link_window < WIDE
        )
        soon = ANSWERED_MS if slow else CALM_ANSWERED_MS
        self.answers = Answers(
            lambda: world.clock.now, self._stands_still, self._calm_since, ANSWERED_MS, soon
        )
        self.served = Served(
            self.disks,
            GROUP,
            PARTITIONS,
            lambda: world.clock.now,
            lambda node: world.machines[node].up and node not in self.gone,
            self._calm_since,
            SERVED_MS,
        )
        self.traffic = Traffic(EACH, CHANGE, LEAST)
        self.checkers = (*self.checkers, self.answers, self.served, Logins(), self.traffic)
        for kind in (Fault, Up, Down, DiskLost, Peace):
            world.trace.subscribe(kind, self._something_happened)
        world.clock.after(LOOK_MS, self._look)

    @classmethod
    def draw(cls, seed: int, nodes: int | None, steps: int) -> Plan:
        """Knobs, messages and faults."""
        return plan(seed, nodes, steps)

    def phone(self, user: int) -> Phone:
        """A user's device."""
        return ClusterPhone(
            user, self.world.plan.seed, self.nodes, self, self.world.plan.knobs["patience_ms"]
        )

    def node(self, machine: Machine) -> ClusterNode:
        """One more life."""
        self.disks[machine.number] = machine.disk
        return ClusterNode(machine, self)

    # ---- what is done ---------------------------------------------------------------------------------

    def act(self, step: Step) -> bool:
        """Messages, moves, phones that go away; nodes that come and go."""
        if step.kind not in ("join", "weigh", "leave", "lose"):
            return super().act(step)
        node, via, *rest = step.arguments
        if step.kind == "lose":
            self._lose(node, via)
            return True
        if step.kind == "join":
            rest = [self.servers]
        arguments = () if step.kind == "leave" else (node, *rest)
        what = "let_join" if step.kind == "join" else step.kind
        if node not in self.gone and (step.kind != "join" or node not in self.joined):
            self.world.machines[via].ask(ClusterNode.operate, what, *arguments)
        return True

    def _lose(self, node: int, via: int) -> None:
        """A node never returns, with all that it had; an operator says so, if there are others who have its copies."""
        runs = [one for one in self.members() if one is not None and one.number != node]
        if node in self.gone or len(runs) < 2 or self.world.machines[node].node not in self.members():
            return
        machine = self.world.machines[node]
        machine.crash("lost")
        machine.disk.wipe()
        self.world.trace.observe(DiskLost(node, "nobody's any more"))
        self.gone.add(node)
        self.lost.add(node)
        self._add("lost", 1)
        self.world.trace.observe(Parted(node))
        self.world.machines[via].ask(ClusterNode.operate, "remove", node)

    def operated(self, what: str, arguments: tuple[Any, ...], outcome: Any) -> None:
        """What an operator was told."""
        if what == "let_join":
            (node, _) = arguments
            if outcome is not None and node not in self.joined:
                self.joined[node] = outcome
                self._add("joined", 1)
                machine = self.world.machines[node]
                machine.crash("joins")
                machine.start()
        self._something_happened(None)

    def removed(self, node: int) -> None:
        """A node has left."""
        self.gone.add(node)
        self._add("left", 1)
        self.world.machines[node].crash("left")
        self.world.trace.observe(Parted(node))

    def members(self) -> list[MailNode | None]:
        """Who belongs to the cluster."""
        return [
            node
            for number, node in enumerate(super().members())
            if number not in self.gone and (number < self.founders or number in self.joined)
        ]

    def wants_heirs(self, running: Sequence[MailNode]) -> bool:
        """Nobody who is leaving becomes one."""
        belonging = [node.belonging for node in running if isinstance(node, ClusterNode)]
        return sum(one is not None and one.state == ACTIVE for one in belonging) > 1

    def _unsettled(self) -> str:
        words = super()._unsettled()
        if words:
            return words
        nodes = [node for node in self.members() if isinstance(node, ClusterNode)]
        digests = {node.belonging.membership.roster.digest for node in nodes if node.belonging is not None}
        if len(digests) > 1:
            return "members know different members"
        if any(node.belonging is not None and node.belonging.state == LEAVING for node in nodes):
            return "a node is leaving"
        sessions = Counter(user for node in nodes for user in node.router.state.sessions)
        many = sorted(user for user, count in sessions.items() if count > 1)
        return f"users {many} have sessions at several edges" if many else ""

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
        """As in the world of mail. Who has joined, and was forgotten with somebody's disk, is let join again."""
        for number in sorted(self.joined.keys() - self.gone):
            for node in self.members():
                belonging = node.belonging if isinstance(node, ClusterNode) else None
                if belonging is not None and not belonging.knows(name_of(number)):
                    assert node is not None
                    machine = self.world.machines[node.number]
                    machine.ask(ClusterNode.operate, "let_join", number, self.servers)
                    break
        for number in sorted(self.lost):  # whoever was to say so may have been away
            for node in self.members():
                belonging = node.belonging if isinstance(node, ClusterNode) else None
                if belonging is not None and belonging.knows(name_of(number)):
                    assert node is not None
                    self.world.machines[node.number].ask(ClusterNode.operate, "remove", number)
                    break
        rests = super().rest()
        if rests:
            self._sum_up()
        return rests

    def _sum_up(self) -> None:
        """What routing did, in the last life of each node; and what edges answered, in all."""
        self.totals.update(self.answers.counts)
        for what in ("carried", "happened", "changes"):
            self._add(what, getattr(self.traffic, what))
        self.totals["looks in the calm"] = self.served.looked
        for node in self.members():
            assert isinstance(node, ClusterNode)
            assert node.belonging is not None
            counts = node.router.state.counts
            self._add("resent", counts.resent)
            self._add("announced again", counts.announced_again)
            self._add("superseded", counts.superseded)
            self._add("connections lost", node.links.broken)
            self._add("moved home", node.belonging.rebalancer.moved)

    def _add(self, what: str, count: int) -> None:
        self.totals[what] = self.totals.get(what, 0) + count
