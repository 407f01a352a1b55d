"""A unit of work: one LMDB write transaction, the ordered maps it has open, and the ram tables' staged writes.

It lives on the committer's thread, begins its transaction when it first needs one, and ends in `commit`, `abort`, or,
if it is a child, in `join`. It knows where things are, and nothing of what is written there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Self

from store import keys
from store.buckets import bucket_of
from store.environment import Environment
from store.ram import RamMap
from store.record import SEQUENCE
from store.rows import DiscRows, RamRows, Rows
from store.state import TableState

SEQUENCE_KEY: Final = b"sequence"

Epochs = Callable[[int | None], int]
"""partition (None for tables without) → the epoch of its claim."""

Event = tuple[TableState, bytes, bytes | None, int]
"""(table, physical key, payload or None if deleted, local sequence)"""


class Places:
    """Where a group keeps what isn't a table's: meta and changes."""

    __slots__ = ("changes", "meta", "ram_changes")

    def __init__(self, meta: Any, changes: Any) -> None:
        self.meta = meta
        self.changes = changes
        self.ram_changes = RamMap()


class Work:
    """What is committed together.

    Args:
        sequence: the last one used; each write takes the next.
        parent: the unit that this one's writes join.
    """

    __slots__ = (
        "_changes",
        "_environment",
        "_epochs",
        "_home_of",
        "_incarnation",
        "_indexes",
        "_now_ms",
        "_parent",
        "_places",
        "_ram_changes",
        "_rows",
        "_thread",
        "_tombstones",
        "_transaction",
        "events",
        "sequence",
    )

    def __init__(
        self,
        environment: Environment,
        places: Places,
        *,
        sequence: int,
        incarnation: int,
        epochs: Epochs,
        now_ms: int,
        parent: Self | None = None,
    ) -> None:
        self._environment = environment
        self._places = places
        self._incarnation = incarnation
        self._epochs = epochs
        self._home_of: dict[bytes, tuple[int, bytes]] = {}
        self._now_ms = now_ms
        self._parent = parent
        self._thread = threading.get_ident()
        self._transaction: Any = None
        self._rows: dict[int, Rows] = {}
        self._tombstones: dict[int, Rows] = {}
        self._indexes: dict[int, list[Rows]] = {}
        self._changes: Rows | None = None
        self._ram_changes: Rows | None = None
        self.sequence = sequence
        self.events: list[Event] = []

    def child(self) -> Self:
        """A unit whose writes join this one at `join`, or vanish at `abort`."""
        # LMDB forbids touching a transaction while it has a child, so the child has one only once it needs it.
        return type(self)(
            self._environment,
            self._places,
            sequence=self.sequence,
            incarnation=self._incarnation,
            epochs=self._epochs,
            now_ms=self._now_ms,
            parent=self,
        )

    def join(self) -> None:
        """Give a child's writes to its parent."""
        parent = self._parent
        assert parent is not None
        if self._transaction is not None:
            self._environment.commit(self._transaction)
            self._transaction = None
        for rows in self._ram_rows():
            rows.fold()
        parent.sequence = self.sequence
        parent.events += self.events

    def commit(self) -> None:
        """Make everything durable, then visible.

        Raises:
            DiskFull, MapFull, SubmitTooLarge: nothing was written.
            StoreFatal: nobody knows.
        """
        assert self._parent is None
        if self._transaction is not None:
            transaction = self._transaction
            try:
                transaction.put(SEQUENCE_KEY, SEQUENCE.pack(self.sequence), db=self._places.meta)
            except Exception as error:
                raise self._environment.named(error, "put") from error
            self._transaction = None
            self._environment.commit(transaction)
        for rows in self._ram_rows():
            rows.publish()

    def abort(self) -> None:
        """Undo everything."""
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None

    # ---- what the unit sees -------------------------------------------------------------------------

    def rows_of(self, table: TableState) -> Rows:
        """The table with this unit's writes."""
        return self._rows.get(table.id) or self._open(table)

    def tombstones_of(self, table: TableState) -> Rows:
        """Its tombstones."""
        return self._tombstones_of(table)

    def index_of(self, table: TableState, position: int) -> Rows:
        """One of its indexes."""
        return self._indexes_of(table)[position]

    # ---- opening what is needed ---------------------------------------------------------------------

    def _home(self, partition: bytes) -> tuple[int, bytes]:
        """Epoch and bucket of a partition, looked up once a batch."""
        home = self._home_of.get(partition)
        if home is None:
            number = keys.decode(partition)[0]
            home = self._home_of[partition] = (self._epochs(number), bucket_of(number))
        return home

    def _begin(self) -> Any:
        if self._transaction is None:
            assert threading.get_ident() == self._thread, "a write transaction belongs to one thread"
            above = None
            if self._parent is not None:
                above = self._parent._begin()
                self._parent._forget()
            self._transaction = self._environment.begin(write=True, parent=above)
        return self._transaction

    def _forget(self) -> None:
        """Drop cursors, which don't outlive the beginning of a child."""
        self._rows = {number: rows for number, rows in self._rows.items() if isinstance(rows, RamRows)}
        self._tombstones = {
            number: rows for number, rows in self._tombstones.items() if isinstance(rows, RamRows)
        }
        self._indexes = {
            number: rows
            for number, rows in self._indexes.items()
            if any(isinstance(one, RamRows) for one in rows)
        }
        self._changes = None

    def _ram_rows(self) -> list[RamRows]:
        every: list[Any] = [*self._rows.values(), *self._tombstones.values(), self._ram_changes]
        for several in self._indexes.values():
            every += several
        return [rows for rows in every if isinstance(rows, RamRows)]

    def _at(self, place: Any, above: Callable[[Any], Rows]) -> Rows:
        if not isinstance(place, RamMap):
            return DiscRows(self._begin(), place)
        if self._parent is None:
            return RamRows(place)
        base = above(self._parent)
        assert isinstance(base, RamRows)
        return RamRows(base)

    def _open(self, table: TableState) -> Rows:
        rows = self._rows[table.id] = self._at(table.place, lambda parent: parent.rows_of(table))
        return rows

    def _tombstones_of(self, table: TableState) -> Rows:
        rows = self._tombstones.get(table.id)
        if rows is None:
            rows = self._at(table.tombstone_place, lambda parent: parent._tombstones_of(table))
            self._tombstones[table.id] = rows
        return rows

    def _indexes_of(self, table: TableState) -> list[Rows]:
        found = self._indexes.get(table.id)
        if found is None:
            found = [
                self._at(place, lambda parent, at=at: parent._indexes_of(table)[at])  # type: ignore[misc]
                for at, place in enumerate(table.indexed_places)
            ]
            self._indexes[table.id] = found
        return found

    def _open_changes(self, table: TableState) -> Rows:
        if table.ram:
            self._ram_changes = self._at(
                self._places.ram_changes, lambda parent: parent._open_changes_ram(table)
            )
            return self._ram_changes
        self._changes = DiscRows(self._begin(), self._places.changes)
        return self._changes

    def _open_changes_ram(self, table: TableState) -> Rows:
        return self._ram_changes or self._open_changes(table)
