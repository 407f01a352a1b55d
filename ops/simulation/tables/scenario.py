"""The world of tables: what is done to it, what is looked at, and when it is at rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, ClassVar, Final

import attrs

from ops.simulation.checkers.base import Checker
from ops.simulation.checkers.claims import Claims
from ops.simulation.checkers.convergence import Convergence
from ops.simulation.checkers.cursors import Cursors
from ops.simulation.checkers.freshness import Freshness
from ops.simulation.checkers.positions import Positions
from ops.simulation.checkers.settled import SettledWrites
from ops.simulation.checkers.sums import Sums
from ops.simulation.checkers.torn import Torn
from ops.simulation.disk import Commit, VirtualDisk
from ops.simulation.machine import Machine
from ops.simulation.plan import Plan, Step
from ops.simulation.records import Key, Landings, Reader
from ops.simulation.tables.claims import REPLICA, VOID, holders, is_void_on, name_of
from ops.simulation.tables.drawing import KEYS, NAME, NEVER_ABSENT_MS, PARTITIONS, plan
from ops.simulation.tables.events import Ceased, Serving
from ops.simulation.tables.node import TablesNode
from ops.simulation.tables.schema import LEFT, PLAIN, PURSE, RIGHT, TABLES, TAGS, WHOLE
from ops.simulation.trace import DiskLost, Down
from ops.simulation.world import ROUNDS_MAX, World
from ops.simulation.writes import DELETE, MERGE, PUT, Attempted, Change, Refused, Settled
from replication.core.settings import ReplicaSettings
from replication.core.state import SERVING
from replication.detectorstate import DetectorSettings
from store import keys

WHOLE_CHUNK: Final = 100
"""Rows of a pull's answer that hold everything that such a world has written to a partition."""

FIRST_PROBE: Final = 1_000_000
"""Numbers of the writes that are made at rest are above it."""

CALM_PURGE_MS: Final = 1_570
"""As `purge_ms` when a world comes to rest."""

QUIET_ROUNDS: Final = 6
"""Rounds for which everything must be as it should be, before a world is at rest."""


