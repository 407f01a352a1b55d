"""What changed in some partitions since a sequence, as parts to be applied elsewhere: one step of catching up.

The state of whoever pulls is a position for each partition; nothing is kept here between two steps. Entries of
neighbouring partitions lie together (`buckets`), so partitions that are wanted together are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from typing import Any, Final

import attrs

from store import keys
from store.buckets import UNPARTITIONED, bucket_of
from store.errors import DamagedRecord
from store.limits import PULL_SCAN_MAX
from store.record import SEQUENCE, check, local_sequence, original_of
from store.rows import ReadRows
from store.state import TableState
from store.tapping import Part, Written, pack_rows

CHUNK: Final = 1_000

Want = tuple[int | None, int]
"""(partition, the local sequence up to which it is had)"""

Raw = Callable[[TableState, bytes], bytes | None]


@attrs.frozen(slots=True)
class Pulled:
    """One step.

    Args:
        parts: the records, in carried form.
        progress: for each want (partition, up to which local sequence it is had now, whether that is all of it).
        damaged: (table, physical key) of records that couldn't be read, and so aren't in the parts.
    """

    parts: tuple[Part, ...] = attrs.field(repr=False)  # may hold bodies
    progress: list[tuple[int | None, int, bool]]
    damaged: list[tuple[str, bytes]] = attrs.field(repr=False)  # a key may name a user


class Pull:
    """Reads until it has enough. `entries` are the databases of changes, `raw` reads a record or tombstone."""

    __slots__ = ("_damaged", "_entries", "_raw", "_rows", "_scan", "_size", "_tables", "_upto", "_written")

    def __init__(
        self,
        entries: Sequence[ReadRows],
        tables: Sequence[TableState | None],
        raw: Raw,
        *,
        upto: int,
        rows: int,
        size: int,
    ) -> None:
        self._entries = entries
        self._tables = tables
        self._raw = raw
        self._upto = upto
        self._rows = rows
        self._size = size
        self._scan = PULL_SCAN_MAX
        self._written: Written = {}
        self._damaged: list[tuple[str, bytes]] = []

    def run(self, wants: Sequence[Want]) -> Pulled:
        """Go through the wants, bucket by bucket, until the limits are reached."""
        buckets: dict[bytes, dict[bytes, int]] = {}
        for partition, since in wants:
            buckets.setdefault(bucket_of(partition), {})[keys.encode((partition,))] = since
        ends: dict[bytes, int] = {}
        for bucket, since_of in buckets.items():
            if not self._enough:
                ends[bucket] = self._bucket(bucket, since_of)
        progress = []
        for partition, since in wants:
            end = ends.get(bucket_of(partition), 0)
            progress.append((partition, max(since, min(end, self._upto)), end >= self._upto))
        parts = tuple(
            Part(keys.decode(partition)[0], table.name, *pack_rows(rows))
            for (partition, table), rows in self._written.items()
        )
        return Pulled(parts, progress, self._damaged)

    @property
    def _enough(self) -> bool:
        return self._rows <= 0 or self._size <= 0 or self._scan <= 0

    def _bucket(self, bucket: bytes, since_of: dict[bytes, int]) -> int:
        """Up to which sequence everything that is wanted of a bucket was read."""
        partitioned = bucket != UNPARTITIONED
        whole = keys.encode((None,))
        for sequence, target in self._listed(bucket, min(since_of.values())):
            if sequence > self._upto:
                break
            partition = target[1 : target[1] - 0x12] if partitioned else whole
            since = since_of.get(partition)
            if since is not None and sequence > since:
                self._take(sequence, partition, self._tables[target[0]], target[1:])
            self._scan -= 1
            if self._enough:
                return sequence
        return self._upto

    def _take(self, sequence: int, partition: bytes, table: TableState | None, key: bytes) -> None:
        record = None if table is None else self._raw(table, key)
        if table is None or record is None:
            return  # stale, or in memory and deleted between two reads
        try:
            check(table.name, key, record)
        except DamagedRecord:
            self._damaged.append((table.name, key))
            return
        if local_sequence(record) != SEQUENCE.pack(sequence):
            return
        self._written.setdefault((partition, table), []).extend((key, original_of(record)))
        self._rows -= 1
        self._size -= len(key) + len(record)

    def _listed(self, bucket: bytes, since: int) -> Iterator[tuple[int, bytes]]:
        low, high = bucket + SEQUENCE.pack(since + 1), bucket + keys.END * 9
        return merge(*(_of_one(source, low, high) for source in self._entries))


def held_partitions(tables: Sequence[tuple[TableState, Sequence[ReadRows]]], limit: int) -> list[Any]:
    """The first partitions of which any of these rows are, None before all."""
    found: set[int] = set()
    whole = False
    for table, sources in tables:
        for rows in sources:
            if table.partitioned:
                found.update(_partitions(rows, limit))
            else:
                whole = whole or bool(rows.scan(b"", keys.END, 1))
    return [*([None] if whole else []), *sorted(found)][:limit]


def _partitions(rows: ReadRows, limit: int) -> Iterator[int]:
    low = b""
    for _ in range(limit):
        first = rows.scan(low, keys.END, 1)
        if not first:
            return
        partition = first[0][0][: keys.first_length(first[0][0])]
        yield keys.decode(partition)[0]
        low = partition + keys.END


def _of_one(source: ReadRows, low: bytes, high: bytes) -> Iterator[tuple[int, bytes]]:
    while chunk := source.scan(low, high, CHUNK):
        for place, target in chunk:
            yield int.from_bytes(place[2:], "big"), target
        if len(chunk) < CHUNK:
            return
        low = chunk[-1][0] + keys.SEPARATOR
