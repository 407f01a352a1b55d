"""Runs: the plain majority of rows, a table at a time, in the order of their keys.

Puts without indexes, and other nodes' records without indexes or a merge. What a row by itself would cost in calls is
paid once for a run, neighbours in the table are written one after the other, and of a key that is put often only the
last record is written. What comes out is what `batch` makes of the rows one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import gt
from typing import Final
from zlib import crc32

from store.carried import Opened
from store.errors import DamagedRecord
from store.keys import BEFORE_LENGTH
from store.record import (
    CARRIED,
    CHECKSUM,
    HEADER,
    OVERHEAD,
    PREFIX,
    SEQUENCE,
    check_length,
    local_sequence,
    pack,
    version_of,
)
from store.rows import DiscRows, Rows
from store.stale import PLACE
from store.state import TableState
from store.work import Work
from store.writes import Row

Homes = Mapping[bytes, tuple[int, bytes]]
"""partition's encoding → epoch and bucket"""

RUN_MIN: Final = 4
"""Fewer rows are written one by one."""

Met = list[tuple[TableState, bytes]] | None
"""(table, physical key) where a record was here and another one came; None: nobody wants to know."""

TAKE_ROWS: Final = 512
"""Other nodes' records that are taken in together: what a run works on stays in the processor's cache."""

_LIVE: Final = b"\0"
"""The flags of a record that is no tombstone."""


