"""What a transaction's function writes waits here until the function has returned; what it reads meanwhile sees it.

So a function that raises has changed nothing, and needs no nested LMDB transaction to be undone: beginning and ending
one costs more than most functions do. What this can't show (a scan over what is written, a bag, a merge, versions)
moves everything into a child of the batch, which can. It must never know who wrote, or why.

Of several functions that were handed over together the puts wait until all have returned (`Kept`), and are then applied
as one run.
"""

from __future__ import annotations

from typing import Any

from store.batch import Batch
from store.errors import DamagedRecord
from store.record import pack
from store.rows import Pairs, Rows
from store.state import TableState
from store.writes import DELETE, PUT, Row, encode_write


class Kept:
    """Puts of functions that have returned. Each takes one sequence."""

    __slots__ = ("batch", "broken", "latest", "rows")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rows: list[Row] = []
        self.latest: dict[tuple[int, bytes], Row] = {}
        """(table's id, physical key) → the last of them."""
        self.broken: BaseException | None = None
        """What was raised when they were applied: the batch must be undone, whosever turn it was."""

    @property
    def sequence(self) -> int:
        """The last sequence, with these."""
        return self.batch.sequence + len(self.rows)

    def take(self) -> list[Row]:
        """All of them, in order; none are kept any more."""
        rows, self.rows, self.latest = self.rows, [], {}
        return rows

    def apply(self) -> None:
        """They are the batch's."""
        if self.rows:
            try:
                self.batch.apply(self.take())
            except BaseException as error:
                self.broken = error
                raise


class Deferred:
    """A unit of work within a batch: `apply` at its end, or `abort`."""

    __slots__ = ("_batch", "_broken", "_child", "_kept", "latest", "pending")

    def __init__(self, batch: Batch, kept: Kept) -> None:
        self._broken: Exception | None = None
        self._batch = batch
        self._kept = kept
        self._child: Batch | None = None
        self.pending: list[Row] = []
        self.latest: dict[tuple[int, bytes], Row] = {}
        """(table's id, physical key) → the last of the pending writes to it."""

    def check(self) -> None:
        """Raises what a write has met that may be done by half, whether or not the function has caught it."""
        if self._broken is not None:
            raise self._broken

    def apply(self) -> None:
        """The function has returned: its writes are the batch's, or kept.

        Raises:
            What `Batch.apply` raises: some of them may be applied then, so the batch must be undone.
        """
        if self._child is not None:
            self._child.join()
        elif all(row[0] == PUT for row in self.pending):
            self._kept.rows += self.pending
            self._kept.latest |= self.latest
        else:
            self._kept.apply()
            self._batch.apply(self.pending)

    def abort(self) -> None:
        """It raised: nothing happened."""
        if self._child is not None:
            self._child.abort()

    # ---- what `Transaction` asks of a batch ---------------------------------------------------------

    def write(self, table: TableState, *write: Any) -> None:
        """Encode one write, and keep it."""
        if self._child is None and write[0] in (PUT, DELETE) and not table.bag:
            row = encode_write(table, write)
            self.pending.append(row)
            self.latest[table.id, row[2]] = row
            return
        child = self.within()
        try:
            child.write(table, *write)
        except DamagedRecord as error:
            self._broken = error
            raise

    def within(self) -> Batch:
        """A child of the batch with all that was written so far. What comes goes there, too."""
        child = self._child
        if child is None:
            self._kept.apply()
            child = self._child = self._batch.child()
            try:
                child.apply(self.pending)
            except Exception as error:
                self._broken = error
                raise
            self.pending, self.latest = [], {}
        return child

    def under(self) -> Batch:
        """Where everything is read that is neither pending nor kept."""
        return self._child or self._batch

    def found(self, table: int, key: bytes) -> Row | None:
        """The last write to a key that is pending or kept."""
        return self.latest.get((table, key)) or self._kept.latest.get((table, key))

    def seen(self) -> Batch:
        """Where everything can be read that was written; nothing is pending or kept then."""
        if self.pending:
            return self.within()
        self._kept.apply()
        return self.under()

    def rows_of(self, table: TableState) -> Rows | SeenRows:
        """The table with what is pending. Not to be kept: the next write may move it."""
        return SeenRows(self, table) if self.pending or self._kept.rows else self.under().rows_of(table)

    def tombstones_of(self, table: TableState) -> Rows:
        """Its tombstones, likewise."""
        return self.seen().tombstones_of(table)

    def index_of(self, table: TableState, position: int) -> Rows:
        """One of its indexes, likewise."""
        return self.seen().index_of(table, position)

    def purge(self, table: TableState, key: bytes) -> None:
        """As of `Batch`."""
        self.within().purge(table, key)

    def drop(self, table: TableState, key: bytes, *, tombstone: bool = False) -> None:
        """As of `Batch`."""
        self.within().drop(table, key, tombstone=tombstone)

    @property
    def sequence(self) -> int:
        """The last sequence, with what is pending."""
        return self.seen().sequence


class SeenRows:
    """A table's rows with what is pending or kept over them; that has no version yet."""

    __slots__ = ("_deferred", "_table")

    def __init__(self, deferred: Deferred, table: TableState) -> None:
        self._deferred = deferred
        self._table = table

    def get(self, key: bytes) -> bytes | None:
        """The record, or None."""
        deferred = self._deferred
        row = deferred.found(self._table.id, key)
        if row is None:
            return deferred.under().rows_of(self._table).get(key)
        return None if row[0] == DELETE else pack(key, 0, 0, 0, 0, row[4])

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> Pairs:
        """Up to `limit` rows with low <= key < high."""
        return self._deferred.seen().rows_of(self._table).scan(low, high, limit, reverse)

    def count(self) -> int:
        """Rows in all."""
        return self._deferred.seen().rows_of(self._table).count()
