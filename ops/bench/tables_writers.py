"""The writers of one phase, on a node's replicated groups: each makes one call for each write.

Writers that wait for each of their writes are chains of callbacks: the next call is made where the last one ended, as a
hub's session would. A task for each would cost its turn besides.

This module must never know how groups are replicated, or what is on the other node.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import trio

from ops.bench.latency import Latencies
from ops.bench.tables_plan import NUMBER_BYTES, Load, filler, first_number, keys_of
from replication.core.errors import WritersWait
from replication.replicated import ReplicatedGroup
from store.writes import PUT

TABLE: Final = "records"

Ended = Callable[..., None]
"""(copies, error, value)"""

_PASS: Final = 2_048
"""Writes that all writers together make before the loop has its turn: some 20 ms."""


class Phase:
    """All writers of a load. Groups have one table each."""

    def __init__(self, load: Load, groups: Sequence[ReplicatedGroup]) -> None:
        self.load = load
        self.rest = filler(load)
        self.groups = groups
        self.latencies = Latencies()
        self.single = 0

    async def run(self) -> dict[str, Any]:
        """Write everything; return when it is settled."""
        load = self.load
        write = {
            "fill": self._cast,
            "async": self._cast,
            "sync": self._sync,
            "durable": self._sync,
            "transaction": self._transaction,
            "update": self._update,
        }[load.mode]
        failed = sum(group.casts_failed for group in self.groups)
        began = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for writer in range(load.writers):
                if load.count_of(writer):
                    nursery.start_soon(partial(write, writer, self.groups[load.table_of(writer)]))
        issued = time.perf_counter()
        if load.mode in ("fill", "async"):
            await self._finish()
        ended = time.perf_counter()
        failed = sum(group.casts_failed for group in self.groups) - failed
        assert not failed, f"{failed} writes failed"
        return {
            "issued_seconds": issued - began,
            "seconds": ended - began,
            "writes": load.writes,
            "latencies": self.latencies.pairs(),
            "single": self.single,
        }

    async def _cast(self, writer: int, group: ReplicatedGroup) -> None:
        """All writes of a writer but the last one, which nobody waits for either."""
        load, rest, table = self.load, self.rest, group.table(TABLE).id
        number, cast, burst = first_number(load, writer), group.cast, max(1, _PASS // load.writers)
        for done, key in enumerate(islice(keys_of(load, writer), load.count_of(writer) - 1), start=1):
            value = number.to_bytes(NUMBER_BYTES, "big") + rest
            number += 1
            while True:
                try:
                    cast([(PUT, table, (key,), value)])
                    break
                except WritersWait:
                    await group.wait_room()
            if not done % burst:
                await trio.lowlevel.checkpoint()

    async def _finish(self) -> None:
        """When everything is on this node's disk, the last write of each writer is made and settled."""
        for group in self.groups:
            await group.drained()
        load = self.load
        async with trio.open_nursery() as nursery:
            for writer in range(load.writers):
                if last := load.count_of(writer):
                    (key,) = islice(keys_of(load, writer), last - 1, last)
                    number = first_number(load, writer) + last - 1
                    nursery.start_soon(self._commit, self.groups[load.table_of(writer)], key, number)

    async def _commit(self, group: ReplicatedGroup, key: int, number: int) -> None:
        value = number.to_bytes(NUMBER_BYTES, "big") + self.rest
        written = await group.commit([(PUT, group.table(TABLE).id, (key,), value)], policy="settled")
        self.single += written.copies < 2

    async def _sync(self, writer: int, group: ReplicatedGroup) -> None:
        load, table, rest = self.load, group.table(TABLE).id, self.rest
        number = first_number(load, writer)

        def write(key: int, ended: Ended) -> None:
            nonlocal number
            value = number.to_bytes(NUMBER_BYTES, "big") + rest
            number += 1
            group.submit([(PUT, table, (key,), value)], ended)

        await self._chain(islice(keys_of(load, writer), load.count_of(writer)), write)

    async def _transaction(self, writer: int, group: ReplicatedGroup) -> None:
        load, rest = self.load, self.rest
        number = first_number(load, writer)

        def write(key: int, ended: Ended) -> None:
            nonlocal number
            value = number.to_bytes(NUMBER_BYTES, "big") + rest
            number += 1
            group.submit_transaction(put, ((key,), value), ended)

        await self._chain(islice(keys_of(load, writer), load.count_of(writer)), write)

    async def _update(self, writer: int, group: ReplicatedGroup) -> None:
        keys = keys_of(self.load, writer)

        def write(key: int, ended: Ended) -> None:
            group.submit_transaction(raise_both, ((key,), (next(keys),), self.rest), ended)

        await self._chain((next(keys) for _ in range(self.load.count_of(writer))), write)

    async def _chain(self, keys: Iterator[int], write: Callable[[int, Ended], None]) -> None:
        """Each write is made when the one before it has been settled."""
        finished = trio.Event()
        add, clock = self.latencies.add, time.perf_counter_ns
        began = 0
        failed: Exception | None = None

        def ended(copies: int, error: Exception | None, value: Any = None) -> None:
            nonlocal failed
            add((clock() - began) // 1_000)
            self.single += copies < 2
            failed = error
            go_on()

        def go_on() -> None:
            nonlocal began
            key = None if failed is not None else next(keys, None)
            if key is None:
                finished.set()
                return
            began = clock()
            write(key, ended)

        go_on()
        await finished.wait()
        if failed is not None:
            raise failed


def put(transaction: Any, key: tuple[int], value: bytes) -> None:
    """One write in a transaction."""
    transaction.put(TABLE, key, value)


def raise_both(transaction: Any, one: tuple[int], other: tuple[int], rest: bytes) -> None:
    """Two records are read and written, each with its number raised by one."""
    for key in (one, other):
        found = transaction.get(TABLE, key)
        number = 0 if found is None else int.from_bytes(found[:NUMBER_BYTES], "big")
        transaction.put(TABLE, key, (number + 1).to_bytes(NUMBER_BYTES, "big") + rest)
