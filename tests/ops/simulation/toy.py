"""A toy protocol for the scaffolding: node 0 writes, the others copy it. Bugs by name, in the plan's knobs.

Node 0 commits, sends the record to every other node, and calls a write settled when node 1 has said that it is durable
there. Whoever misses something is sent everything, each second.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from ops.simulation.checkers.convergence import Convergence
from ops.simulation.checkers.freshness import Freshness
from ops.simulation.checkers.positions import Positions
from ops.simulation.checkers.settled import SettledWrites
from ops.simulation.faults import Faults
from ops.simulation.machine import Machine
from ops.simulation.plan import Plan, Step
from ops.simulation.records import Reader
from ops.simulation.world import ROUNDS_MAX, World
from ops.simulation.writes import DELETE, PUT, Attempted, Change, Placed, Refused, Settled
from store.errors import StoreError
from store.limits import StoreSettings
from store.record import Version
from store.schema import Group, Table
from store.store import Store
from store.writes import APPLY
from store.writes import DELETE as STORE_DELETE
from store.writes import PUT as STORE_PUT

GROUP = Group("toy", (Table("t", partitioned=False, tombstones=True),))
SETTINGS = StoreSettings(map_bytes=1 << 20, warm_bytes=1 << 30)
ALL_EVERY = 100


class ToyNode:
    def __init__(self, scenario: Toy, machine: Machine) -> None:
        self.scenario = scenario
        self.machine = machine
        self.me = machine.number
        self.bug = scenario.world.plan.knobs["bug"]
        self.waiting: dict[int, int] = {}  # sequence → write
        self.store: Store | None = None
        self.all_at = 0

    def start(self) -> None:
        hand = self.machine.hand
        self.store = Store.open(
            "/toy",
            (GROUP,),
            settings=SETTINGS,
            clock=self.machine.times.wall,
            committer="inline",
            identity=lambda: hand.getrandbits(64),
            environments=self.machine.disk.environment,
            directories=self.machine.disk.directory,
        )
        self.group = self.store.group("toy")

    def crash(self) -> None:
        if self.store is not None:
            self.store.abandon()

    def waiting_groups(self) -> list[str]:
        return ["toy"] if self.group.queue_length else []

    def disk_step(self, group: str) -> None:
        self.group.step_inline()

    def results_step(self) -> None:
        assert self.store is not None
        self.store.deliver_results(commit=False)

    def send(self, peer: int, *message: Any) -> None:
        self.scenario.world.network.send(self.me, peer, "toy", message)

    # ---- node 0

    def write(self, attempted: Attempted) -> None:
        self.scenario.world.trace.observe(attempted)
        change = attempted.changes[0]
        row = (
            (STORE_DELETE, 0, change.key) if change.op == DELETE else (STORE_PUT, 0, change.key, change.value)
        )
        if self.me:
            self.refuse(attempted.write, "not the writer")
            return
        try:
            self.group.submit([row], lambda result: self.written(attempted.write, change, result))
        except StoreError as error:
            self.refuse(attempted.write, str(error))

    def refuse(self, write: int, why: str) -> None:
        self.scenario.world.trace.observe(Refused(write, why))

    def written(self, write: int, change: Change, result: Any) -> None:
        if result.error is not None:
            self.refuse(write, str(result.error))
            return
        incarnation = self.group.history.current.id
        self.scenario.world.trace.observe(Placed(write, 0, incarnation, result.sequence))
        if self.bug == "early":
            self.settle(write, result.sequence)
        else:
            self.waiting[result.sequence] = write
        for peer in range(1, self.scenario.world.plan.nodes):
            self.send_row(peer, change.key)

    def settle(self, write: int, sequence: int) -> None:
        life = self.group.history.current.id
        self.scenario.world.trace.observe(Settled(write, 0, life, sequence, 2, 0))

    def send_row(self, peer: int, key: Any) -> None:
        record = self.group.table("t").record(key)
        self.send(peer, "row", list(key), record.value, list(record.version), record.tombstone)

    # ---- all

    def deliver(self, peer: int, channel: str, message: Any) -> None:
        if message[0] == "row":
            _, key, value, version, tombstone = message
            if self.bug == "lossy" and value is not None and value % 20 == 0:
                return
            if self.bug == "twist" and value is not None and value % 20 == 0:
                value += 1
            row = (APPLY, 0, tuple(key), value, Version(*version), tombstone)
            self.group.submit([row], lambda result: self.applied(peer, version, result))
        elif message[0] == "have" and self.me == 0:
            _, incarnation, sequence = message
            if incarnation == self.group.history.current.id:
                write = self.waiting.pop(sequence, None)
                if write is not None:
                    self.settle(write, sequence)

    def applied(self, peer: int, version: Any, result: Any) -> None:
        if result.error is None and self.me == 1:
            self.send(peer, "have", version[2], version[1])

    def tick(self, now: int) -> None:
        if self.me == 0 and now >= self.all_at:
            self.all_at = now + ALL_EVERY
            if self.bug == "lazy":
                return
            for key in {change.key for change in self.group.changes(None)}:
                for peer in range(1, self.scenario.world.plan.nodes):
                    self.send_row(peer, key)


class Toy:
    name: ClassVar[str] = "toy"
    tick_ms: ClassVar[int] = 20
    rounds_max: ClassVar[int] = ROUNDS_MAX

    def __init__(self, world: World) -> None:
        self.world = world
        self.totals = dict.fromkeys(("writes",), 0)
        disks = {}
        self.reader = Reader(world.trace)
        self.positions = Positions(world.trace)
        self.disks = disks
        everybody = range(world.plan.nodes)
        tables = [("toy", "t")]
        self.settled = SettledWrites(self.positions, disks, tables, lambda group, key: everybody)
        self.checkers = (
            self.settled,
            Convergence([("toy", "t", False)], {"toy": 1}, lambda group, partition: everybody),
            Freshness(),
        )

    @classmethod
    def draw(cls, seed: int, nodes: int | None, steps: int, bug: str = "") -> Plan:
        hand = random.Random(f"toy {seed}")
        nodes = nodes or hand.choice((2, 3))
        faults = Faults(hand, nodes)
        plan: list[Step] = []
        at = 0
        while len(plan) < steps:
            at += hand.choice((0, 1, 5, 30))
            if hand.random() < faults.share:
                plan += [step for step in faults.draw(at) if step.kind not in ("restore", "wipe")]
            else:
                op = DELETE if hand.random() < 0.2 else PUT
                plan.append(Step(at, "write", (len(plan), op, hand.randrange(6))))
        plan.sort(key=lambda step: step.at)
        return Plan(cls.name, seed, nodes, {"bug": bug}, tuple(plan))

    def node(self, machine: Machine) -> ToyNode:
        self.disks[machine.number] = machine.disk
        return ToyNode(self, machine)

    def act(self, step: Step) -> bool:
        if step.kind != "write":
            return False
        write, op, key = step.arguments
        value = None if op == DELETE else write
        self.totals["writes"] += 1
        change = Change(op, "t", (key,), value)
        self.world.machines[0].ask(ToyNode.write, Attempted(write, 0, "toy", (change,)))
        return True

    def rest(self) -> bool:
        self.totals["settled"] = self.settled.count
        contents = []
        for machine in self.world.machines:
            if machine.node is None:
                return False
            changes = machine.node.group.changes(None)
            contents.append(sorted((change.key, change.record.version) for change in changes))
        return all(content == contents[0] for content in contents)

    def restless(self) -> str:
        return "copies differ"


def _with(bug: str) -> type[Toy]:
    """The same with a bug: a class of its own, so that a plan can name it."""

    class Buggy(Toy):
        name: ClassVar[str] = f"tests.ops.simulation.toy:{bug.capitalize() or 'Sound'}"

        @classmethod
        def draw(cls, seed: int, nodes: int | None, steps: int, _: str = "") -> Plan:
            return super().draw(seed, nodes, steps, bug)

    return Buggy


Sound = _with("")
Early = _with("early")
Lossy = _with("lossy")
Lazy = _with("lazy")
Twist = _with("twist")
