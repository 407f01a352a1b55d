"""Applying writes: versions, checksums, `changes`, indexes, tombstones.

`changes` has one entry per live key (a tombstone is live): (bucket of the partition, local sequence) → (table, key).
An overwrite takes the old entry away in the same transaction, which it finds through the sequence in the old record.

A write of this node is always newer than what it overwrites: if a record of another node has the higher version (a
dump that was loaded, say), the write's epoch goes one beyond it.
"""

from __future__ import annotations

from typing import Any
from zlib import crc32

import cbor2

from store import keys
from store.errors import DamagedRecord
from store.record import (
    CHECKSUM,
    FOREIGN,
    FOREIGN_FLAG,
    HEADER,
    SEQUENCE,
    TOMBSTONE,
    Version,
    check,
    check_length,
    encode_value,
    local_sequence,
    pack,
    pack_foreign,
    payload_of,
    version_of,
)
from store.rows import Rows
from store.state import TableState
from store.work import Work
from store.writes import APPLY, DELETE, MERGE, PUT, REMOVE, Row, encode_write, index_entries, partition_of


class Batch(Work):
    """Writes that are committed together."""

    __slots__ = ()

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
        epoch, bucket = self._home_of.get(partition) or self._home(partition)
        self.sequence = sequence = self.sequence + 1
        body = HEADER.pack(0, epoch, sequence, self._incarnation) + payload
        record = body + CHECKSUM.pack(crc32(body, crc32(key)))
        rows = self._rows.get(table.id) or self._open(table)
        if table.insert_only:
            old = None if rows.insert(key, record) else rows.replace(key, record)
        else:
            old = rows.replace(key, record)
        before = old
        if old is None and table.tombstones:
            before = self._tombstones_of(table).pop(key)
        if before is not None and (before[1:5] > body[1:5] or before[:1] >= FOREIGN_FLAG):
            epoch = self._beyond(table, before, epoch, sequence)
            rows.put(key, pack(key, 0, epoch, sequence, self._incarnation, payload))
        if table.listed:
            self._list(table, key, bucket, body[5:13], before)
        if table.indexes:
            if entries is None:
                entries = index_entries(table, key, cbor2.loads(payload))
            self._index(table, key, old, entries)
        if table.watchers:
            self.events.append((table, key, payload, sequence))

    def _beyond(self, table: TableState, before: bytes, epoch: int, sequence: int) -> int:
        """The epoch with which a write of this node is newer than what was there."""
        check_length(table.name, before)
        there = version_of(before)
        return epoch if (epoch, sequence, self._incarnation) > there else there.epoch + 1

    def _list(self, table: TableState, key: bytes, bucket: bytes, place: bytes, before: bytes | None) -> None:
        """List a record in `changes`, and no longer the one before it."""
        changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
        if before is not None:
            self._unlist(changes, table, key, bucket, before)
        changes.put(bucket + place, table.tag + key)

    def _unlist(self, changes: Rows, table: TableState, key: bytes, bucket: bytes, old: bytes) -> None:
        check_length(table.name, old)
        if changes.pop(bucket + local_sequence(old)) != table.tag + key:
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
            before = self._tombstones_of(table).get(key) if old is None else old
            epoch = self._home(partition)[0]
            self.sequence = sequence = self.sequence + 1
            if before is not None:
                epoch = self._beyond(table, before, epoch, sequence)
            payload = encode_value(self._now_ms)
            tombstone = pack(key, TOMBSTONE, epoch, sequence, self._incarnation, payload)
            self._bury(table, key, partition, tombstone, before)
        elif old is None:
            return
        else:
            self.sequence = self.sequence + 1
            if table.listed:
                changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
                self._unlist(changes, table, key, self._home(partition)[1], old)
        if table.indexes and old is not None:
            self._index(table, key, old, [[] for _ in table.indexes])
        if table.watchers and old is not None:
            self.events.append((table, key, None, self.sequence))

    def _bury(
        self, table: TableState, key: bytes, partition: bytes, tombstone: bytes, before: bytes | None
    ) -> None:
        self._tombstones_of(table).put(key, tombstone)
        if table.listed:
            self._list(table, key, self._home(partition)[1], local_sequence(tombstone), before)

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
                self._bury(table, key, partition, buried, known)
            elif old is not None and table.listed:
                changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
                self._unlist(changes, table, key, self._home(partition)[1], old)
        else:
            record = pack_foreign(key, FOREIGN, version, sequence, payload)
            rows.put(key, record)
            if old is None and known is not None:
                self._tombstones_of(table).pop(key)
            if table.listed:
                self._list(table, key, self._home(partition)[1], SEQUENCE.pack(sequence), known)
        if table.indexes:
            none: list[list[bytes]] = [[] for _ in table.indexes]
            self._index(
                table, key, old, none if tombstone else index_entries(table, key, cbor2.loads(payload))
            )
        if table.watchers and not (tombstone and old is None):
            self.events.append((table, key, None if tombstone else payload, sequence))

    def _index(self, table: TableState, key: bytes, old: bytes | None, entries: list[list[bytes]]) -> None:
        before: list[list[bytes]] = [[] for _ in table.indexes]
        if old is not None:
            before = index_entries(table, key, cbor2.loads(payload_of(table.name, key, old)))
        for rows, gone, come in zip(self._indexes_of(table), before, entries, strict=True):
            for entry in gone:
                if entry not in come:
                    rows.pop(entry)
            for entry in come:
                if entry not in gone:
                    rows.put(entry, b"")

    # ---- purging ------------------------------------------------------------------------------------

    def purge(self, table: TableState, key: bytes) -> None:
        """Forget a tombstone and its entry in `changes`."""
        old = self._tombstones_of(table).pop(key)
        if old is not None and table.listed:
            partition = partition_of(table, key)
            changes = (self._ram_changes if table.ram else self._changes) or self._open_changes(table)
            self._unlist(changes, table, key, self._home(partition)[1], old)
