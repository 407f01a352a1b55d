"""What a transaction's function writes waits here until the function has returned; what it reads meanwhile sees it.

So a function that raises has changed nothing, and needs no nested LMDB transaction to be undone: beginning and ending
one costs more than most functions do. What this can't show (a scan over what is written, a bag, a merge, versions)
moves everything into a child of the batch, which can. It must never know who wrote, or why.
"""

from __future__ import annotations

from typing import Any

from store.batch import Batch
from store.record import pack
from store.rows import Pairs, Rows
from store.state import TableState
from store.writes import DELETE, PUT, Row, encode_write


class Deferred:
    """A unit of work within a batch: `apply` at its end, or `abort`."""

    __slots__ = ("_batch", "_child", "latest", "pending")

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._child: Batch | None = None
        self.pending: list[Row] = []
        self.latest: dict[tuple[int, bytes], Row] = {}
        """(table's id, physical key) → the last of the pending writes to it."""

    def apply(self) -> None:
        """The function has returned: its writes are the batch's.

        Raises:
            What `Batch.apply` raises: some of them may be applied then, so the batch must be undone.
        """
        if self._child is not None:
            self._child.join()
        elif self.pending:
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
        else:
            self.within().write(table, *write)

    def within(self) -> Batch:
        """A child of the batch with all that was written so far. What comes goes there, too."""
        child = self._child
        if child is None:
            child = self._child = self._batch.child()
            child.apply(self.pending)
            self.pending, self.latest = [], {}
        return child

    def under(self) -> Batch:
        """Where everything is read that isn't pending."""
        return self._child or self._batch

    def seen(self) -> Batch:
        """Where everything can be read that was written; nothing is pending then."""
        return self.within() if self.pending else self.under()

    def rows_of(self, table: TableState) -> Rows | SeenRows:
        """The table with what is pending. Not to be kept: the next write may move it."""
        return SeenRows(self, table) if self.pending else self.seen().rows_of(table)

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
    """A table's rows with pending writes over them; these have no version yet."""

    __slots__ = ("_deferred", "_table")

    def __init__(self, deferred: Deferred, table: TableState) -> None:
        self._deferred = deferred
        self._table = table

    def get(self, key: bytes) -> bytes | None:
        """The record, or None."""
        deferred = self._deferred
        row = deferred.latest.get((self._table.id, key))
        if row is None:
            return deferred.under().rows_of(self._table).get(key)
        return None if row[0] == DELETE else pack(key, 0, 0, 0, 0, row[4])

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> Pairs:
        """Up to `limit` rows with low <= key < high."""
        return self._deferred.seen().rows_of(self._table).scan(low, high, limit, reverse)

    def count(self) -> int:
        """Rows in all."""
        return self._deferred.seen().rows_of(self._table).count()