class Runs(Work):
    """What writes of any kind have in common, and the writing of runs."""

    __slots__ = ()

    def put_run(self, table: TableState, rows: Sequence[Row], sequences: Sequence[int]) -> None:
        """Puts of one table that has no index, with the sequence of each."""
        homes = {partition: self._home(partition) for partition in {row[3] for row in rows}}
        epochs = {epoch for epoch, _ in homes.values()}
        given = [row[2] for row in rows]
        packed = self._packed(rows, sequences, homes, epochs)
        latest = dict(zip(given, packed, strict=True))
        keys = sorted(latest)
        records = [latest[key] for key in keys]
        tag = table.tag
        buckets = _buckets(table, keys, homes)
        olds = list(map(self.rows_of(table).replace, keys, records))
        if len(epochs) == 1 and None not in olds and {old[:5] for old in olds} == {records[0][:5]}:  # type: ignore[index]
            # The usual: this node wrote all of them, in this epoch.
            if min(map(len, olds)) < OVERHEAD:  # type: ignore[arg-type]
                self._refuse_short(table, olds)
            stale = [
                bucket + old[5:13] + tag + key  # type: ignore[index]
                for bucket, old, key in zip(buckets, olds, keys, strict=True)
            ]
        else:
            stale = self._stale(table, keys, records, olds, buckets)
        if table.listed:
            if len(homes) == 1:
                bucket = buckets[0]
                entries = [
                    (bucket + record[5:13], tag + key)
                    for record, key in zip(packed, given, strict=True)
                    if latest[key] is record
                ]
            else:
                entries = sorted(
                    (bucket + record[5:13], tag + key)
                    for bucket, record, key in zip(buckets, records, keys, strict=True)
                )
            self._list_run(table, entries, stale)
            if self.tape is not None:
                for partition, some in _by_partition(table, rows[0][3], keys, records):
                    self.tape.extend(partition, table, some)
        if table.watchers:
            self.events += [
                (table, row[2], row[4], sequence) for row, sequence in zip(rows, sequences, strict=True)
            ]

    def _packed(
        self, rows: Sequence[Row], sequences: Sequence[int], homes: Homes, epochs: set[int]
    ) -> list[bytes]:
        """`record.pack`, many times."""
        head, tail, crc, incarnation = HEADER.pack, CHECKSUM.pack, crc32, self._incarnation
        if len(epochs) == 1:
            (epoch,) = epochs
            heads = [head(0, epoch, sequence, incarnation) for sequence in sequences]
        else:
            heads = [
                head(0, homes[row[3]][0], sequence, incarnation)
                for row, sequence in zip(rows, sequences, strict=True)
            ]
        return [
            (body := start + row[4]) + tail(crc(body, crc(row[2])))
            for start, row in zip(heads, rows, strict=True)
        ]

    def _stale(
        self,
        table: TableState,
        keys: list[bytes],
        records: list[bytes],
        olds: list[bytes | None],
        buckets: Sequence[bytes],
    ) -> list[bytes]:
        """What was listed of the keys before. Records that aren't newer than what was there are made so."""
        buried = self._buried(table)
        stale: list[bytes] = []
        tag = table.tag
        for at, old in enumerate(olds):
            if old is None:
                if buried is None or (old := buried.pop(keys[at])) is None:
                    continue
            elif len(old) < OVERHEAD:
                check_length(table.name, old)
            if old[:1] == CARRIED or old[1:5] > records[at][1:5]:
                records[at] = self._beyond_put(table, keys[at], old, records[at])
                stale.append(buckets[at] + local_sequence(old) + tag + keys[at])
            else:
                stale.append(buckets[at] + old[5:13] + tag + keys[at])
        return stale

    def _refuse_short(self, table: TableState, olds: list[bytes | None]) -> None:
        for old in olds:
            if old is not None:
                check_length(table.name, old)

    def _buried(self, table: TableState) -> Rows | None:
        """The tombstones of a table, if there are any."""
        rows = self._tombstones_of(table) if table.tombstones else None
        return rows if rows is not None and rows.count() else None

    def _beyond_put(self, table: TableState, key: bytes, old: bytes, record: bytes) -> bytes:
        """The record again, if it must have a higher epoch to be newer than the one it took the place of."""
        _, epoch, sequence, incarnation = HEADER.unpack_from(record)
        beyond = self._beyond(table, old, epoch, sequence)
        if beyond != epoch:
            record = pack(key, 0, beyond, sequence, incarnation, record[OVERHEAD - 4 : -4])
            self.rows_of(table).put(key, record)
        return record

    def _beyond(self, table: TableState, before: bytes, epoch: int, sequence: int) -> int:
        """The epoch with which a write of this node is newer than what was there."""
        check_length(table.name, before)
        there = version_of(before)
        for enough in (epoch, there.epoch):
            if (enough, sequence, self._incarnation) > there:
                return enough
        return there.epoch + 1

    # ---- other nodes' records -----------------------------------------------------------------------

    def take_run(
        self, table: TableState, parts: list[Opened], met: Met = None
    ) -> tuple[list[bytes], list[Opened]]:
        """Take in live records over live ones or over nothing, of a table without indexes and merge.

        Gives the keys that changed, and what is to be looked at one by one.
        """
        rows = parts[0].rows if len(parts) == 1 else [*chain.from_iterable(part.rows for part in parts)]
        latest = dict(zip(rows[::2], rows[1::2], strict=True))
        if len(rows) < 2 * RUN_MIN or 2 * len(latest) < len(rows):
            return [], parts  # a key is there twice, and only one by one shows which is the newer
        homes = {part.partition: self._home(part.partition) for part in parts}
        ordered = sorted(latest)
        get = self.rows_of(table).get
        newer: list[bytes] = []
        left: list[Opened] = []
        for start in range(0, len(ordered), TAKE_ROWS):
            keys = ordered[start : start + TAKE_ROWS]
            originals = [latest[key] for key in keys]
            olds = list(map(get, keys))
            if not _all_newer(originals, olds):
                keys, originals, olds, apart = self._newer(table, keys, originals, olds, met)
                if apart:
                    some = _by_partition(table, parts[0].partition, apart, [latest[key] for key in apart])
                    left += [Opened(table, mine, rows) for mine, rows in some]
            if met is not None:
                met += [(table, key) for key, old in zip(keys, olds, strict=True) if old is not None]
            if keys:
                self._take_newer(table, keys, originals, olds, homes)
                newer += keys
        return newer, left

    def _newer(
        self,
        table: TableState,
        keys: list[bytes],
        originals: list[bytes],
        olds: list[bytes | None],
        met: Met,
    ) -> tuple[list[bytes], list[bytes], list[bytes | None], list[bytes]]:
        """The live records that are newer than live ones, or new; and the keys that are to be looked at."""
        buried = self._buried(table)
        newer: list[tuple[bytes, bytes, bytes | None]] = []
        apart: list[bytes] = []
        for key, original, old in zip(keys, originals, olds, strict=True):
            if original[:1] != _LIVE:
                apart.append(key)
            elif old is None:
                if buried is not None and buried.get(key) is not None:
                    apart.append(key)
                else:
                    newer.append((key, original, old))
            elif original[1:21] > (version := old[10:30] if old[:1] == CARRIED else old[1:21]):
                newer.append((key, original, old))
            elif len(old) < OVERHEAD:
                check_length(table.name, old)
            elif met is not None and original[1:21] < version:
                met.append((table, key))
        return [one[0] for one in newer], [one[1] for one in newer], [one[2] for one in newer], apart

    def _take_newer(
        self,
        table: TableState,
        keys: list[bytes],
        originals: list[bytes],
        olds: list[bytes | None],
        homes: Homes,
    ) -> None:
        first = self.sequence + 1
        self.sequence += len(keys)
        places = list(map(SEQUENCE.pack, range(first, first + len(keys))))
        self.rows_of(table).put_many(
            [
                (key, CARRIED + place + original)
                for key, place, original in zip(keys, places, originals, strict=True)
            ]
        )
        buckets = _buckets(table, keys, homes)
        tag = table.tag
        entries = [
            (bucket + place, tag + key) for bucket, place, key in zip(buckets, places, keys, strict=True)
        ]
        if len(homes) > 1:
            entries.sort()
        stale = [
            bucket + (old[1:9] if old[:1] == CARRIED else old[5:13]) + tag + key
            for bucket, key, old in zip(buckets, keys, olds, strict=True)
            if old is not None
        ]
        self._list_run(table, entries, stale)
        if self.tape is not None:
            (one, *_) = homes
            for partition, some in _by_partition(table, one, keys, originals):
                self.tape.extend(partition, table, some)
        if table.watchers:
            self.events += [
                (table, key, original[21:-4], at)
                for at, (key, original) in enumerate(zip(keys, originals, strict=True), first)
            ]

    # ---- the list of changes ------------------------------------------------------------------------

    def _list_run(self, table: TableState, entries: list[tuple[bytes, bytes]], stale: list[bytes]) -> None:
        """Entries in their order, which is the cheapest."""
        changes = self._listing(table)
        self._unlist(table, changes, stale)
        changes.put_many(entries)

    def _unlist(self, table: TableState, changes: Rows, stale: list[bytes]) -> None:
        """Some entries (place and what it says) are stale."""
        if type(changes) is DiscRows:
            self.stale += stale
            return
        for entry in stale:
            if changes.pop(entry[:PLACE]) != entry[PLACE:]:
                raise DamagedRecord(
                    f"`changes` doesn't list a record of table {table.name!r} where it says it is listed"
                )

    def _listing(self, table: TableState) -> Rows:
        return (self._ram_changes if table.ram else self._changes) or self._open_changes(table)


