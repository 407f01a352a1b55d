"""Reads at one moment: an LMDB read transaction and what hangs on it.

Short lives only: while one is open, LMDB can't reuse the pages that later commits free, and the file grows.
Ram tables are read as they are at the time of each read.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from store.changes import Change, read_changes
from store.errors import SchemaChanged
from store.groupstate import GroupState
from store.keys import END, SEPARATOR
from store.limits import SCAN_LIMIT
from store.pulling import Get, Pull, Pulled, Want, held_partitions
from store.ram import RamMap
from store.reading import Reading, find_state
from store.rows import Pairs, RamView, ReadRows, scan
from store.state import TablesById, TableState
from store.work import SEQUENCE_KEY


class TransactionRows:
    """A database seen by a read transaction."""

    __slots__ = ("_database", "_transaction")

    def __init__(self, transaction: Any, database: Any) -> None:
        self._transaction = transaction
        self._database = database

    def get(self, key: bytes) -> bytes | None:
        """The record, or None."""
        found: bytes | None = self._transaction.get(key, None, self._database)
        return found

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> Pairs:
        """Up to `limit` rows with low <= key < high."""
        return scan(self._transaction.cursor(self._database), low, high, limit, reverse)

    def count(self) -> int:
        """Rows in all."""
        return int(self._transaction.stat(self._database)["entries"])


class OnlyOf:
    """A list of changes without what is left there of dropped and moved tables."""

    __slots__ = ("_listed", "_tags")

    def __init__(self, listed: ReadRows, tags: frozenset[bytes]) -> None:
        self._listed = listed
        self._tags = tags

    def get(self, key: bytes) -> bytes | None:
        """The entry, or None."""
        found = self._listed.get(key)
        return None if found is None or found[:1] not in self._tags else found

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> Pairs:
        """Up to `limit` entries with low <= key < high; fewer mean that there are no more."""
        assert not reverse
        found: Pairs = []
        while True:
            wanted = limit - len(found)
            chunk = self._listed.scan(low, high, wanted)
            found += [pair for pair in chunk if pair[1][:1] in self._tags]
            if len(chunk) < wanted or len(found) == limit:
                return found
            low = chunk[-1][0] + SEPARATOR

    def count(self) -> int:
        """Entries in all. Looks at each."""
        counted, low, high = 0, b"", END * 11  # beyond every bucket and sequence
        while chunk := self.scan(low, high, SCAN_LIMIT):
            counted += len(chunk)
            low = chunk[-1][0] + SEPARATOR
        return counted


class Snapshot(Reading):
    """A context manager: `with group.snapshot() as reader: reader.get("message", key)`.

    Raises SchemaChanged where the store is open beside another process, which altered it meanwhile.
    """

    __slots__ = ("_before", "_by_id", "_group", "_places", "_states", "transaction")

    def __init__(self, group: GroupState) -> None:
        self._group = group
        self._places = group.places
        self._states = group.tables
        self._by_id = group.by_id
        self._before = 0
        self.transaction: Any = None

    def __enter__(self) -> Snapshot:
        group = self._group
        while True:
            self._states, self._by_id = group.tables, group.by_id
            self._before = group.sequence
            self.transaction = group.environment.begin()
            if group.by_id is self._by_id:
                if group.seen is not None:
                    self._refuse_altered(group.seen)
                return self
            # Altered in between: what is dropped may already be emptied, what is new may not be seen.
            self.transaction.abort()

    def _refuse_altered(self, seen: dict[bytes, bytes | None]) -> None:
        """Beside the process that has the store: what it altered since isn't where it was."""
        if any(self.transaction.get(key, None, self._places.meta) != value for key, value in seen.items()):
            self.transaction.abort()
            raise SchemaChanged(
                f"the schema of group {self._group.name!r} was altered since it was opened here",
                "open it again",
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.transaction.abort()
        self.transaction = None

    @property
    def tables(self) -> TablesById:
        """All tables, as they are in this snapshot."""
        return self._by_id

    @property
    def sequence(self) -> int:
        """The last committed sequence whose writes are all seen."""
        if any(table.ram for table in self._by_id):
            # Rows in memory appear a moment after their commit; up to where it stood before, all are there.
            return self._before
        return int.from_bytes(self.transaction.get(SEQUENCE_KEY, None, self._places.meta) or b"", "big")

    def changes(self, partition: int | None, after: int = 0, limit: int = SCAN_LIMIT) -> list[Change]:
        """What is live in a partition and was written here after a local sequence, in that order."""
        return read_changes(self.listed(), self._by_id, partition, after, limit, self._raw)

    def pull(self, wants: Sequence[Want], upto: int | None, rows: int, size: int) -> Pulled:
        """Records of partitions that were written here after a local sequence each, for `OpenGroup.submit_parts`.

        Args:
            wants: (partition, the sequence up to which it is had; 0 for nothing).
            upto: where to end; None is this snapshot's `sequence`.
            rows, size: how many, and how many bytes, at most; one row at least, however large.
        """
        end = self.sequence if upto is None else upto
        pull = Pull(self.listed(), self._by_id, self._gets, upto=end, rows=rows, size=size)
        return pull.run(wants)

    def partitions_held(self, limit: int = SCAN_LIMIT) -> list[int | None]:
        """The first partitions of which replicated records or tombstones are here, in order, None before all."""
        tables = [
            (table, [self._rows(table), *([self._tombstones(table)] if table.tombstones else [])])
            for table in self._by_id
            if table.listed
        ]
        return held_partitions(tables, limit)

    def listed(self) -> list[ReadRows]:
        """The lists of changes, on disc and in memory, as far as they are of tables that are there."""
        disc = TransactionRows(self.transaction, self._places.changes)
        ram = RamView(self._places.ram_changes)
        if not self._by_id.unsettled:
            return [disc, ram]
        return [OnlyOf(disc, self._by_id.tags(ram=False)), OnlyOf(ram, self._by_id.tags(ram=True))]

    def rows(self, table: TableState) -> ReadRows:
        """The raw rows of a table."""
        return self._rows(table)

    def buried(self, table: TableState) -> ReadRows:
        """Its raw tombstones."""
        return self._tombstones(table)

    def _raw(self, state: TableState, key: bytes) -> bytes | None:
        found = self._rows(state).get(key)
        if found is None and state.tombstones:
            found = self._tombstones(state).get(key)
        return found

    def _gets(self, state: TableState) -> tuple[Get, Get | None]:
        rows, buried = self._rows(state), None
        if state.tombstones and (tombstones := self._tombstones(state)).count():
            buried = tombstones.get
        return rows.get, buried

    def _state(self, table: Any) -> TableState:
        return find_state(self._states, table)

    def _at(self, place: Any) -> ReadRows:
        if isinstance(place, RamMap):
            return RamView(place)
        return TransactionRows(self.transaction, place)

    def _rows(self, table: TableState) -> ReadRows:
        return self._at(table.place)

    def _tombstones(self, table: TableState) -> ReadRows:
        return self._at(table.tombstone_place)

    def _index(self, table: TableState, position: int) -> ReadRows:
        return self._at(table.indexed_places[position])
