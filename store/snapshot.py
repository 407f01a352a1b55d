"""Reads at one moment: an LMDB read transaction and what hangs on it.

Short lives only: while one is open, LMDB can't reuse the pages that later commits free, and the file grows.
Ram tables are read as they are at the time of each read.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from store.changes import Change, read_changes
from store.environment import Environment
from store.limits import SCAN_LIMIT
from store.ram import RamMap
from store.reading import Reading, find_state
from store.rows import Pairs, RamView, ReadRows, scan
from store.state import TableState


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


class Snapshot(Reading):
    """A context manager: `with group.snapshot() as reader: reader.get("message", key)`."""

    __slots__ = ("_environment", "_places", "_states", "transaction")

    def __init__(self, environment: Environment, places: Any, states: dict[str, TableState]) -> None:
        self._environment = environment
        self._places = places
        self._states = states
        self.transaction: Any = None

    def __enter__(self) -> Snapshot:
        self.transaction = self._environment.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.transaction.abort()
        self.transaction = None

    def changes(self, partition: int | None, after: int = 0, limit: int = SCAN_LIMIT) -> list[Change]:
        """What is live in a partition and was written here after a local sequence, in that order."""
        disc = TransactionRows(self.transaction, self._places.changes)
        ram = RamView(self._places.ram_changes)
        tables = tuple(self._states.values())
        return read_changes([disc, ram], tables, partition, after, limit, self._raw)

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
