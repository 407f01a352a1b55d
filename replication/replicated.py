"""A group of tables with copies on several nodes, as its users see it: write, transact, read, subscribe, on any node.

Everything is for the thread of the Trio loop. What is written goes to the partition's primary, wherever that is; how
much is waited for is the caller's choice:

    cast      nothing: it is on its way, in order, and bounded
    "local"   it is durable on the primary
    "settled" it is durable on the primary and its heir (copies=2), or there is no heir to be reached (copies=1)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import attrs
import cbor2
import trio

from replication.carrier import Carrier
from replication.core import replica
from replication.core.errors import ClaimLost, ReplicationError, WritersWait
from replication.core.state import LIVE, SERVING
from replication.errors import NoProcedure, NotOnePartition, NotServed
from replication.forwarding import (
    ANSWER,
    BUSY,
    CALL,
    NOT_HERE,
    OK,
    READ,
    WRITES,
    Forwarding,
    Refused,
    Unanswered,
)
from replication.gathering import Done, Gathering, Heap
from replication.placed import Placed
from store.errors import StoreBusy
from store.group import OpenGroup
from store.record import encode_value
from store.table import OpenTable
from store.writes import Write

Policy = Literal["local", "settled"]
Procedure = Callable[..., Any]
"""fn(transaction, *arguments): run on the primary, alone and atomic."""

CAST_ROWS_MAX = 50_000
"""Rows that were cast and have not been written yet."""
AGAIN_S = 0.05
"""Between two tries of a write that nobody could take."""
ASK_MS = 5_000
"""How long an answer of another node is waited for."""


@attrs.frozen
class Written:
    """copies: on how many nodes it is durable: 2 primary and heir, 1 the primary alone. value: of a transaction."""

    copies: int
    value: Any = attrs.field(default=None, repr=False)


class ReplicatedGroup:
    """Made by `cluster.Cluster`."""

    def __init__(
        self,
        placed: Placed,
        group: OpenGroup,
        carrier: Carrier,
        send: Callable[[bytes, Sequence[Any]], bool],
        ring: Callable[[], None],
        now: Callable[[], int],
        procedures: Mapping[str, Procedure],
    ) -> None:
        self.placed = placed
        self.group = group
        self.carrier = carrier
        self.forwarding = Forwarding()
        self._send = send
        self._ring = ring
        self._now = now
        self._procedures = procedures
        self._gathering = Gathering(self._submit, group.encoded)
        self._casts = 0
        self.casts_failed = 0
        self._changed = trio.Event()

    @property
    def name(self) -> str:
        """The group's."""
        return self.placed.group.name

    def table(self, name: str) -> OpenTable:
        """What this node has of a table: reads of a live copy here, as of its last commit; `subscribe` too."""
        return self.group.table(name)

    # ---- writing -------------------------------------------------------------------------------

    def cast(self, writes: Sequence[Write]) -> None:
        """Write without waiting for anything; those of one caller to one partition are done in order.

        Raises:
            WritersWait: CAST_ROWS_MAX rows are under way; nothing was written. `wait_room` waits for some of them.
            NotServed: this node doesn't serve the partition, and reaches nobody who does.
            What `store.group.submit` raises for keys and values.
        """
        rows = len(writes)
        if self._casts + rows > CAST_ROWS_MAX:
            raise WritersWait(f"{self._casts} rows that were cast are under way")
        p = self._partition(writes)
        if self.serves(p):
            self._gathering.add(p, writes, None)
            self._ring()
        else:
            question = (WRITES, self._named(writes), False)
            self._forward(p, question, lambda _, code, *__: self._cast_ended(rows, failed=code != OK))
        self._casts += rows

    def _cast_ended(self, rows: int, *, failed: bool) -> None:
        self._casts -= rows
        if failed:
            self.casts_failed += rows
        if self._casts <= CAST_ROWS_MAX // 2:
            self._wake()

    async def wait_room(self) -> None:
        """Wait until half of what may be cast at once is free."""
        self.flush()
        while self._casts > CAST_ROWS_MAX // 2:
            await self._changed.wait()
        await trio.lowlevel.checkpoint()

    async def drained(self) -> None:
        """Wait until nothing that was cast is under way."""
        self.flush()
        while self._casts:
            await self._changed.wait()
        await trio.lowlevel.checkpoint()

    def submit(self, writes: Sequence[Write], done: Done, *, policy: Policy = "settled") -> None:
        """`commit` for callers that can't await, to a partition that this node serves: ``done(copies, error)``.

        Raises:
            NotServed, NotOnePartition, WritersWait, and what `store.group.submit` raises for keys and values.
        """
        p = self._partition(writes)
        if not self.serves(p):
            raise NotServed(f"partition {p} of group {self.name!r} isn't served by this node")
        self._gathering.add(p, writes, done, settled=policy == "settled")
        self._ring()

    async def commit(
        self, writes: Sequence[Write], *, policy: Policy = "settled", timeout: float = 10.0
    ) -> Written:
        """Write, all or nothing, to one partition.

        Args:
            timeout: seconds after which it gives up finding somebody who takes it.

        Raises:
            NotServed: nobody who could be reached took it in time. If it was sent to somebody who then went away, it
                may have happened.
            NotOnePartition; what `store.group.submit` raises for keys and values.
            Cancelled, it stops waiting; the write may happen all the same.
        """
        p = self._partition(writes)
        settled = policy == "settled"
        until = trio.current_time() + timeout
        while True:
            try:
                return await self._try(p, writes, settled)
            except (ClaimLost, WritersWait, StoreBusy, NotServed, Unanswered) as error:
                if trio.current_time() >= until:
                    raise NotServed(f"partition {p} of group {self.name!r} took no write: {error}") from error
            await trio.sleep(AGAIN_S)

    async def _try(self, p: int, writes: Sequence[Write], settled: bool) -> Written:
        if self.serves(p):
            waiter = _Waiter()
            self._gathering.add(p, writes, waiter.done, settled=settled)
            self._ring()
            return await waiter.wait()
        answer = await self._ask(p, (WRITES, self._named(writes), settled))
        return Written(answer[0])

    async def transact(self, fn: Procedure, *arguments: Any, partition: int = 0) -> Written:
        """Run ``fn(transaction, *arguments)`` on this node, which must serve the partition: alone, atomic, and whole on
        every live copy. It must touch no other partition, and have no side effects: it may run twice.

        Raises:
            NotServed: another node serves it: `call` runs there what is registered by name.
            ClaimLost: the claim went elsewhere while it was under way; it may have happened.
            What fn raises, its writes undone.
        """
        waiter = _Waiter()
        self.submit_transaction(fn, arguments, waiter.ran, partition=partition)
        return await waiter.wait()

    def submit_transaction(
        self, fn: Procedure, arguments: tuple[Any, ...], done: Callable[..., None], *, partition: int = 0
    ) -> None:
        """`transact` for callers that can't await: ``done(copies, error, value)``.

        Raises:
            NotServed, WritersWait, StoreBusy: it was not run.
        """
        if not self.serves(partition):
            raise NotServed(f"partition {partition} of group {self.name!r} isn't served by this node")
        self.flush()
        self.carrier.transact(partition, _Within(fn, self._place(partition)), arguments, done)
        self.carrier.drain()

    async def call(self, name: str, *arguments: Any, partition: int = 0) -> Written:
        """Run a procedure that every node has registered under a name, where the partition is served.

        Raises:
            NoProcedure, NotServed, Refused, Unanswered (it may have happened), and what `transact` raises.
        """
        if self.serves(partition):
            return await self.transact(self._procedure(name), *arguments, partition=partition)
        copies, value = await self._ask(partition, (CALL, name, encode_value(arguments)))
        return Written(copies, value)

    async def read(self, table: str, key: tuple[Any, ...]) -> Any:
        """A value as the primary has it, wherever that is: with everything that was settled before.

        Raises:
            NotServed, Unanswered.
        """
        p = self.placed.partition_of(key)
        if self.serves(p):
            return await self.group.fetch(lambda reader: reader.get(table, key))
        return (await self._ask(p, (READ, table, list(key))))[1]

    # ---- who serves ----------------------------------------------------------------------------

    def serves(self, p: int) -> bool:
        """Whether this node takes writes of the partition."""
        part = self.carrier.state.parts[p]
        return part.phase == SERVING and not part.ceased

    def primary(self, p: int) -> bytes | None:
        """Who does, as far as this node knows."""
        claim = self.carrier.state.parts[p].claim
        return None if claim is None else claim.primary

    def is_live(self, p: int) -> bool:
        """Whether this node's copy is complete."""
        return self.carrier.state.parts[p].copy == LIVE

    async def wait_ready(self, *, local: bool = False) -> None:
        """Wait until every partition is served by somebody whom this node reaches; with `local`: is complete here."""
        while not all(self._ready(p, local) for p in range(self.placed.partitions)):
            await self._changed.wait()
        await trio.lowlevel.checkpoint()

    def _ready(self, p: int, local: bool) -> bool:
        if local:
            return self.is_live(p)
        if self.serves(p):
            return True
        state = self.carrier.state
        claim = state.parts[p].claim
        peer = state.peers.get(claim.primary) if claim is not None else None
        return peer is not None and state.reachable(peer)

    async def move(self, p: int, target: bytes) -> None:
        """Move a partition that is served here to another node. Raises NoMove, ClaimLost, UnknownMember."""
        waiter = _Waiter()
        replica.move(self.carrier.state, p, target, waiter.done)
        self.carrier.drain()
        await waiter.wait()

    def force(self, p: int) -> None:
        """Serve a partition from what this node has, complete or not, when no complete copy is left."""
        replica.force(self.carrier.state, p)
        self.carrier.drain()

    # ---- driven by the cluster -----------------------------------------------------------------

    def flush(self) -> None:
        """Hand over what was gathered."""
        self._gathering.flush()

    def changed(self) -> None:
        """Something about partitions may be different: whoever waits for that looks again."""
        self._wake()

    def tick(self) -> None:
        """Time has passed."""
        self.flush()
        self.forwarding.tick(self._now())
        self._wake()

    def asked(self, peer: bytes, message: Sequence[Any]) -> None:
        """Another node forwards something to this one."""
        _, number, p, what, *rest = message

        def answer(copies: int, error: Exception | None, value: Any = None) -> None:
            code, text = _code(error)
            self._send(peer, (ANSWER, number, copies, code, text, encode_value(value)))

        try:
            if not (0 <= p < self.placed.partitions and self.serves(p)):
                raise ClaimLost(f"partition {p} isn't served here")
            if what == WRITES:
                writes = [self._write(write) for write in rest[0]]
                if self._partition(writes) != p:
                    raise NotOnePartition(f"these are no writes of partition {p}")
                self._gathering.add(p, writes, answer, settled=bool(rest[1]))
                self._ring()
            elif what == CALL:
                fn = _Within(self._procedure(rest[0]), self._place(p))
                self.flush()
                self.carrier.transact(p, fn, tuple(cbor2.loads(rest[1])), answer)
                self.carrier.drain()
            elif what == READ:
                key = _key(rest[1])
                self.group.read(
                    lambda reader: reader.get(rest[0], key),
                    lambda result: answer(1, result.error, result.value),  # type: ignore[arg-type]
                )
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked is told
            answer(0, error)

    def statistics(self) -> dict[str, Any]:
        """Of the copies, and of what is under way here."""
        return {
            **replica.status(self.carrier.state),
            "casts": self._casts,
            "casts_failed": self.casts_failed,
            "forwarded": len(self.forwarding),
            "unanswered": self.forwarding.unanswered,
        }

    # ---- within --------------------------------------------------------------------------------

    def _submit(self, p: int, heap: Heap) -> None:
        def durable(copies: int, error: Exception | None) -> None:
            if heap.casts:
                self._cast_ended(heap.casts, failed=error is not None)
            for done in heap.local:
                done(copies, error)

        def settled(copies: int, error: Exception | None) -> None:
            for done in heap.settled:
                done(copies, error)

        try:
            self.carrier.write_encoded(p, heap.writes, durable, settled if heap.settled else None)
        except ClaimLost:
            self._cast_ended(heap.casts, failed=True)
            raise
        self.carrier.drain()

    def _partition(self, writes: Sequence[Write]) -> int:
        if self.placed.partitions == 1:
            return 0
        found = {write[2][0] for write in writes}
        if len(found) != 1:
            raise NotOnePartition(f"{len(found)} partitions of group {self.name!r} in one commit")
        p = found.pop()
        if type(p) is not int or not 0 <= p < self.placed.partitions:
            raise NotOnePartition(f"{p!r} is no partition of group {self.name!r}")
        return p

    def _named(self, writes: Sequence[Write]) -> list[Write]:
        """As they are sent: ids of tables are each node's own."""
        tables = self.group.state.by_id
        return [
            (write[0], tables[write[1]].name, write[2], *(encode_value(value) for value in write[3:]))
            for write in writes
        ]

    def _write(self, row: Sequence[Any]) -> Write:
        return (row[0], self.group.table(row[1]).id, _key(row[2]), *(cbor2.loads(value) for value in row[3:]))

    def _place(self, p: int) -> int | None:
        return p if self.placed.partitions > 1 else None

    def _procedure(self, name: str) -> Procedure:
        try:
            return self._procedures[name]
        except KeyError:
            raise NoProcedure(f"nothing is registered as {name!r}") from None

    def _forward(self, p: int, question: tuple[Any, ...], answered: Callable[..., None]) -> None:
        peer = self.primary(p)
        if peer is None or peer == self.carrier.state.me or not self.forwarding.has_room(peer):
            raise NotServed(f"partition {p} of group {self.name!r} is served by nobody that can be asked now")
        message = self.forwarding.ask(peer, p, question, answered, self._now(), ASK_MS)
        if not self._send(peer, message):
            lost = (ANSWER, message[1], 0, NOT_HERE, "the node can't be reached", None)
            self.forwarding.answer(peer, lost)

    async def _ask(self, p: int, question: tuple[Any, ...]) -> tuple[int, Any]:
        waiter = _Waiter()

        def answered(copies: int, code: int, text: str, value: Any) -> None:
            waiter.ran(copies, _error(code, text), None if value is None else cbor2.loads(value))

        self._forward(p, question, answered)
        written = await waiter.wait()
        return written.copies, written.value

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class _Waiter:
    """One task that waits for one outcome."""

    __slots__ = ("_error", "_task", "_written")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._written: Written | None = None
        self._error: Exception | None = None

    def done(self, copies: int, error: Exception | None) -> None:
        self.ran(copies, error, None)

    def ran(self, copies: int, error: Exception | None, value: Any) -> None:
        self._written = Written(copies, value)
        self._error = error
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def wait(self) -> Written:
        if self._written is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._cancel)
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error
        assert self._written is not None
        return self._written

    def _cancel(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class _Within:
    """A transaction's function that is kept to one partition."""

    __slots__ = ("_fn", "_partition")

    def __init__(self, fn: Procedure, partition: int | None) -> None:
        self._fn = fn
        self._partition = partition

    def __call__(self, transaction: Any, *arguments: Any) -> Any:
        if self._partition is not None:
            transaction.confine(self._partition)
        return self._fn(transaction, *arguments)


def _key(key: Any) -> Any:
    """Keys are tuples; on the wire they are lists."""
    return tuple(_key(element) for element in key) if isinstance(key, list) else key


def _code(error: Exception | None) -> tuple[int, str]:
    if error is None:
        return OK, ""
    if isinstance(error, ClaimLost):
        return NOT_HERE, str(error)
    if isinstance(error, WritersWait | StoreBusy):
        return BUSY, str(error)
    return 3, f"{type(error).__name__}: {error}" if isinstance(error, ReplicationError) else type(
        error
    ).__name__


def _error(code: int, text: str) -> Exception | None:
    if code == OK:
        return None
    if code == NOT_HERE:
        return NotServed(text)
    if code == BUSY:
        return WritersWait(text)
    return Unanswered(text) if code < 0 else Refused(text)
