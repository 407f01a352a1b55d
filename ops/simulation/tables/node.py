"""A node of the world of tables: the real store, a replica of each group, a detector; links are the world's.

It does what a driver does and nothing more: it sets the time, hands in what came, and carries out what is asked for.
Clients' writes are taken by any node and forwarded, once, to the primary that it knows of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

from ops.simulation.machine import Machine
from ops.simulation.network import Network
from ops.simulation.tables.claims import name_of, node_of
from ops.simulation.tables.events import Ceased, Reported, Serving
from ops.simulation.tables.schema import LEFT, PURSE, RIGHT, groups, store_write
from ops.simulation.trace import Trace
from ops.simulation.writes import Attempted, Change, Half, Placed, Refused, Settled, Transferred
from replication import detectorstate
from replication.carrier import Carrier
from replication.core import invariants, replica, rows
from replication.core.errors import ReplicationError
from replication.core.settings import ReplicaSettings
from replication.core.state import ALIVE, DEAD, SERVING, SILENT, UNKNOWN, ReplicaState
from replication.detector import Detector
from replication.detectorstate import BOOT_SIZE, DetectorSettings
from replication.tables import REPLICA
from store.errors import StoreError
from store.group import OpenGroup
from store.limits import StoreSettings
from store.results import Result
from store.schema import Group
from store.store import Store

CONTROL: Final = "control"
FORWARD: Final = "forward"
STORE: Final = StoreSettings(map_bytes=1 << 24, warm_bytes=1 << 30)
REPLICA_ROWS_MAX: Final = 10_000

LIVENESS: Final = MappingProxyType(
    {
        detectorstate.UNKNOWN: UNKNOWN,
        detectorstate.ALIVE: ALIVE,
        detectorstate.UNREACHABLE: SILENT,
        detectorstate.SUSPECT: SILENT,
        detectorstate.DEAD: DEAD,
    }
)


class Surroundings(Protocol):
    """What a node is told of the world that it is in."""

    network: Network
    trace: Trace
    nodes: int
    group_names: tuple[str, ...]
    partitions: Mapping[str, int]
    replica: ReplicaSettings
    detector: DetectorSettings

    def ranked(self, group: str, partition: int) -> Sequence[bytes]:
        """The nodes that may hold a partition, in order."""
        ...


class Client:
    """Who waits for a write."""

    __slots__ = ("_attempted", "_node", "_p", "_place")

    def __init__(self, node: TablesNode, attempted: Attempted, p: int) -> None:
        self._node = node
        self._attempted = attempted
        self._p = p
        self._place = (0, 0)

    def placed(self, sequence: int) -> None:
        """It is durable on its primary."""
        node, attempted = self._node, self._attempted
        self._place = (node.carriers[attempted.group].group.history.current.id, sequence)
        node.around.trace.observe(Placed(attempted.write, node.number, *self._place))

    def __call__(self, copies: int, error: Exception | None) -> None:
        node, attempted = self._node, self._attempted
        if error is not None:
            node.around.trace.observe(Refused(attempted.write, type(error).__name__))
            return
        claim = node.carriers[attempted.group].state.parts[self._p].claim
        epoch = 0 if claim is None else claim.epoch
        node.around.trace.observe(Settled(attempted.write, node.number, *self._place, copies, epoch))

    def ran(self, copies: int, error: Exception | None, sequence: Any) -> None:
        """A transaction has ended; its value is the last sequence that it was given."""
        if error is None:
            self.placed(sequence)
        self(copies, error)


class WatchedCarrier(Carrier):
    """Tells clients where their writes were placed."""

    __slots__ = ()

    def _written(self, p: int, done: Any, result: Result) -> None:
        if result.error is None and isinstance(done, Client):
            done.placed(result.sequence)
        super()._written(p, done, result)


class _Listener:
    """Tells the trace what a replica says."""

    __slots__ = ("_group", "_node", "_trace")

    def __init__(self, node: int, group: str, trace: Trace) -> None:
        self._node = node
        self._group = group
        self._trace = trace

    def serve(self, partition: int, epoch: int) -> None:
        self._trace.observe(Serving(self._node, self._group, partition, epoch))

    def cease(self, partition: int) -> None:
        self._trace.observe(Ceased(self._node, self._group, partition))

    def report(self, what: str, details: Mapping[str, Any]) -> None:
        told = tuple(sorted((name, repr(value)) for name, value in details.items()))
        self._trace.observe(Reported(self._node, self._group, what, told))


class TablesNode:
    """One life of a node."""

    def __init__(self, machine: Machine, around: Surroundings) -> None:
        self.machine = machine
        self.around = around
        self.number = machine.number
        self.name = name_of(machine.number)
        self.store: Store | None = None
        self.carriers: dict[str, Carrier] = {}

    # ---- what a machine does with it ------------------------------------------------------------------

    def start(self) -> None:
        """Open the store and take over what the former life has left."""
        around, hand = self.around, self.machine.hand
        self.open_store()
        assert self.store is not None
        members = [name_of(node) for node in range(around.nodes)]
        now = self.machine.times.monotonic_ms()
        for group in self.store.groups:
            state = self.replica(group, members, partial(around.ranked, group.name), now)
            self.carriers[group.name] = self.carrier(state, group)
        boot = hand.randbytes(BOOT_SIZE)
        self.detector = Detector(self.name, members, boot, around.detector, now)

    def open_store(self) -> None:
        """On the machine's disk."""
        machine = self.machine
        hand = machine.hand
        self.store = Store.open(
            "/node",
            self.declared(),
            settings=STORE,
            clock=machine.times.wall,
            committer="inline",
            identity=lambda: hand.getrandbits(64),
            environments=machine.disk.environment,
            directories=machine.disk.directory,
        )

    def replica(
        self, group: OpenGroup, members: Sequence[bytes], ranked: Callable[[int], Sequence[bytes]], now: int
    ) -> ReplicaState:
        """The replica of a group, as the former life has left it."""
        around = self.around
        state = ReplicaState(
            self.name,
            members,
            around.partitions[group.name],
            ranked,
            around.replica,
            incarnation=group.history.current.id,
            sequence=group.sequence,
            position=group.position,
            now=now,
        )
        rows.restore(state, group.table(REPLICA.name).range(limit=REPLICA_ROWS_MAX))
        return state

    def declared(self) -> tuple[Group, ...]:
        """The groups of its store."""
        return groups(self.around.group_names)

    def carrier(self, state: ReplicaState, group: OpenGroup) -> Carrier:
        """Who carries out what a replica asks for."""
        listener = _Listener(self.number, group.name, self.around.trace)
        return WatchedCarrier(state, group, partial(self._send, group.name), listener)

    def crash(self) -> None:
        """Give back what Python holds."""
        if self.store is not None:
            self.store.abandon()

    def deliver(self, peer: int, channel: str, message: Any) -> None:
        """A message came."""
        now = self.machine.times.monotonic_ms()
        if channel == CONTROL:
            self._detected(self.detector.received(name_of(peer), tuple(message), now), now)
        elif channel == FORWARD:
            self._forwarded(message)
        else:
            carrier = self.carriers[channel]
            carrier.state.now = now
            replica.received(carrier.state, name_of(peer), message)
            self._drain(carrier)

    def tick(self, now: int) -> None:
        """Time went by."""
        self._detected(self.detector.tick(now), now)
        for carrier in self.carriers.values():
            carrier.state.now = now
            replica.tick(carrier.state)
            self._drain(carrier)

    def waiting_groups(self) -> Sequence[str]:
        """Groups that have something to commit."""
        return [name for name, carrier in self.carriers.items() if carrier.group.queue_length]

    def disk_step(self, group: str) -> None:
        """Commit."""
        self.carriers[group].group.step_inline()

    def results_step(self) -> None:
        """Hear of commits."""
        assert self.store is not None
        now = self.machine.times.monotonic_ms()
        for carrier in self.carriers.values():
            carrier.state.now = now
        self.store.deliver_results(commit=False)
        for carrier in self.carriers.values():
            self._drain(carrier)

    # ---- what it does -------------------------------------------------------------------------------

    def _send(self, channel: str, peer: bytes, message: Sequence[Any]) -> None:
        self.around.network.send(self.number, node_of(peer), channel, message)

    def _drain(self, carrier: Carrier) -> None:
        carrier.drain()
        invariants.check(carrier.state)

    def _detected(self, effects: Sequence[Any], now: int) -> None:
        for effect in effects:
            if effect[0] == detectorstate.SEND:
                self._send(CONTROL, effect[1], effect[2])
            elif effect[0] == detectorstate.STATE:
                for carrier in self.carriers.values():
                    carrier.state.now = now
                    replica.liveness(carrier.state, effect[1], LIVENESS[effect[2]])
                    self._drain(carrier)

    # ---- clients --------------------------------------------------------------------------------------

    def write(self, attempted: Attempted, p: int) -> None:
        """A client asks for a write."""
        self.around.trace.observe(attempted)
        claim = self.carriers[attempted.group].state.parts[p].claim
        if claim is None or claim.primary == self.name:
            self._write(attempted, p)
            return
        changes = [list(change) for change in attempted.changes]
        self._send(FORWARD, claim.primary, [attempted.write, attempted.node, attempted.group, p, changes])

    def _forwarded(self, message: Any) -> None:
        write, node, group, p, changes = message
        told = tuple(Change(op, table, _key(key), value) for op, table, key, value in changes)
        self._write(Attempted(write, node, group, told), p)

    def _write(self, attempted: Attempted, p: int) -> None:
        carrier = self.carriers[attempted.group]
        carrier.state.now = self.machine.times.monotonic_ms()
        client = Client(self, attempted, p)
        try:
            if attempted.changes[0].table in (LEFT, RIGHT):
                carrier.transact(p, _transaction, (attempted.changes,), client.ran)
            elif attempted.changes[0].table == PURSE:
                carrier.transact(p, self._transfer, (attempted.group, attempted.changes), client.ran)
            else:
                carrier.write(p, [store_write(carrier.group, change) for change in attempted.changes], client)
        except (ReplicationError, StoreError) as error:
            self.around.trace.observe(Refused(attempted.write, type(error).__name__))
        self._drain(carrier)

    def _transfer(self, transaction: Any, group: str, changes: Sequence[Change]) -> int:
        """Adds to two keys what the changes say; gives the last sequence."""
        stamp = self.machine.hand.getrandbits(48) | 1
        halves = []
        for change in changes:
            found = transaction.get(change.table, change.key) or {"amount": 0, "stamp": 0}
            halves.append(Half(change.key, found["stamp"], change.value))
            amount = found["amount"] + change.value
            transaction.put(change.table, change.key, {"amount": amount, "stamp": stamp})
        incarnation = self.carriers[group].group.history.current.id
        self.around.trace.observe(Transferred(self.number, group, incarnation, stamp, tuple(halves)))
        sequence: int = transaction._batch.sequence
        return sequence

    def move(self, group: str, p: int, target: int) -> None:
        """An operator moves a partition, if it is served here."""
        carrier = self.carriers[group]
        if carrier.state.parts[p].phase == SERVING:
            carrier.state.now = self.machine.times.monotonic_ms()
            replica.move(carrier.state, p, name_of(target), _moved)
            self._drain(carrier)


def _moved(copies: int, error: Exception | None) -> None:
    """Whether a move succeeds is nobody's promise."""


def _transaction(transaction: Any, changes: Sequence[Change]) -> int:
    """All changes; gives the last sequence."""
    for change in changes:
        if change.value is None:
            transaction.delete(change.table, change.key)
        else:
            transaction.put(change.table, change.key, change.value)
    sequence: int = transaction._batch.sequence
    return sequence


def _key(key: Any) -> tuple[Any, ...]:
    return tuple(key)
