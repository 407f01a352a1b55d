"""Applying writes: versions, checksums, `changes`, indexes, tombstones.

`changes` has one entry per live key (a tombstone is live): (bucket of the partition, local sequence) → (table, key).
An overwrite finds the old entry through the sequence in the old record, and gives it up (`stale`).

A write of this node is always newer than what it overwrites: if the record there has the higher version (of a dump that
was loaded, say), the write takes that one's epoch, or, if that isn't enough, the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from zlib import crc32

import cbor2

from store import keys
from store.carried import Opened
from store.record import (
    CARRIED,
    CHECKSUM,
    HEADER,
    SEQUENCE,
    TOMBSTONE,
    Version,
    carry,
    check,
    check_length,
    encode_value,
    is_tombstone,
    local_sequence,
    original_of,
    pack,
    payload_of,
    version_bytes,
)
from store.rows import Rows
from store.runs import RUN_MIN, Met, Runs
from store.state import TableState
from store.tapping import GONE
from store.writes import APPLY, DELETE, MERGE, PUT, REMOVE, Row, encode_write, index_entries, partition_of

_PUTS: Final = frozenset((PUT,))


class Batch(Runs):
    """Writes that are committed together."""

    __slots__ = ()

    def apply(self, rows: list[Row]) -> None:
        """Apply encoded writes in order."""
        if len(rows) >= RUN_MIN and {row[0] for row in rows} == _PUTS:
            self._apply_runs(rows)
        else:
            for row in rows:
                self._apply(row)

    def _apply_runs(self, rows: list[Row]) -> None:
        """Puts, which take one sequence each."""
        tables = dict.fromkeys(row[1] for row in rows)  # in an order that is the same each time
        sequences: Sequence[int] = range(self.sequence + 1, self.sequence + 1 + len(rows))
        if any(table.indexes for table in tables):
            for row in rows:
                self._apply(row)
            return
        self.sequence += len(rows)
        for table in tables:
            mine: list[Row] = rows
            when = sequences
            if len(tables) > 1:
                mine = [row for row in rows if row[1] is table]
                when = [at for row, at in zip(rows, sequences, strict=True) if row[1] is table]
            self.put_run(table, mine, when)

    def _apply(self, row: Row) -> None:
        op, table, key, partition, payload, extra = row
        if op == PUT:
            self._put(table, key, partition, payload, extra)
        elif op == DELETE:
            self._delete(table, key, partition)
        elif op == MERGE:
            self._merge(table, key, partition, payload)
        elif op == APPLY:
            self._take(table, partition, key, self._original(key, payload, *extra), trusted=False)
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
        if before is not None and (before[1:5] > body[1:5] or before[:1] == CARRIED):
            epoch = self._beyond(table, before, epoch, sequence)
            record = pack(key, 0, epoch, sequence, self._incarnation, payload)
            rows.put(key, record)
        if table.listed:
            self._list(table, key, bucket, body[5:13], before)
            if self.tape is not None:
                self.tape.note(partition, table, key, record)
        if table.indexes:
            if entries is None:
                entries = index_entries(table, key, cbor2.loads(payload))
            self._index(table, key, old, entries)
        if table.watchers:
            self.events.append((table, key, payload, sequence))

    def _list(self, table: TableState, key: bytes, bucket: bytes, place: bytes, before: bytes | None) -> None:
        """List a record in `changes`, and no longer the one before it."""
        if before is not None:
            self._unlist_row(table, key, bucket, before)
        self._listing(table).put(bucket + place, table.tag + key)

    def _unlist_row(self, table: TableState, key: bytes, bucket: bytes, old: bytes) -> None:
        check_length(table.name, old)
        self._unlist(table, self._listing(table), [bucket + local_sequence(old) + table.tag + key])

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
            self._forgotten(table, key, partition, old)
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
            if self.tape is not None:
                self.tape.note(partition, table, key, original_of(tombstone))

    def _forgotten(self, table: TableState, key: bytes, partition: bytes, old: bytes) -> None:
        """A record went and left no tombstone."""
        if table.listed:
            self._unlist_row(table, key, self._home(partition)[1], old)
            if self.tape is not None:
                self.tape.note(partition, table, key, GONE)

    def _merge(self, table: TableState, key: bytes, partition: bytes, payload: bytes) -> None:
        rows = self._rows.get(table.id) or self._open(table)
        old = rows.get(key)
        assert table.merge is not None
        value = None if old is None else cbor2.loads(payload_of(table.name, key, old))
        merged = encode_value(table.merge(value, cbor2.loads(payload)))
        self._put(table, key, partition, merged, None)

    # ---- other nodes' records -----------------------------------------------------------------------

    def take(
        self, opened: list[Opened], *, trusted: bool, met: Met = None
    ) -> list[tuple[TableState, list[bytes]]]:
        """Take in other nodes' records: the newer version stays, or the table's merge. Gives the keys that changed.

        Args:
            trusted: what was deleted without a tombstone is deleted here too: the parts are the next commit of the one
                node that writes these records.
            met: filled with what `Reconcile` hears of.
        """
        changed: list[tuple[TableState, list[bytes]]] = []
        parts_of: dict[TableState, list[Opened]] = {}
        for part in opened:
            parts_of.setdefault(part.table, []).append(part)
        for table, parts in parts_of.items():
            keys: list[bytes] = []
            apart = parts
            if not parts[0].risky:
                keys, apart = self.take_run(table, parts, met)
            for _, partition, rows in apart:
                pairs = iter(rows)
                keys += [
                    key
                    for key, original in zip(pairs, pairs, strict=True)
                    if self._take(table, partition, key, original, trusted=trusted, met=met)
                ]
            changed.append((table, keys))
        return changed

    def _original(self, key: bytes, payload: bytes, version: Version, tombstone: bool) -> bytes:
        flags = TOMBSTONE if tombstone else 0
        return pack(key, flags, *version, encode_value(self._now_ms) if tombstone else payload)

    def _take(
        self,
        table: TableState,
        partition: bytes,
        key: bytes,
        original: bytes,
        *,
        trusted: bool,
        met: Met = None,
    ) -> bool:
        rows = self._rows.get(table.id) or self._open(table)
        old = rows.get(key)
        if original == GONE:
            return trusted and self._take_away(table, partition, key, rows, old)
        known = old
        if known is None and table.tombstones:
            known = self._tombstones_of(table).get(key)
        tombstone = is_tombstone(original)
        if known is not None:
            check(table.name, key, known)
            if old is not None and table.merge is not None and not tombstone:
                sent, original = original, _merged(table, key, old, original)
                if met is not None and original != sent:
                    met.append((table, key))
                if original == original_of(old):
                    return False
                if original != sent and self.tape is not None:
                    self.tape.mix(partition)
            elif original[1:21] <= (version := version_bytes(known)):
                if met is not None and not tombstone and original[1:21] < version:
                    met.append((table, key))
                return False
            elif met is not None and old is not None:
                met.append((table, key))
        elif tombstone and not table.tombstones:
            return False
        self.sequence = sequence = self.sequence + 1
        local = SEQUENCE.pack(sequence)
        if tombstone:
            if old is not None:
                rows.pop(key)
            if table.tombstones:
                self._bury(table, key, partition, carry(local, original), known)
            elif old is not None:
                self._forgotten(table, key, partition, old)
        else:
            rows.put(key, carry(local, original))
            if old is None and known is not None:
                self._tombstones_of(table).pop(key)
            if table.listed:
                self._list(table, key, self._home(partition)[1], local, known)
                if self.tape is not None:
                    self.tape.note(partition, table, key, original)
        self._changed(table, key, old, None if tombstone else original[21:-4])
        return True

    def _take_away(
        self, table: TableState, partition: bytes, key: bytes, rows: Rows, old: bytes | None
    ) -> bool:
        if old is None:
            if table.tombstones and self._tombstones_of(table).get(key) is not None:
                self.purge(table, key)
                return True
            return False
        self.sequence = self.sequence + 1
        rows.pop(key)
        self._forgotten(table, key, partition, old)
        self._changed(table, key, old, None)
        return True

    def _changed(self, table: TableState, key: bytes, old: bytes | None, payload: bytes | None) -> None:
        """Indexes and subscribers hear of another node's record."""
        if table.indexes:
            entries: list[list[bytes]] = [[] for _ in table.indexes]
            if payload is not None:
                entries = index_entries(table, key, cbor2.loads(payload))
            self._index(table, key, old, entries)
        if table.watchers and not (payload is None and old is None):
            self.events.append((table, key, payload, self.sequence))

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

    # ---- forgetting ---------------------------------------------------------------------------------

    def purge(self, table: TableState, key: bytes) -> None:
        """Forget a tombstone and its entry in `changes`. Whoever taps is told, so that other nodes do so too."""
        old = self._tombstones_of(table).pop(key)
        if old is not None:
            self.sequence = self.sequence + 1
            self._forget_entry(table, key, old)
            if table.listed and self.tape is not None:
                self.tape.note(partition_of(table, key), table, key, GONE)

    def drop(self, table: TableState, key: bytes, *, tombstone: bool = False) -> None:
        """Forget a row, or a tombstone, with its entries in `changes` and indexes, as if it had never been."""
        old = (self._tombstones_of(table) if tombstone else self.rows_of(table)).pop(key)
        if old is not None:
            self._forget_entry(table, key, old)
            if table.indexes and not tombstone:
                self._index(table, key, old, [[] for _ in table.indexes])
            if table.watchers and not tombstone:
                self.events.append((table, None, None, 1))

    def _forget_entry(self, table: TableState, key: bytes, old: bytes) -> None:
        if table.listed:
            self._unlist_row(table, key, self._home(partition_of(table, key))[1], old)


def _merged(table: TableState, key: bytes, old: bytes, original: bytes) -> bytes:
    """The original of what both records come to: their merge, with the higher version."""
    assert table.merge is not None
    mine, theirs = payload_of(table.name, key, old), original[21:-4]
    merged = mine if mine == theirs else encode_value(table.merge(cbor2.loads(mine), cbor2.loads(theirs)))
    body = b"\0" + max(version_bytes(old), original[1:21]) + merged
    return body + CHECKSUM.pack(crc32(body, crc32(key)))