def _all_newer(originals: list[bytes], olds: list[bytes | None]) -> bool:
    """The usual of a copy that was away: each of these is live, and newer than what another node wrote before."""
    there = [old for old in olds if old is not None]
    if len(there) < len(olds) or {old[:1] for old in there} != {CARRIED}:
        return False
    if {original[:1] for original in originals} != {_LIVE} or min(map(len, there)) < PREFIX + OVERHEAD:
        return False
    return all(map(gt, [original[1:21] for original in originals], [old[10:30] for old in there]))


def _buckets(table: TableState, keys: list[bytes], homes: Homes) -> Sequence[bytes]:
    """The bucket of each key."""
    if len(homes) == 1:
        ((_, bucket),) = homes.values()
        return [bucket] * len(keys)
    return [homes[key[: key[0] - BEFORE_LENGTH]][1] for key in keys]


def _by_partition(
    table: TableState, partition: bytes, keys: list[bytes], records: list[bytes]
) -> Iterable[tuple[bytes, list[bytes]]]:
    """(partition, key, record …) of each partition. `partition` is one of them, or stands for all if there are none."""
    if not table.partitioned or (keys[0].startswith(partition) and keys[-1].startswith(partition)):
        return [(partition, [*chain.from_iterable(zip(keys, records, strict=True))])]
    found: dict[bytes, list[bytes]] = {}
    for key, record in zip(keys, records, strict=True):
        mine = key[: key[0] - BEFORE_LENGTH]
        there = found.get(mine)
        if there is None:
            found[mine] = [key, record]
        else:
            there += (key, record)
    return found.items()
