"""Applying writes: versions, checksums, `changes`, indexes, tombstones; in one transaction that is committed or isn't.

A batch lives on the thread of the committer. It can have children, whose writes join the batch or vanish whole.

`changes` has one entry per live key (a tombstone is live): (partition, local sequence) → (table, key). An overwrite
takes the old entry away in the same transaction, which it finds through the sequence in the old record.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

import cbor2

from store import keys
from store.environment import Environment
from store.errors import DamagedRecord
from store.ram import RamMap
from store.record import (
    CHECKSUM,
    FOREIGN,
    HEADER,
    OVERHEAD,
    SEQUENCE,
    TOMBSTONE,
    Version,
    check,
    encode_value,
    local_sequence,
    pack,
    pack_foreign,
    payload_of,
    version_of,
)
from store.rows import DiscRows, RamRows, Rows
from store.state import TableState
from store.writes import APPLY, DELETE, MERGE, PUT, REMOVE, Row, encode_write, index_entries

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


class Batch:
    """Writes that are committed together.

    Args:
        sequence: the last one used; each write takes the next.
        parent: the batch that this one's writes join.
    """

    __slots__ = (
        "_changes",
        "_environment",
        "_epoch_of",
        "_epochs",
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
        parent: Batch | None = None,
    ) -> None:
        self._environment = environment
        self._places = places
        self._incarnation = incarnation
        self._epochs = epochs
        self._epoch_of: dict[bytes, int] = {}
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

    # ---- the life of a batch ------------------------------------------------------------------------

    def child(self) -> Batch:
        """A batch whose writes join this one at `join`, or vanish at `abort`."""
        # LMDB forbids touching a transaction while it has a child, so the child has one only once it needs it.
        return Batch(
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

    # ---- applying -----------------------------------------------------------------------------------

    def apply(self, rows: list[Row]) -> None:
        """Apply encoded writes in order."""
        for row in rows:
            op, table, key, partition, payload, extra = row
            if op == PUT:
                self._put(table, key, partition, payload, extra)
            elif op == DELETE:
                self._delete(table, key, partition)
            elif op == MERGE:
                self._merge(table, key, partition, payload)
            elif op == APPLY:
                self._apply_foreign(table, key, partition, payload, *extra)
            else:
                assert op == REMOVE
                self._delete_row(table, key, partition)

    def write(self, table: TableState, *write: Any) -> None:
        """Encode one write and apply it. For `transaction`."""
        self.apply([encode_write(table, write)])

    def _put(
        self,
        table: TableState,
        key: bytes,
        partition: bytes,
        payload: bytes,
        entries: list[list[bytes]] | None,
    ) -> None:
        epoch = self._epoch_of.get(partition)
        if epoch is None:
            epoch = self._epoch(partition)
        self.sequence = sequence = self.sequence + 1
        body = HEADER.pack(0, epoch, sequence, self._incarnation) + payload
        record = body + CHECKSUM.pack(crc32(body, crc32(key)))
        rows = self._rows.get(table.id) or self._open(table)
        if table.insert_only:
            old = None if rows.insert(key, record) else rows.replace(key, record)
        else:
            old = rows.replace(key, record)
        self._written(table, key, partition, body[5:13], old)
        if table.indexes:
            self._index(
                table,
                key,
                old,
                index_entries(table, key, cbor2.loads(payload)) if entries is None else entries,
            )
        if table.watchers:
            self.events.append((table, key, payload, sequence))

    def _written(
        self, table: TableState, key: bytes, partition: bytes, listed: bytes, old: bytes | None
    ) -> None:
        """Keep tombstones and `changes` in step with a record just written and listed at `listed`."""
        if table.tombstones and old is None:
            old = self._tombstones_of(table).pop(key)
        if table.listed:
            changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
            if old is not None:
                self._unlist(changes, table, key, partition, old)
            changes.put(partition + listed, table.tag + key)

    def _unlist(self, changes: Rows, table: TableState, key: bytes, partition: bytes, old: bytes) -> None:
        if len(old) < OVERHEAD or changes.pop(partition + local_sequence(old)) != table.tag + key:
            check(table.name, key, old)
            raise DamagedRecord(
                f"`changes` doesn't list a record of table {table.name!r} where it says it is listed"
            )

    def _delete(self, table: TableState, key: bytes, partition: bytes) -> None:
        if not table.bag:
            self._delete_row(table, key, partition)
            return
        rows = self._rows.get(table.id) or self._open(table)
        while found := rows.scan(key + keys.SEPARATOR, key + keys.AFTER_SEPARATOR, 1_000):
            for physical, _ in found:
                self._delete_row(table, physical, partition)

    def _delete_row(self, table: TableState, key: bytes, partition: bytes) -> None:
        rows = self._rows.get(table.id) or self._open(table)
        old = rows.pop(key)
        if table.tombstones:
            payload = encode_value(self._now_ms)
            epoch = self._epoch_of.get(partition)
            if epoch is None:
                epoch = self._epoch(partition)
            self.sequence = sequence = self.sequence + 1
            tombstone = pack(key, TOMBSTONE, epoch, sequence, self._incarnation, payload)
            self._bury(table, key, partition, tombstone, old)
        elif old is None:
            return
        else:
            self.sequence = self.sequence + 1
            if table.listed:
                changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
                self._unlist(changes, table, key, partition, old)
        if table.indexes and old is not None:
            self._index(table, key, old, [[] for _ in table.indexes])
        if table.watchers and old is not None:
            self.events.append((table, key, None, self.sequence))

    def _bury(
        self, table: TableState, key: bytes, partition: bytes, tombstone: bytes, old: bytes | None
    ) -> None:
        before = self._tombstones_of(table).replace(key, tombstone)
        old = before if old is None else old
        if table.listed:
            changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
            if old is not None:
                self._unlist(changes, table, key, partition, old)
            changes.put(partition + local_sequence(tombstone), table.tag + key)

    def _merge(self, table: TableState, key: bytes, partition: bytes, payload: bytes) -> None:
        rows = self._rows.get(table.id) or self._open(table)
        old = rows.get(key)
        assert table.merge is not None
        value = None if old is None else cbor2.loads(payload_of(table.name, key, old))
        merged = encode_value(table.merge(value, cbor2.loads(payload)))
        self._put(table, key, partition, merged, None)

    def _apply_foreign(
        self,
        table: TableState,
        key: bytes,
        partition: bytes,
        payload: bytes,
        version: Version,
        tombstone: bool,
    ) -> None:
        rows = self._rows.get(table.id) or self._open(table)
        old = rows.get(key)
        known = old
        if known is None and table.tombstones:
            known = self._tombstones_of(table).get(key)
        if known is not None:
            check(table.name, key, known)
            if old is not None and table.merge is not None and not tombstone:
                merged = encode_value(
                    table.merge(cbor2.loads(payload_of(table.name, key, old)), cbor2.loads(payload))
                )
                version = max(version, version_of(old))
                if merged == payload_of(table.name, key, old) and version == version_of(old):
                    return
                payload = merged
            elif version <= version_of(known):
                return
        self.sequence = sequence = self.sequence + 1
        if tombstone:
            if old is not None:
                rows.pop(key)
            if table.tombstones:
                buried = pack_foreign(key, TOMBSTONE, version, sequence, encode_value(self._now_ms))
                self._bury(table, key, partition, buried, old)
            elif old is not None and table.listed:
                changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
                self._unlist(changes, table, key, partition, old)
        else:
            record = pack_foreign(key, FOREIGN, version, sequence, payload)
            rows.put(key, record)
            self._written(table, key, partition, SEQUENCE.pack(sequence), old)
        if table.indexes:
            none: list[list[bytes]] = [[] for _ in table.indexes]
            self._index(
                table, key, old, none if tombstone else index_entries(table, key, cbor2.loads(payload))
            )
        if table.watchers and not (tombstone and old is None):
            self.events.append((table, key, None if tombstone else payload, sequence))

    def _index(self, table: TableState, key: bytes, old: bytes | None, entries: list[list[bytes]]) -> None:
        before: list[list[bytes]] = [[] for _ in table.indexes]
        if old is not None and not old[0] & TOMBSTONE:
            before = index_entries(table, key, cbor2.loads(payload_of(table.name, key, old)))
        for rows, gone, come in zip(self._indexes_of(table), before, entries, strict=True):
            for entry in gone:
                if entry not in come:
                    rows.pop(entry)
            for entry in come:
                if entry not in gone:
                    rows.put(entry, b"")

    # ---- purging ------------------------------------------------------------------------------------

    def purge(self, table: TableState, key: bytes, partition: bytes) -> None:
        """Forget a tombstone and its entry in `changes`."""
        old = self._tombstones_of(table).pop(key)
        if old is not None and table.listed:
            changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
            self._unlist(changes, table, key, partition, old)

    # ---- reading what the batch sees ----------------------------------------------------------------

    def rows_of(self, table: TableState) -> Rows:
        """The table with this batch's writes."""
        return self._rows.get(table.id) or self._open(table)

    def tombstones_of(self, table: TableState) -> Rows:
        """Its tombstones."""
        return self._tombstones_of(table)

    def index_of(self, table: TableState, position: int) -> Rows:
        """One of its indexes."""
        return self._indexes_of(table)[position]

    # ---- opening what is needed ---------------------------------------------------------------------

    def _epoch(self, partition: bytes) -> int:
        number = keys.decode(partition)[0]
        epoch = self._epoch_of[partition] = self._epochs(number)
        return epoch

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

    def _at(self, place: Any, above: Callable[[Batch], Rows]) -> Rows:
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
