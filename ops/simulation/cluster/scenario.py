"""Phones at any node of a cluster, writing to one another over all partitions, while nodes fail, come and go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, ClassVar, Final

from node.routing.settings import RoutingSettings
from ops.simulation.checkers.answers import Answers
from ops.simulation.checkers.apart import Apart
from ops.simulation.checkers.bound import Bound
from ops.simulation.checkers.buried import Buried
from ops.simulation.checkers.keyrings import Keyrings
from ops.simulation.checkers.logins import Logins
from ops.simulation.checkers.registrations import Registrations
from ops.simulation.checkers.requests import Requests
from ops.simulation.checkers.serving import Served
from ops.simulation.checkers.told import Told
from ops.simulation.checkers.traffic import Traffic
from ops.simulation.cluster.belonging import server_of
from ops.simulation.cluster.changing import Changing
from ops.simulation.cluster.drawing import ANSWER_MS_MAX, NAME, NUMBER, PARTITIONS, PATIENCE_MS, USERS, plan
from ops.simulation.cluster.edge import EdgePhones
from ops.simulation.cluster.events import Replied, Requested
from ops.simulation.cluster.newcomer import Newcomer
from ops.simulation.cluster.node import ClusterNode
from ops.simulation.cluster.phone import ClusterPhone, EdgeSession
from ops.simulation.machine import Machine
from ops.simulation.mail.node import GROUP
from ops.simulation.mail.phone import TICK_MS, Phone, Session
from ops.simulation.mail.scenario import DELAY_MS, TABLES
from ops.simulation.plan import Plan, Step
from ops.simulation.tables.claims import highest, node_of
from ops.simulation.world import World

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
TOLD_MS: Final = 1_500
"""Where nothing happens, and a sender's partition is served, a receipt is told, written there and known to be until
then: `flush_delay_ms` twice, and no silence that is waited for (`rounds.AGAIN_MS`)."""
REQUESTED_MS: Final = 1_500
"""Where nothing happens, whoever asks for a PIN, a number or a login is answered until then: another primary, as in
`SERVED_MS`, and a write that another copy has."""
SOON_MS: Final = 500
"""A calm (`calm_ms`) after which copies are brought home at once."""
APART_MS: Final = 5_000
"""Where nothing happens, and that calm is no longer, copies are where they are wanted until then."""


class Cluster(Changing):
    """One run of it."""

    name: ClassVar[str] = NAME
    rounds_max: ClassVar[int] = 200
    """A partition that could not be moved is tried again after ten seconds."""
    partition_count: ClassVar[int] = PARTITIONS
    users: ClassVar[int] = USERS
    tables: ClassVar[tuple[str, ...]] = (*TABLES, "account", "pin")
    merged: ClassVar[tuple[str, ...]] = ("pair", "account")
    phones: EdgePhones

    def __init__(self, world: World) -> None:
        knobs = world.plan.knobs
        self.routing = RoutingSettings(**knobs["routing"])
        self.link_window: int = knobs["link_window"]
        self.clients_move: bool = knobs["clients_move"]
        self._sessions = 0
        self._asked = 0
        self.vanishing = knobs["vanishing"]
        super().__init__(world)
        numbers = range(NUMBER, NUMBER + knobs.get("newcomers", 0))
        again = bool(knobs.get("again"))
        self._newcomers = {
            user: Newcomer(user, world.plan.seed, self.nodes, self, again=again) for user in numbers
        }
        for at, user in enumerate(numbers):
            world.clock.after(at * 3, self._tick_newcomer, user)
        # Where a primary forgets soon at which edge a sender is, that edge gives the send back by its own time; where
        # each message is a commit of its own, they wait for one another; and a narrow link takes some time to carry
        # all that begins anew after a takeover.
        slow = (
            self.routing.origins_max < USERS
            or knobs["mail"]["commit_messages_max"] == 1
            or self.link_window < WIDE
        )
        soon = ANSWERED_MS if slow else CALM_ANSWERED_MS
        self.answers = Answers(lambda: world.clock.now, self._stands_still, self._calm_for, ANSWERED_MS, soon)
        self.served = Served(
            self._within(SERVED_MS),
            PARTITIONS,
            lambda node: world.machines[node].up and node not in self.gone,
        )
        self.told = Told(self._within(TOLD_MS), self.partition_of)
        self.requests = Requests(self._within(REQUESTED_MS), self.partition_of)
        self.apart = Apart(
            self._within(APART_MS),
            PARTITIONS,
            self._whole,
            lambda node: server_of(node, self.founding.servers),
        )
        self.buried = Buried(self._boot_of)
        self.traffic = Traffic(EACH, CHANGE, LEAST)
        self.keyrings = Keyrings(lambda: world.clock.now, self.belonging, self.files.of, self.files.former)
        self.registrations = Registrations(
            self.disks,
            GROUP,
            self.partition_of,
            lambda: world.clock.now,
            self.nodes,
            self._reaches,
            self._electors,
        )
        self.checkers = (
            *self.checkers,
            self.registrations,
            self.answers,
            self.served,
            self.told,
            self.requests,
            self.apart,
            self.buried,
            Logins(),
            self.traffic,
            self.keyrings,
        )
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
        """As where nodes come and go; and numbers that nobody has are asked for."""
        if step.kind != "register":
            return super().act(step)
        self._newcomers[step.arguments[0]].began = True
        return True

    def _unsettled(self) -> str:
        words = super()._unsettled()
        if words:
            return words
        waiting = [user for user, one in self._newcomers.items() if not one.rests()]
        if waiting:
            return f"numbers {waiting} are asked for, or nobody can log in"
        if self.requests.waiting:
            return "somebody waits for the answer to a request"
        nodes = [node for node in self.members() if isinstance(node, ClusterNode)]
        sessions = Counter(user for node in nodes for user in node.router.state.sessions)
        many = sorted(user for user, count in sessions.items() if count > 1)
        return f"users {many} have sessions at several edges" if many else self.keyrings.turned_away()

    def restless(self) -> str:
        """What hasn't ended. Whoever has a number that is forgotten can't log in, and that is what is broken then."""
        if not super()._unsettled():
            self.registrations.verdict(self.disks)
            self.keyrings.require_let_in()
        return super().restless()

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

    def request(self, node: int, what: str, *arguments: Any) -> None:
        """A newcomer asks a node; the answer is its last argument."""
        clock, hand = self.world.clock, self._hand
        *said, done = arguments
        self._asked += 1
        number = self._asked
        observe = self.world.trace.observe

        def answered(outcome: Any) -> None:
            observe(Replied(number))
            clock.after(hand.randint(0, DELAY_MS), done, outcome)

        def asked(one: ClusterNode) -> None:
            if one.belonging is not None:
                observe(Requested(number, node, what, said[0]))
                one.request(what, *said, answered)

        clock.after(hand.randint(0, DELAY_MS), self.world.machines[node].ask, asked)

    @property
    def known(self) -> int:
        """Users up to this one have accounts from the beginning."""
        return USERS

    def pin_sent(self, user: int, pin: str) -> None:
        """A PIN comes."""
        self._newcomers[user].sent(pin)

    def _tick_newcomer(self, user: int) -> None:
        self.world.clock.after(TICK_MS, self._tick_newcomer, user)
        self._newcomers[user].tick(self.world.clock.now)

    def _reaches(self, node: int) -> list[int]:
        machines, network = self.world.machines, self.world.network
        if not machines[node].up or machines[node].paused:
            return []
        return [
            one.number
            for one in machines
            if one.up and not one.paused and (one.number == node or not network.is_cut(node, one.number))
        ]

    def _electors(self, p: int) -> list[int]:
        """The active members of whichever cluster serves a partition."""
        claim = highest(self.disks, GROUP, p)
        label = "" if claim is None else self.founding.label(node_of(claim.rank[1]))
        return [
            number
            for number in range(self.nodes)
            if (self.founding.has(number) or number in self.joined)
            and number not in self.gone | self.leaving
            and self.founding.label(number) == label
        ]

    # ---- what is looked at ----------------------------------------------------------------------------

    def _stands_still(self, edge: int) -> bool:
        return self.world.machines[edge].paused

    def _within(self, ms: int) -> Bound:
        return Bound(self.disks, GROUP, lambda: self.world.clock.now, self._calm_among, ms)

    def _calm_among(self, nodes: Collection[int]) -> int | None:
        """Since when nothing has happened to these nodes' cluster, or to all if they are of several."""
        labels = {self.founding.label(node) for node in nodes}
        return self.calm.since(labels.pop() if len(labels) == 1 else None)

    def _whole(self) -> Collection[int]:
        """The members, if all run, none is leaving, and copies go where they are wanted before long; else nobody."""
        members = [number for number in range(self.nodes) if self._is_member(number)]
        soon = self.membership.rebalance and self.membership.calm_ms <= SOON_MS
        if not soon or self.founding.several or self.leaving | self.lost:
            return ()
        return members if all(self.world.machines[number].up for number in members) else ()

    def _calm_for(self, edge: int, recipient: int) -> int | None:
        """The same, of an edge and whoever holds a recipient's partition."""
        claim = highest(self.disks, GROUP, self.partition_of(recipient))
        names = () if claim is None else (claim.rank[1], claim.heir)
        return self._calm_among([edge, *(node_of(name) for name in names if name is not None)])

    def _look(self) -> None:
        self.world.clock.after(LOOK_MS, self._look)
        self.world.trace.judge(self.answers.look)
        self.world.trace.judge(self.served.look)
        self.world.trace.judge(self.told.look)
        self.world.trace.judge(self.requests.look)
        self.world.trace.judge(self.apart.look)
        self.registrations.look()

    def rest(self) -> bool:
        """As where nodes come and go; then it is summed up."""
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
        self._add("looked at what is untold", self.told.looked)
        self._add("looked whether copies are apart", self.apart.looked)
        self._add("called ended", self.buried.found)
        self._add("keys changed", self.files.changes)
        self._add("granted", self.registrations.granted)
        self._add("requests answered", self.requests.answered)
        for node in self.members():
            assert isinstance(node, ClusterNode)
            assert node.belonging is not None
            counts = node.router.state.counts
            self._add("resent", counts.resent)
            self._add("announced again", counts.announced_again)
            self._add("superseded", counts.superseded)
            self._add("connections lost", node.links.broken)
            self._add("found no room", node.links.choked)
            self._add("moved home", node.belonging.rebalancer.moved)
