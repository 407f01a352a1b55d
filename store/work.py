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
from store.limits import PARTITIONS_REMEMBERED
from store.mirror import MirrorRows, Mirrors
from store.ram import RamMap
from store.record import SEQUENCE
from store.rows import DiscRows, RamRows, Rows
from store.spacing import Spacing
from store.stale import Stale
from store.state import TableState
from store.tapping import Tape

SEQUENCE_KEY: Final = b"sequence"

Epochs = Callable[[int | None], int]
"""partition (None for tables without) → the epoch of its claim."""

Event = tuple[TableState, bytes | None, bytes | None, int]
"""(table, physical key, payload or None if deleted, local sequence); (table, None, None, rows): a copy was emptied of
them."""


class Places:
    """Where a group keeps what isn't a table's: meta and changes."""

    __slots__ = ("_partitions", "changes", "meta", "mirrors", "ram_changes", "spacing", "stale")

    def __init__(self, meta: Any, changes: Any) -> None:
        self.meta = meta
        self.changes = changes
        self.ram_changes = RamMap()
        self.mirrors: Mirrors = {}
        """While tables move between memory and disc."""
        self.stale = Stale()
        self.spacing: Spacing | None = None
        """If the file may be kept longer than it must be."""
        self._partitions: dict[bytes, tuple[int | None, bytes]] = {}

    def partition(self, encoded: bytes) -> tuple[int | None, bytes]:
        """Number and bucket of a partition, remembered."""
        found = self._partitions.get(encoded)
        if found is None:
            number = keys.decode(encoded)[0]
            if len(self._partitions) >= PARTITIONS_REMEMBERED:
                self._partitions = {}
            found = self._partitions[encoded] = (number, bucket_of(number))
        return found

    def number_of(self, encoded: bytes) -> int | None:
        """Its number alone."""
        return self.partition(encoded)[0]


class Work:
    """What is committed together.

    Args:
        sequence: the last one used; each write takes the next.
        parent: the unit that this one's writes join.
        tape: where to note what is written, if somebody taps.
    """

    __slots__ = (
        "_changes",
        "_environment",
        "_epochs",
        "_first",
        "_home_of",
        "_incarnation",
        "_indexes",
        "_noted",
        "_now_ms",
        "_parent",
        "_places",
        "_ram",
        "_ram_changes",
        "_rows",
        "_thread",
        "_tombstones",
        "_transaction",
        "events",
        "sequence",
        "stale",
        "tape",
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
        tape: Tape | None = None,
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
        self._ram: dict[RamMap, RamRows] = {}
        self.sequence = self._first = sequence
        self.events: list[Event] = []
        self.tape = tape
        self._noted = 0
        self.stale: list[bytes] = []
        """Entries of `changes` on disc (place, and what it says) that are about no record any more."""

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
            tape=None if self.tape is None else Tape(),
        )

    def join(self) -> None:
        """Give a child's writes to its parent."""
        parent = self._parent
        assert parent is not None
        if self._transaction is not None:
            self._environment.commit(self._transaction)
            self._transaction = None
        for rows in self._ram.values():
            rows.fold()
        parent.sequence = self.sequence
        parent.events += self.events
        parent.stale += self.stale
        if parent.tape is not None and self.tape is not None:
            parent.tape.join(self.tape)

    def commit(self) -> None:
        """Make everything durable, then visible.

        Raises:
            DiskFull, MapFull, SubmitTooLarge: nothing was written.
            StoreFatal: nobody knows.
        """
        assert self._parent is None
        if self._transaction is not None:
            transaction = self._transaction
            places = self._places
            listed = 0
            try:
                transaction.put(SEQUENCE_KEY, SEQUENCE.pack(self.sequence), db=places.meta)
                self.note_stale()
                if self.stale:
                    listed = transaction.stat(places.changes)["entries"]
            except Exception as error:
                raise self._environment.named(error, "put") from error
            self._transaction = None
            self._environment.commit(transaction)
            if places.spacing is not None:
                places.spacing.committed(self.sequence - self._first)
            if self.stale:
                places.stale.done(self.stale, self._noted, listed)
        for rows in self._ram.values():
            rows.publish()

    def note_stale(self, step: Callable[[], None] | None = None) -> None:
        """All writes are made: note what they left in `changes`, calling `step` now and then. `commit` does it, too."""
        if self.stale and not self._noted:
            places = self._places
            self._noted = places.stale.note(self._begin(), places.changes, self.stale, step)

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
            number, bucket = self._places.partition(partition)
            home = self._home_of[partition] = (self._epochs(number), bucket)
        return home

    def _begin(self) -> Any:
        if self._transaction is None:
            assert threading.get_ident() == self._thread, "a write transaction belongs to one thread"
            above = None
            if self._parent is not None:
                above = self._parent._begin()
                self._parent._forget()
            self._transaction = self._environment.begin(write=True, parent=above)
            spacing = self._places.spacing
            if above is None and spacing is not None and not spacing.begun(self._transaction):
                self._transaction.abort()
                self._transaction = self._environment.begin(write=True)
        return self._transaction

    def _forget(self) -> None:
        """Drop cursors, which don't outlive the beginning of a child."""
        self._rows = {}
        self._tombstones = {}
        self._indexes = {}
        self._changes = None
        self._ram_changes = None

    def _at(self, place: Any) -> Rows:
        mirrors = self._places.mirrors
        if mirrors and place in mirrors:
            return MirrorRows(self._part, place, mirrors[place])
        return self._part(place)

    def _part(self, place: Any) -> Rows:
        if not isinstance(place, RamMap):
            return DiscRows(self._begin(), place)
        rows = self._ram.get(place)
        if rows is None:
            base: Any = place if self._parent is None else self._parent._part(place)
            rows = self._ram[place] = RamRows(base)
        return rows

    def _open(self, table: TableState) -> Rows:
        rows = self._rows[table.id] = self._at(table.place)
        return rows

    def _tombstones_of(self, table: TableState) -> Rows:
        rows = self._tombstones.get(table.id)
        if rows is None:
            rows = self._tombstones[table.id] = self._at(table.tombstone_place)
        return rows

    def _indexes_of(self, table: TableState) -> list[Rows]:
        found = self._indexes.get(table.id)
        if found is None:
            found = self._indexes[table.id] = [self._at(place) for place in table.indexed_places]
        return found

    def _open_changes(self, table: TableState) -> Rows:
        if table.ram:
            rows = self._ram_changes = self._at(self._places.ram_changes)
        else:
            rows = self._changes = self._at(self._places.changes)
        return rows