class Tables:
    """One run of it."""

    name: ClassVar[str] = NAME
    tick_ms: ClassVar[int] = 10
    rounds_max: ClassVar[int] = ROUNDS_MAX

    def __init__(self, world: World) -> None:
        knobs = world.plan.knobs
        self.world = world
        self.network = world.network
        self.trace = world.trace
        self.nodes = world.plan.nodes
        self.group_names: tuple[str, ...] = tuple(knobs["groups"])
        self.partitions: Mapping[str, int] = {
            name: 1 if name == WHOLE else PARTITIONS for name in self.group_names
        }
        self.replica = ReplicaSettings(**knobs["replica"])
        self.detector = DetectorSettings(**knobs["detector"])
        self.totals: dict[str, int] = dict.fromkeys(
            (
                "writes",
                "settled at 2",
                "settled at 1",
                "refused",
                "serves",
                "voided",
                "forgotten",
                "transfers",
            ),
            0,
        )
        self.disks: dict[int, VirtualDisk] = {}
        self.serving: dict[tuple[int, str, int], int] = {}
        self._probes: dict[int, tuple[str, int]] = {}  # writes under way that were made at rest
        self._probed: set[tuple[str, int]] = set()
        self._writes = FIRST_PROBE
        self._quiet = 0
        # Copies that are to be emptied, on (node, group, partition).
        self._voided: set[tuple[int, str, int]] = set()
        self._ranked: dict[tuple[str, int], Sequence[bytes]] = {}
        self.reader = Reader(world.trace)
        self.forgets = self.replica.purge_ms > 0
        self.positions = Positions(world.trace, forgets=self.forgets)
        every = [(group, table) for group in self.group_names for table in TABLES]
        merged = [(group, TAGS) for group in self.group_names]
        self.settled = SettledWrites(self.positions, self.disks, every, self._copies, merged)
        # What is merged in pieces may be cut between two tables, if the other node goes away in the middle of it.
        whole = self.replica.chunk_rows >= WHOLE_CHUNK
        self.torn = [
            Torn(self.disks, group, LEFT, RIGHT, self._serves) for group in self.group_names if whole
        ]
        self.sums = [
            Sums(self.disks, group, PURSE, self._serves, partial(_slice, group))
            for group in self.group_names
            if whole
        ]
        replicated = (*TABLES, PURSE)
        self.checkers: Sequence[Checker] = (
            self.settled,
            Convergence(
                [(group, table, group != WHOLE) for group in self.group_names for table in replicated],
                self.partitions,
                lambda group, partition: holders(self.disks, group, partition),
                forgets=self.forgets,
            ),
            Freshness(merged),
            *self.torn,
            *self.sums,
            Claims(self.positions, self.disks, self.partitions, (WHOLE,)),
            Cursors(self.disks, self.positions, self.partitions, (WHOLE,), replicated),
        )
        for kind, observer in (
            (Serving, self._began),
            (Ceased, self._ceased),
            (Down, self._down),
            (Settled, self._told),
            (Refused, self._refused),
            (Landings, self._landed),
            (Commit, self._committed),
            (DiskLost, self._lost),
        ):
            world.trace.subscribe(kind, observer)

    # ---- what a seed decides --------------------------------------------------------------------------

    @classmethod
    def draw(cls, seed: int, nodes: int | None, steps: int) -> Plan:
        """Knobs, clients and faults."""
        return plan(seed, nodes, steps)

    def ranked(self, group: str, partition: int) -> Sequence[bytes]:
        """Any order will do, as long as all nodes have the same."""
        order = self._ranked.get((group, partition))
        if order is None:
            names = [name_of(node) for node in range(self.nodes)]
            order = sorted(
                names, key=lambda name: blake2b(name + group.encode() + bytes([partition])).digest()
            )
            self._ranked[group, partition] = order
        return order

    def node(self, machine: Machine) -> TablesNode:
        """One more life."""
        self.disks[machine.number] = machine.disk
        return TablesNode(machine, self)

    # ---- what is done ---------------------------------------------------------------------------------

    def act(self, step: Step) -> bool:
        """Clients' writes, moves of partitions, and moves of amounts."""
        if step.kind == "move":
            group, partition, target = step.arguments
            for machine in self.world.machines:
                machine.ask(TablesNode.move, group, partition, target)
            return True
        if step.kind == "transfer":
            self._transfer(*step.arguments)
            return True
        if step.kind != "write":
            return False
        write, node, group, kind, partition, key = step.arguments
        self._write(write, node, group, kind, partition, key)
        return True

    def _write(self, write: int, node: int, group: str, kind: str, partition: int, key: int) -> None:
        self.totals["writes"] += 1
        place: tuple[Any, ...] = (key,) if group == WHOLE else (partition, key)
        changes: tuple[Change, ...]
        if kind == "pair":
            changes = (Change(PUT, LEFT, place, write), Change(PUT, RIGHT, place, write))
        elif kind == "unpair":
            changes = (Change(DELETE, LEFT, place, None), Change(DELETE, RIGHT, place, None))
        elif kind == MERGE:
            changes = (Change(MERGE, TAGS, place, write),)
        else:
            changes = (Change(kind, PLAIN, place, None if kind == DELETE else write),)
        attempted = Attempted(write, node, group, changes)
        self.world.machines[node].ask(TablesNode.write, attempted, partition)

    def _transfer(
        self, write: int, node: int, group: str, partition: int, debit: int, credit: int, amount: int
    ) -> None:
        self.totals["transfers"] += 1
        places: list[Key] = [(key,) if group == WHOLE else (partition, key) for key in (debit, credit)]
        changes = (Change(PUT, PURSE, places[0], -amount), Change(PUT, PURSE, places[1], amount))
        self.world.machines[node].ask(TablesNode.write, Attempted(write, node, group, changes), partition)

    # ---- what is heard --------------------------------------------------------------------------------

    def _began(self, serving: Serving) -> None:
        self.totals["serves"] += 1
        self.serving[serving.node, serving.group, serving.partition] = serving.epoch
        partition = serving.partition if serving.group != WHOLE else None
        for torn in self.torn:
            torn.look(serving.node, serving.group, partition)
        for sums in self.sums:
            sums.look(serving.node, serving.group, partition)

    def _ceased(self, ceased: Ceased) -> None:
        self.serving.pop((ceased.node, ceased.group, ceased.partition), None)

    def _down(self, down: Down) -> None:
        for place in [place for place in self.serving if place[0] == down.node]:
            del self.serving[place]

    def _landed(self, landings: Landings) -> None:
        node, group, records = landings
        for table, key, found in records:
            if table != REPLICA:
                continue
            kind, partition = keys.decode(key)
            if kind != "copy":
                continue
            place = (node, group, partition)
            if found.value[0] != VOID:
                self._voided.discard(place)
            elif place not in self._voided:
                self._voided.add(place)
                self.totals["voided"] += 1
                if self.replica.absence_ms < NEVER_ABSENT_MS:
                    self.settled.was_away(self._voided, _partition_of)

    def _committed(self, commit: Commit) -> None:
        put = {(name[2:], key) for name, key, record in commit.changes if record is not None}
        self.totals["forgotten"] += sum(
            name[:2] == b"x:" and record is None and (name[2:], key) not in put
            for name, key, record in commit.changes
        )

    def _lost(self, lost: DiskLost) -> None:
        disk = self.disks[lost.node]
        self._voided = {place for place in self._voided if place[0] != lost.node} | {
            (lost.node, group, p)
            for group, count in self.partitions.items()
            for p in range(count)
            if is_void_on(disk, group, p)
        }

    def _told(self, told: Settled) -> None:
        self.totals[f"settled at {told.copies}"] += 1
        probe = self._probes.pop(told.write, None)
        if probe is not None and told.copies == min(2, self.nodes):
            self._probed.add(probe)

    def _refused(self, refused: Refused) -> None:
        self.totals["refused"] += 1
        self._probes.pop(refused.write, None)

    def _serves(self, node: int, group: str, key: tuple[Any, ...]) -> bool:
        return (node, group, 0 if group == WHOLE else key[0]) in self.serving

    def _copies(self, group: str, key: tuple[Any, ...]) -> Sequence[int]:
        return holders(self.disks, group, 0 if group == WHOLE else key[0])

    # ---- coming to rest -------------------------------------------------------------------------------

    def rest(self) -> bool:
        """Every partition is served by one node that everybody knows, its heir is complete, and writes settle."""
        self._calm()
        unsettled = self._unsettled()
        if unsettled:
            self._quiet = 0
            return False
        everything = {(group, p) for group, count in self.partitions.items() for p in range(count)}
        for place in sorted(everything - self._probed - set(self._probes.values())):
            self._writes += 1
            self._probes[self._writes] = place
            self._write(
                self._writes, self._writes % self.nodes, place[0], "pair", place[1], self._writes % KEYS
            )
        if not everything <= self._probed:
            self._quiet = 0
            return False
        self._quiet += 1
        self.totals["halves"] = sum(len(sums.halves) for sums in self.sums)
        for carrier in self._carriers():
            for name in (
                "takeovers",
                "heirs_lost",
                "moves",
                "yields",
                "mismatches",
                "differences",
                "restarts",
                "cleared",
                "purges",
            ):
                if self._quiet == QUIET_ROUNDS:
                    count = getattr(carrier.state.counts, name)
                    self.totals[name] = self.totals.get(name, 0) + count
        return self._quiet >= QUIET_ROUNDS

    def _calm(self) -> None:
        """Floors are raised less often, or there would always be a claim that not everybody knows."""
        for carrier in self._carriers():
            settings = carrier.state.settings
            if 0 < settings.purge_ms < CALM_PURGE_MS:
                carrier.state.settings = attrs.evolve(settings, purge_ms=CALM_PURGE_MS)

    def _carriers(self) -> list[Any]:
        return [
            carrier
            for machine in self.world.machines
            if isinstance(machine.node, TablesNode)
            for carrier in machine.node.carriers.values()
        ]

    def _unsettled(self) -> str:
        """What isn't as it should be, in words."""
        for group, count in self.partitions.items():
            nodes = [machine.node for machine in self.world.machines]
            if not all(isinstance(node, TablesNode) and group in node.carriers for node in nodes):
                return "a node doesn't run"
            states = [node.carriers[group].state for node in nodes if isinstance(node, TablesNode)]
            for p in range(count):
                parts = [state.parts[p] for state in states]
                claims = {part.claim for part in parts}
                if len(claims) != 1:
                    return (
                        f"nodes know different claims of partition {p} of {group}: {sorted(map(str, claims))}"
                    )
                serving = [part for part in parts if part.phase == SERVING and not part.ceased]
                if len(serving) != 1:
                    return f"partition {p} of {group} is served by {len(serving)} nodes"
                if self.nodes > 1 and not serving[0].heir_live:
                    return f"partition {p} of {group}, of {serving[0].claim}, has no complete heir"
            if any(state.waiting for state in states):
                return f"writes of {group} wait"
        return ""

    def restless(self) -> str:
        """What hasn't ended."""
        waiting = sorted(self._probes.items())
        return self._unsettled() or f"writes made at rest don't settle at two copies: {waiting}"


def _slice(group: str, key: Key) -> int | None:
    return None if group == WHOLE else key[0]


def _partition_of(group: str, key: Key) -> int:
    return 0 if group == WHOLE else key[0]
