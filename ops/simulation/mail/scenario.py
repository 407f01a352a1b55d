"""Phones that write to one another while nodes and links fail: what a seed decides, and when all is at rest."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, ClassVar, Final

from node.mail.settings import MailSettings
from node.mail.state import Effect
from ops.simulation import replicas
from ops.simulation.checkers.base import Checker
from ops.simulation.checkers.convergence import Convergence
from ops.simulation.checkers.freshness import Freshness
from ops.simulation.checkers.mail_accepted import Losses, MailAccepted
from ops.simulation.checkers.mail_ghosts import MailGhosts
from ops.simulation.checkers.mail_order import MailOrder
from ops.simulation.checkers.mail_set import MailSet
from ops.simulation.disk import VirtualDisk
from ops.simulation.faults import Faults
from ops.simulation.machine import Machine
from ops.simulation.mail.events import Composed, Handed, Said, Ticked
from ops.simulation.mail.node import GROUP, MailNode, Phones
from ops.simulation.mail.phone import TICK_MS, Phone, Session
from ops.simulation.plan import Plan, Step
from ops.simulation.records import Reader, every
from ops.simulation.tables.claims import holders, name_of
from ops.simulation.tables.events import Serving
from ops.simulation.trace import DiskLost, Down
from ops.simulation.world import ROUNDS_MAX, World
from replication.core.settings import ReplicaSettings
from replication.core.state import SERVING, Partition
from replication.detectorstate import DetectorSettings

PARTITIONS: Final = 2
USERS: Final = 6
TABLES: Final = ("message", "pair", "receipt", "telling")
DELAY_MS: Final = 3
"""Between a phone and a node, at most."""
QUIET_ROUNDS: Final = 3
LOST_MS: Final = 100
"""After which a phone notices that its node is gone."""


class Mail:
    """One run of it."""

    name: ClassVar[str] = "mail"
    tick_ms: ClassVar[int] = 10
    rounds_max: ClassVar[int] = ROUNDS_MAX
    partition_count: ClassVar[int] = PARTITIONS
    users: ClassVar[int] = USERS
    tables: ClassVar[tuple[str, ...]] = TABLES
    merged: ClassVar[tuple[str, ...]] = ("pair",)
    """Those of them whose records are merged."""
    runs: ClassVar[type[MailNode]] = MailNode
    """What runs on its machines."""
    vanishing: float = 0.2
    """Of the connections that phones close, how many their nodes don't hear of."""

    def __init__(self, world: World) -> None:
        knobs = world.plan.knobs
        self.world = world
        self.network = world.network
        self.trace = world.trace
        self.nodes = world.plan.nodes
        self.group_names: tuple[str, ...] = (GROUP,)
        self.partitions: Mapping[str, int] = {GROUP: self.partition_count}
        self.replica = ReplicaSettings(**knobs["replica"])
        self.detector = DetectorSettings(**knobs["detector"])
        self.mail = MailSettings(**knobs["mail"])
        self.phones: Phones = self
        self.totals: dict[str, int] = dict.fromkeys(
            ("sent", "ticked at 0", "ticked at 1", "ticked at 2", "handed", "late", "serves"), 0
        )
        self.disks: dict[int, VirtualDisk] = {}
        self.reader = Reader(world.trace)
        self.order = MailOrder()
        losses = Losses()
        world.trace.subscribe(Composed, losses.composed)
        world.trace.subscribe(DiskLost, losses.lost)  # before those who ask it
        self.checkers: Sequence[Checker] = (
            MailAccepted(self.disks, losses, self.partition_of),
            MailSet(self.disks, losses, self.partition_of),
            self.order,
            MailGhosts(),
            Convergence(
                [(GROUP, table, True) for table in self.tables],
                self.partitions,
                lambda group, partition: holders(self.disks, group, partition),
            ),
            Freshness([(GROUP, table) for table in self.merged]),
        )
        self._quiet = 0
        self._hand = random.Random(f"phones {world.plan.seed}")
        self._by_user = {user: self.phone(user) for user in range(1, self.users + 1)}
        for at, user in enumerate(self._by_user):
            world.clock.after(at * 3, self._tick, user)
        world.trace.subscribe(Down, self._down)
        world.trace.subscribe(Serving, lambda _: self._count("serves"))
        world.trace.subscribe(Said, lambda said: self._count(f"said {said.how}"))
        world.trace.subscribe(Ticked, lambda ticked: self._count(f"ticked at {ticked.how}"))
        world.trace.subscribe(Handed, lambda handed: self._count("handed"))

    def phone(self, user: int) -> Phone:
        """A user's device."""
        return Phone(user, self.world.plan.seed, self.nodes, self)

    def _count(self, what: str) -> None:
        self.totals[what] = self.totals.get(what, 0) + 1

    # ---- what a seed decides --------------------------------------------------------------------------

    @classmethod
    def draw(cls, seed: int, nodes: int | None, steps: int) -> Plan:
        """Knobs, messages and faults."""
        hand = random.Random(f"mail {seed}")
        nodes = nodes or hand.choice((2, 3, 3, 3, 4, 5))
        plan: list[Step] = []
        faults = Faults(hand, nodes)
        pace = hand.choice((2, 5, 10, 25))
        moves = hand.choice((0.0, 0.0, 0.01, 0.05))
        parting = hand.choice((0.0, 0.02, 0.1))
        at = 0
        for number in range(steps):
            at += int(hand.expovariate(1 / pace))
            roll = hand.random()
            if roll < faults.share:
                plan += faults.draw(at)
            elif roll < faults.share + moves:
                plan.append(Step(at, "move", (hand.randrange(PARTITIONS), hand.randrange(nodes))))
            elif roll < faults.share + moves + parting:
                plan.append(Step(at, "part", (hand.randint(1, USERS),)))
            else:
                sender = hand.randint(1, USERS)
                neighbours = [
                    user for user in range(1, USERS + 1) if user % PARTITIONS == sender % PARTITIONS
                ]
                plan.append(Step(at, "compose", (number, sender, hand.choice(neighbours))))
        plan.sort(key=lambda step: step.at)
        return Plan(cls.name, seed, nodes, _knobs(hand), tuple(plan[:steps]))

    def ranked(self, group: str, partition: int) -> Sequence[bytes]:
        """Any order will do, as long as all nodes have the same."""
        names = [name_of(node) for node in range(self.nodes)]
        return sorted(names, key=lambda name: blake2b(name + group.encode() + bytes([partition])).digest())

    def partition_of(self, user: int) -> int:
        """Where a user lives."""
        return user % self.partition_count

    def node(self, machine: Machine) -> MailNode:
        """One more life."""
        self.disks[machine.number] = machine.disk
        return self.runs(machine, self)

    # ---- what is done ---------------------------------------------------------------------------------

    def act(self, step: Step) -> bool:
        """Messages, moves, and phones that go away."""
        if step.kind == "compose":
            number, sender, recipient = step.arguments
            self.totals["sent"] += 1
            self._by_user[sender].compose(recipient, b"message %d" % number, self.world.clock.now)
        elif step.kind == "part":
            self._by_user[step.arguments[0]].part()
        elif step.kind == "move":
            partition, target = step.arguments
            for machine in self.world.machines:
                machine.ask(self.runs.move, GROUP, partition, target)
        else:
            return False
        return True

    # ---- between phones and nodes ---------------------------------------------------------------------

    def _tick(self, user: int) -> None:
        self.world.clock.after(TICK_MS, self._tick, user)
        self._by_user[user].tick(self.world.clock.now)

    def _later(self, session: Session, to_phone: bool, call: Any, *arguments: Any) -> None:
        """In order, as on one TCP connection."""
        clock = self.world.clock
        at = max(clock.now + self._hand.randint(0, DELAY_MS), session.arrivals[to_phone])
        session.arrivals[to_phone] = at
        clock.after(at - clock.now, call, *arguments)

    def seek(self, phone: Phone, node: int) -> None:
        """A phone asks a node to be let in."""
        session = Session(phone.user, phone.stream, node)
        self._later(session, False, self.world.machines[node].ask, self.runs.connect, session)

    def say(self, session: Session, frame: tuple[Any, ...]) -> None:
        """A phone sends a frame."""
        self._later(session, False, self.world.machines[session.node].ask, self.runs.frame, session, *frame)

    def leave(self, session: Session) -> None:
        """A phone closes its connection; mostly its node hears of it."""
        if self._hand.random() >= self.vanishing:
            self._later(session, False, self.world.machines[session.node].ask, self.runs.leave, session)

    def let_in(self, session: Session) -> None:
        """A node has a session for a phone."""
        self._later(session, True, self._let_in, session)

    def _let_in(self, session: Session) -> None:
        self._by_user[session.user].let_in(session, self.world.clock.now)

    def welcome(self, session: Session) -> None:
        """A login is complete."""
        self._later(session, True, self._welcome, session)

    def _welcome(self, session: Session) -> None:
        self._by_user[session.user].welcomed(session, self.world.clock.now)

    def send_on(self, user: int, node: int | None) -> None:
        """A node doesn't serve a phone's partition."""
        self.world.clock.after(DELAY_MS, self._by_user[user].sent_on, node)

    def tell(self, session: Session, effect: Effect) -> None:
        """A node sends a frame."""
        self._later(session, True, self._hear, session, effect)

    def _hear(self, session: Session, effect: Effect) -> None:
        self._by_user[session.user].hear(session, effect, self.world.clock.now)

    def close(self, session: Session) -> None:
        """A node closes a connection."""
        self._later(session, True, self._closed, session)

    def _closed(self, session: Session) -> None:
        session.ended = True

    def _down(self, down: Down) -> None:
        for phone in self._by_user.values():
            if phone.session is not None and phone.session.node == down.node:
                self.world.clock.after(LOST_MS, self._closed, phone.session)

    # ---- coming to rest -------------------------------------------------------------------------------

    def rest(self) -> bool:
        """Every partition is served by one node that everybody knows, and nothing waits, on phones and on disks."""
        self._quiet = 0 if self._unsettled() else self._quiet + 1
        self.totals["late"] = self.order.late
        return self._quiet >= QUIET_ROUNDS

    def members(self) -> list[MailNode | None]:
        """What runs on each machine that belongs to the world's nodes now; None: nothing does."""
        found = []
        for machine in self.world.machines:
            node = machine.node
            found.append(node if isinstance(node, MailNode) and GROUP in node.carriers else None)
        return found

    def wants_heirs(self, running: Sequence[MailNode], primary: MailNode) -> bool:
        """Whether somebody is there who can be the heir of what a node serves."""
        return len(running) > 1

    def _unsettled(self) -> str:
        nodes = self.members()
        running = [node for node in nodes if node is not None]
        if len(running) < len(nodes):
            return "a node doesn't run"
        for p in range(self.partition_count):
            parts = [node.state.parts[p] for node in running]
            if len({part.claim.rank if part.claim is not None else None for part in parts}) != 1:
                return f"nodes know different claims of partition {p}"
            serving = [node for node in running if _serves(node.state.parts[p])]
            if len(serving) != 1:
                return f"partition {p} is served by {len(serving)} nodes"
            part = serving[0].state.parts[p]
            if self.wants_heirs(running, serving[0]) and not part.heir_live:
                return f"partition {p}, of {part.claim}, has no complete heir"
        restless = [
            phone.user for phone in self._by_user.values() if phone.session is None or not phone.rests()
        ]
        if restless:
            return f"phones {restless} wait"
        for node in running:
            if (
                node.mail.committing is not None
                or node.mail.dirty
                or node.mail.dirty_owed
                or node.mail.urgent
                or node.mail.telling
            ):
                return f"node {node.number} has something to write, or to tell"
            for table in ("message", "untold", "telling"):
                rows = every(self.disks[node.number], GROUP, table)
                if any(key[0] in node.served and found.payload is not None for key, found in rows):
                    return f"rows of {table} wait on node {node.number}"
        return ""

    def restless(self) -> str:
        """What hasn't ended."""
        return self._unsettled()


def _serves(part: Partition) -> bool:
    return part.phase == SERVING and not part.ceased


def _knobs(hand: random.Random) -> dict[str, Any]:
    window = hand.choice(replicas.WINDOWS)
    messages = hand.choice((3, 100, 100))
    in_flight = hand.choice((1, 3, 16))
    return {
        "weather": {"delay_max": hand.choice((1, 3, 10))},
        "mail": {
            "sync_delay_ms": hand.choice((0, 5, 20, 100)),
            "flush_delay_ms": hand.choice((10, 50, 200)),
            "sync_first": hand.random() < 0.2,
            "window": in_flight,
            "pair_share": hand.randint(1, in_flight),
            "mailbox_messages_max": messages,
            "commit_messages_max": hand.choice((1, 5, 100)),
            "pairs_cached_max": hand.choice((1, 5, 1000)),
            "busy_retry_ms": 50,
            "full_retry_ms": 100,
        },
        "replica": replicas.knobs(hand, window),
        "detector": replicas.detector(),
    }
