"""Reading everything back: every checksum, and every relation between tables, `changes` and indexes.

For backups (a copy that wasn't read is a hope), for operators, and for tests after every step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cbor2

from store import keys
from store.buckets import bucket_of
from store.errors import DamagedStore
from store.group import OpenGroup
from store.ram import RamMap
from store.record import is_tombstone, local_sequence, payload_of
from store.rows import RamView, ReadRows
from store.snapshot import Snapshot, TransactionRows
from store.stale import PLACE, read_log
from store.state import TableState
from store.writes import index_entries, partition_of

Progress = Callable[[int, int], None]
"""(done, of how many)"""

CHUNK = 1_000


def verify_group(group: OpenGroup, progress: Progress | None = None) -> int:
    """Check one group at one moment; gives the number of records.

    Raises:
        DamagedRecord: a checksum is wrong. DamagedStore: a relation doesn't hold.
    """
    with group.snapshot() as snapshot:
        return _Verification(group, snapshot, progress).run()


class _Verification:
    __slots__ = ("_done", "_group", "_progress", "_snapshot", "_total")

    def __init__(self, group: OpenGroup, snapshot: Snapshot, progress: Progress | None) -> None:
        self._group = group
        self._snapshot = snapshot
        self._progress = progress
        self._done = 0
        self._total = sum(snapshot.count(table) for table in group.state.by_id)

    def run(self) -> int:
        listed = {True: 0, False: 0}
        for table in self._snapshot.tables:
            rows = self._check_rows(table, table.place, tombstones=False)
            if table.tombstones:
                rows += self._check_rows(table, table.tombstone_place, tombstones=True)
            if table.listed:
                listed[table.ram] += rows
            self._check_indexes(table)
        for ram, entries_of in zip((False, True), self._snapshot.listed(), strict=True):
            entries = entries_of.count() - (0 if ram else self._stale(entries_of))
            if entries != listed[ram]:
                self._wrong(f"`changes` has {entries} entries for {listed[ram]} rows")
        return self._done

    def _stale(self, entries_of: ReadRows) -> int:
        """Entries that the log says are stale, and that are still there."""
        log = self._group.state.places.stale.log
        if log is None:
            return 0
        every = {entry for _, some in read_log(self._snapshot.transaction, log) for entry in some}
        return sum(entries_of.get(entry[:PLACE]) == entry[PLACE:] for entry in every)

    def _check_rows(self, table: TableState, place: Any, *, tombstones: bool) -> int:
        places = self._group.state.places
        changes = self._at(places.ram_changes if table.ram else places.changes)
        other = self._at(table.place) if tombstones else None
        count = 0
        for key, record in _every(self._at(place)):
            payload_of(table.name, key, record)
            if is_tombstone(record) != tombstones:
                self._wrong(
                    f"table {table.name!r} has a tombstone among its rows, or a row among its tombstones"
                )
            if other is not None and other.get(key) is not None:
                self._wrong(f"table {table.name!r} has a row and a tombstone under one key")
            if table.listed:
                logical = keys.split(key)[0] if table.bag else key
                partition = keys.decode(partition_of(table, logical))[0]
                entry = bucket_of(partition) + local_sequence(record)
                if changes.get(entry) != table.tag + key:
                    self._wrong(f"`changes` doesn't list a record of table {table.name!r}")
            count += 1
            self._step()
        return count

    def _check_indexes(self, table: TableState) -> None:
        wanted = [0] * len(table.indexes)
        if table.indexes:
            places = [self._at(place) for place in table.indexed_places]
            for key, record in _every(self._at(table.place)):
                value = cbor2.loads(payload_of(table.name, key, record))
                for at, entries in enumerate(index_entries(table, key, value)):
                    wanted[at] += len(entries)
                    if table.indexes[at].name in table.unusable:
                        continue
                    if any(places[at].get(entry) is None for entry in entries):
                        self._wrong(f"index {table.indexes[at].name!r} of table {table.name!r} misses a row")
            for index, place, count in zip(table.indexes, places, wanted, strict=True):
                if index.name not in table.unusable and place.count() != count:
                    self._wrong(f"index {index.name!r} of table {table.name!r} has entries of no row")

    def _at(self, place: Any) -> Any:
        return (
            RamView(place)
            if isinstance(place, RamMap)
            else TransactionRows(self._snapshot.transaction, place)
        )

    def _step(self) -> None:
        self._done += 1
        if self._progress is not None and self._done % CHUNK == 0:
            self._progress(self._done, max(self._done, self._total))

    def _wrong(self, what: str) -> None:
        raise DamagedStore(f"{self._group.state.environment.path}: {what}")


def _every(rows: Any) -> Any:
    low = b""
    while chunk := rows.scan(low, keys.END, CHUNK):
        yield from chunk
        low = chunk[-1][0] + b"\0"
