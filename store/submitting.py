"""The ways of handing something to the committer of an open group: writes, other nodes' records, transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from store.carried import CarriedPart, count_rows
from store.encoded import Encoded
from store.groupstate import GroupState
from store.results import Result
from store.submit import Call, Submit
from store.tapping import Source
from store.transaction import Transaction
from store.waiting import wait_result
from store.writes import Write, encode_writes


class Submitting:
    """Inherited by `OpenGroup`."""

    __slots__ = ()

    state: GroupState

    @property
    def sequence(self) -> int:
        """As of `OpenGroup`."""
        raise NotImplementedError

    def _queue(self, submit: Submit, *, always: bool = False) -> None:
        raise NotImplementedError

    def submit(self, writes: Sequence[Write], done: Callable[[Result], None], source: Source = None) -> None:
        """Hand over writes; `done(result)` is called from `deliver_results` once they are durable or have failed.

        All of them happen or none. Keys and values are encoded here, so what they hold may change afterwards. `source`
        is what the tap is told of whose writes these are.

        Raises:
            StoreBusy: the queue is full; nothing was queued.
            KeyNotStorable, ValueNotStorable, UnknownTable, TableReadOnly, MergeUndeclared, SubmitTooLarge: the same.
            StoreClosed, StoreFatal: no more writes.
        """
        generation = self.state.generation
        rows, size, risky, puts = encode_writes(self.state.by_id, writes)
        self._queue(Submit(rows, size, done, risky=risky, puts=puts, source=source, generation=generation))

    def encoded(self) -> Encoded:
        """An empty gathering of writes, for `submit_encoded`."""
        return Encoded(self.state)

    def submit_encoded(self, writes: Encoded, done: Callable[[Result], None], source: Source = None) -> None:
        """`submit` for writes that were encoded when they were gathered. Raises StoreBusy, StoreClosed, StoreFatal."""
        self._queue(
            Submit(
                writes.rows,
                writes.size,
                done,
                risky=writes.risky,
                puts=writes.puts,
                source=source,
                generation=writes.generation,
            )
        )

    def submit_parts(
        self,
        parts: Sequence[CarriedPart],
        writes: Sequence[Write],
        done: Callable[[Result], None],
        source: Source = None,
        trusted: bool = False,
    ) -> None:
        """Hand over other nodes' records, as `tap` or `Snapshot.pull` gave them there, and writes to do after them.

        Of each record the newer version stays, or what the table's merge makes of both; then the group's `reconcile`
        runs, then `writes` are done: all of it happens or none. The result's `value` is how many records changed
        anything. Its error is UnknownTable or DamagedPart if a part can't be taken in.

        Args:
            parts: (partition, table, blob) each.
            trusted: the parts are one commit of the node that writes these partitions, the next one after all that
                was applied here before: what it deleted without a tombstone is deleted here too. Otherwise such
                deletes are passed over, for they have no version that could be compared.

        Raises:
            What `submit` raises.
        """
        generation = self.state.generation
        rows, size, risky, _ = encode_writes(self.state.by_id, writes)
        size += sum(len(part[2]) for part in parts)
        count = sum(count_rows(part[2]) for part in parts) + len(rows)
        submit = Submit(
            rows,
            size,
            done,
            count=count,
            risky=risky,
            source=source,
            parts=parts,
            trusted=trusted,
            generation=generation,
        )
        self._queue(submit)

    async def commit(self, writes: Sequence[Write]) -> Result:
        """Submit and wait until it is durable. Raises what `submit` raises, and the result's error.

        Cancelled, it stops waiting; the writes are committed all the same.
        """
        return await wait_result(lambda done: self.submit(writes, done))

    def submit_transaction(
        self,
        done: Callable[[Result], None],
        fn: Callable[..., Any],
        *args: Any,
        source: Source = None,
        alone: bool = False,
    ) -> None:
        """`transact` for callers that can't await: `fn(transaction, *args)`'s value is in the result.

        With `alone` it is a commit of its own: what was submitted before is committed before it, and what it sees is
        the state at exactly `transaction.sequence`, which one call of the tap ended with.
        """

        def came(result: Result) -> None:
            done(result if result.error is not None else result.value[0])

        self._queue(Submit([], 0, came, calls=((fn, args),), source=source, alone=alone))

    def submit_transactions(self, done: Callable[[Result], None], calls: Sequence[Call]) -> None:
        """`submit_transaction` of several at one price: one after the other, each whole or not at all. The value of the
        result is a result for each of them."""
        self._queue(Submit([], 0, done, calls=calls))

    async def transact(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Run `fn(transaction, *args)` on the committer's thread, alone, atomically, and give what it returns.

        What it raises undoes its writes and is raised here. It must have no side effects: it may run twice.
        Cancelled, it stops waiting; the transaction happens all the same.
        """
        result = await wait_result(lambda done: self.submit_transaction(done, fn, *args))
        return result.value

    async def purge_tombstones(
        self, table: str, *, before_ms: int, before_sequence: int | None = None
    ) -> int:
        """Forget the tombstones of a table that were made before a time (Unix ms), and, if it is given, written here
        before a local sequence (what every peer has). Gives how many. In steps, so that others' commits go between.
        """
        purged: int = 0
        after = b""
        limit = self.sequence + 1 if before_sequence is None else before_sequence
        while True:
            some, onward = await self.transact(_purge_step, table, before_ms, limit, after)
            purged += some
            if onward is None:
                return purged
            after = onward


def _purge_step(
    transaction: Transaction, table: str, before_ms: int, before_sequence: int, after: bytes
) -> tuple[int, bytes | None]:
    return transaction.purge(table, before_ms, before_sequence, after)
