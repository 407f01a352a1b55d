"""A group of tables with copies on several nodes, as its users see it: write, transact, read, subscribe, on any node.

Everything is for the thread of the Trio loop. What is written goes to the partition's primary, wherever that is; how
much is waited for is the caller's choice:

    cast      nothing: it is on its way, in order, and bounded
    "local"   it is durable on the primary
    "settled" it is durable on the primary and its heir (copies=2), or there is no heir to be reached (copies=1)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

import cbor2
import trio

from replication import casting, forwarding
from replication.asking import Asking
from replication.carrier import Carrier
from replication.casting import Casts
from replication.core import replica
from replication.core.errors import ClaimLost, WritersWait
from replication.core.state import LIVE, SERVING
from replication.errors import GroupGone, NoProcedure, NotOnePartition, NotServed
from replication.forwarding import OK, UNDONE, Unanswered
from replication.gathering import Done, Gathering, Heap
from replication.naming import named
from replication.outcome import Waiter, Written
from replication.placed import Placed
from replication.procedures import Called, Procedure, Within
from store.errors import StoreBusy
from store.group import OpenGroup
from store.record import encode_value
from store.table import OpenTable
from store.writes import Write

Policy = Literal["local", "settled"]
AGAIN_S = 0.05
"""Between two tries of what nobody could take."""
TRY_S = 10.0
"""For how long it is tried, if the caller doesn't say."""


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
        self._asking = Asking(placed.group.name, carrier.state, send, now)
        self.forwarding = self._asking.forwarding
        self._ring = ring
        self._now = now
        self._procedures = procedures
        self._gathering = Gathering(self._submit, group.encoded, carrier.transact_all)
        self._casts = Casts(self._wake)
        self._gone: GroupGone | None = None
        self._changed = trio.Event()

    @property
    def name(self) -> str:
        """The group's."""
        return self.placed.group.name

    @property
    def casts_failed(self) -> int:
        """Rows that were cast, and were not written."""
        return self._casts.failed

    def table(self, name: str) -> OpenTable:
        """What this node has of a table: reads of a live copy here, as of its last commit; `subscribe` too."""
        return self.group.table(name)

    # ---- writing -------------------------------------------------------------------------------

    def cast(self, writes: Sequence[Write]) -> None:
        """Write without waiting for anything; those of one caller to one partition are done in order.

        What fails later (the partition goes elsewhere meanwhile, its primary has no room) is counted in `casts_failed`
        and told nobody: who must know commits.

        Raises:
            WritersWait: CAST_ROWS_MAX rows or CAST_BYTES_MAX bytes are under way, or as much as the primary may be
                asked at once; nothing was written. `wait_room` waits for some of them.
            NotServed: this node doesn't serve the partition, and reaches nobody who does.
            MessageTooLarge: it can't be forwarded in one message.
            NotOnePartition, GroupGone, what `store.group.submit` raises for keys and values.
        """
        rows, casts = len(writes), self._casts
        if casts.rows + rows > casting.CAST_ROWS_MAX or casts.size >= casting.CAST_BYTES_MAX:
            raise casts.full()
        p = self._partition(writes)
        if self.serves(p):
            size = self._gathering.add(p, writes, None)
            self._ring()
        else:
            question, size = self._question(p, writes, False)
            self._asking.forward(
                p, question, size, lambda _, code, *__: casts.ended(rows, size, failed=code != OK)
            )
        casts.rows += rows
        casts.size += size

    def _question(self, p: int, writes: Sequence[Write], settled: bool) -> tuple[tuple[Any, ...], int]:
        self._asking.require_room(p)  # before anything large is encoded in vain
        rows, size = named(self.group, writes)
        return (forwarding.WRITES, rows, settled), size

    async def wait_room(self) -> None:
        """Wait until half of what may be cast at once is free, and half of what another node may be asked."""
        self.flush()
        while self._casts.is_half_full or self.forwarding.is_half_full():
            await self._changed.wait()
        await trio.lowlevel.checkpoint()

    async def drained(self) -> None:
        """Wait until nothing that was cast is under way."""
        self.flush()
        while self._casts.rows:
            await self._changed.wait()
        await trio.lowlevel.checkpoint()

    def submit(self, writes: Sequence[Write], done: Done, *, policy: Policy = "settled") -> None:
        """`commit` for callers that can't await, to a partition that this node serves: ``done(copies, error)``.

        Raises:
            NotServed, NotOnePartition, WritersWait, and what `store.group.submit` raises for keys and values.
        """
        p = self._partition(writes)
        self.require_served(p)
        self._gathering.add(p, writes, done, settled=policy == "settled")
        self._ring()

    async def commit(
        self,
        writes: Sequence[Write],
        *,
        policy: Policy = "settled",
        timeout: float = TRY_S,
        again: bool = True,
    ) -> Written:
        """Write, all or nothing, to one partition.

        Args:
            timeout: seconds after which it gives up finding somebody who takes it; a try that is under way goes on.
            again: write again what may have happened, or may be under way yet (its node went away, or didn't answer in
                time). False: raise that instead; only what surely didn't happen is tried again.

        Raises:
            NotServed: nobody who could be reached took it in time. With `again`, it may have happened all the same.
            ClaimLost, Unanswered: only without `again`: it may have happened.
            MessageTooLarge: another node is primary, and it can't be forwarded in one message.
            NotOnePartition, GroupGone; what `store.group.submit` raises for keys and values.
            Refused: another node is primary, and says that it can't be done.
            Cancelled, it stops waiting; the write may happen all the same.
        """
        p = self._partition(writes)
        settled = policy == "settled"
        errors = (*UNDONE, ClaimLost, Unanswered) if again else UNDONE
        return await self._until(p, lambda: self._try(p, writes, settled), errors, timeout)

    async def _try(self, p: int, writes: Sequence[Write], settled: bool) -> Written:
        if self.serves(p):
            waiter = Waiter()
            self._gathering.add(p, writes, waiter.done, settled=settled)
            self._ring()
            return await waiter.wait()
        told = await self._asking.ask(p, *self._question(p, writes, settled))
        return Written(told.copies)

    async def _until(
        self,
        p: int,
        attempt: Callable[[], Awaitable[Written]],
        again: tuple[type[Exception], ...],
        timeout: float,
    ) -> Written:
        until = trio.current_time() + timeout
        while True:
            self._check(p)
            try:
                return await attempt()
            except again as error:
                if trio.current_time() >= until:
                    raise NotServed(f"partition {p} of group {self.name!r}, {timeout} s: {error}") from error
            await trio.sleep(AGAIN_S)

    async def transact(self, fn: Procedure, *arguments: Any, partition: int = 0) -> Written:
        """Run ``fn(transaction, *arguments)`` on this node, which must serve the partition: alone, atomic, and whole on
        every live copy. It must touch no other partition, and have no side effects: it may run twice.

        Raises:
            NotServed: another node serves it: `call` runs there what is registered by name.
            ClaimLost: the claim went elsewhere while it was under way; it may have happened.
            What fn raises, its writes undone.
        """
        waiter = Waiter()
        self.submit_transaction(fn, arguments, waiter.ran, partition=partition)
        return await waiter.wait()

    def submit_transaction(
        self, fn: Procedure, arguments: tuple[Any, ...], done: Callable[..., None], *, partition: int = 0
    ) -> None:
        """`transact` for callers that can't await: ``done(copies, error, value)``.

        Raises:
            NotServed, NotOnePartition, GroupGone, WritersWait, StoreBusy: it was not run.
        """
        self._check(partition)
        self._run(partition, Within(fn, self.placed.in_store(partition)), arguments, done)

    def _run(self, p: int, fn: Within, arguments: tuple[Any, ...], done: Callable[..., None]) -> None:
        self.require_served(p)
        self.carrier.require_room(p)
        self._gathering.call(p, (fn, arguments), done)
        self._ring()

    async def call(self, name: str, *arguments: Any, partition: int = 0, timeout: float = TRY_S) -> Written:
        """Run a procedure that every node has registered under a name, where the partition is served. Arguments and
        value are plain data.

        Args:
            timeout: seconds after which it gives up finding somebody who runs it.

        Raises:
            NotServed: nobody who could be reached ran it in time.
            ClaimLost, Unanswered: it may have happened.
            MessageTooLarge: the arguments can't be forwarded in one message.
            Refused: another node is primary, and the procedure raised something there. What it raises, if this one is.
            NoProcedure, NotOnePartition, GroupGone, ValueNotStorable: nothing happened.
        """
        self._check(partition)
        fn = Called(self._procedure(name), self.placed.in_store(partition))
        encoded = encode_value(arguments)

        async def attempt() -> Written:
            if not self.serves(partition):
                return await self._asking.ask(partition, (forwarding.CALL, name, encoded), len(encoded))
            waiter = Waiter()
            self._run(partition, fn, (encoded,), waiter.ran)
            written = await waiter.wait()
            return Written(written.copies, cbor2.loads(written.value))

        return await self._until(partition, attempt, UNDONE, timeout)

    async def read(self, table: str, key: tuple[Any, ...], *, timeout: float = TRY_S) -> Any:
        """A value as the primary has it that this node knows of, wherever that is: with everything that was settled
        under its claim and before. One that stood still or was cut off may have lost that claim without knowing it yet.

        Raises:
            NotServed, Refused, UnknownTable, NotOnePartition, GroupGone.
        """
        p = self.placed.partition_of(key)

        async def attempt() -> Written:
            if self.serves(p):
                return Written(1, await self.group.fetch(lambda reader: reader.get(table, key)))
            return await self._asking.ask(p, (forwarding.READ, table, key))

        return (await self._until(p, attempt, (*UNDONE, ClaimLost, Unanswered), timeout)).value

    # ---- who serves ----------------------------------------------------------------------------

    def serves(self, p: int) -> bool:
        """Whether this node takes writes of the partition."""
        part = self.carrier.state.parts[p]
        return part.phase == SERVING and not part.ceased

    def primary(self, p: int) -> bytes | None:
        """Who does, as far as this node knows."""
        return self._asking.primary(p)

    def is_live(self, p: int) -> bool:
        """Whether this node's copy is complete."""
        return self.carrier.state.parts[p].copy == LIVE

    async def wait_ready(self, *, local: bool = False) -> None:
        """Wait until every partition is served by somebody whom this node reaches; with `local`: is complete here.
        Raises GroupGone."""
        self._check(0)
        while not all(self._ready(p, local) for p in range(self.placed.partitions)):
            await self._changed.wait()
            self._check(0)
        await trio.lowlevel.checkpoint()

    def _ready(self, p: int, local: bool) -> bool:
        if local:
            return self.is_live(p)
        if self.serves(p):
            return True
        state, primary = self.carrier.state, self.primary(p)
        return primary in state.peers and state.reachable(state.peers[primary])

    async def move(self, p: int, target: bytes) -> None:
        """Move a partition that is served here to another node.

        Raises:
            NoMove, ClaimLost, UnknownMember, NotOnePartition, GroupGone: it stays where it is.
            Cancelled, it stops waiting; the move may happen all the same.
        """
        await self.start_move(p, target).wait()

    def start_move(self, p: int, target: bytes) -> Waiter:
        """`move`, begun; the same is raised by waiting. Raises NotOnePartition, GroupGone."""
        self._check(p)
        self.flush()
        waiter = Waiter()
        replica.move(self.carrier.state, p, target, waiter.done)
        self.carrier.drain()
        return waiter

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
        self._asking.asked(peer, message, self)

    def require_served(self, p: Any) -> None:
        """Raises NotServed, NotOnePartition."""
        if not self.serves(self.placed.check(p)):
            raise NotServed(f"partition {p} of group {self.name!r} isn't served by this node")

    def take(self, p: int, writes: Sequence[Write], done: Done, *, settled: bool) -> None:
        """Write to a partition that is served here; ``done(copies, error)``.

        Raises:
            NotOnePartition, WritersWait, and what `store.group.submit` raises for keys and values.
        """
        if self._partition(writes) != p:
            raise NotOnePartition(f"these are no writes of partition {p}")
        self._gathering.add(p, writes, done, settled=settled)
        self._ring()

    def run_called(self, p: int, name: str, arguments: bytes, done: Callable[..., None]) -> None:
        """Run a registered procedure where its partition is served; ``done(copies, error, value)``, as CBOR.

        Raises:
            NoProcedure, NotServed, WritersWait, StoreBusy.
        """
        self._run(p, Called(self._procedure(name), self.placed.in_store(p)), (arguments,), done)

    def close(self) -> None:
        """The group is about to be dropped here: whoever waits is told, and nothing more is taken."""
        self._gone = GroupGone(f"group {self.name!r} was deleted")
        self._casts.ended(*self._gathering.close(self._gone), failed=True)
        self.carrier.close()
        self.forwarding.close()
        self._wake()

    def statistics(self) -> dict[str, Any]:
        """Of the copies, and of what is under way here."""
        return {
            **replica.status(self.carrier.state),
            "casts": self._casts.rows,
            "cast_bytes": self._casts.size,
            "casts_failed": self._casts.failed,
            "forwarded": len(self.forwarding),
            "unanswered": self.forwarding.unanswered,
        }

    # ---- within --------------------------------------------------------------------------------

    def _submit(self, p: int, heap: Heap) -> None:
        def durable(copies: int, error: Exception | None) -> None:
            error = heap.of_all(error)
            if heap.casts:
                self._casts.ended(heap.casts, heap.cast_bytes, failed=error is not None)
            for done in heap.local:
                done(copies, error)

        def settled(copies: int, error: Exception | None) -> None:
            error = heap.of_all(error)
            for done in heap.settled:
                done(copies, error)

        try:
            self.carrier.write_encoded(p, heap.writes, durable, settled if heap.settled else None)
        except (StoreBusy, WritersWait):
            raise
        except Exception:
            self._casts.ended(heap.casts, heap.cast_bytes, failed=True)
            raise
        self.carrier.drain()

    def _check(self, p: int) -> None:
        if self._gone is not None:
            raise self._gone
        self.placed.check(p)

    def _partition(self, writes: Sequence[Write]) -> int:
        if self._gone is not None:
            raise self._gone
        if len(writes) == 1:
            return self.placed.partition_of(writes[0][2])
        return self.placed.partition_of_all(write[2] for write in writes)

    def _procedure(self, name: str) -> Procedure:
        try:
            return self._procedures[name]
        except KeyError:
            raise NoProcedure(f"nothing is registered as {name!r}") from None

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
