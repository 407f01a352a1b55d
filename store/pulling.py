"""What changed in some partitions since a sequence, as parts to be applied elsewhere: one step of catching up.

The state of whoever pulls is a position for each partition; nothing is kept here between two steps. Entries of
neighbouring partitions lie together (`buckets`), so partitions that are wanted together are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, compress, islice
from typing import Any, Final

import attrs

from store import keys
from store.buckets import UNPARTITIONED, bucket_of
from store.keys import BEFORE_LENGTH
from store.limits import PULL_SCAN_MAX
from store.record import CARRIED, PREFIX, SEQUENCE, are_sound
from store.rows import ReadRows
from store.state import TableState
from store.tapping import Part, Written, pack_rows

CHUNK: Final = 256
"""Entries that are looked at together. With 1,000 the records of one chunk don't stay in the processor's cache."""

_NEVER: Final = keys.END * 9
"""Sorts after every sequence."""

_WHOLE: Final = keys.encode((None,))

Want = tuple[int | None, int]
"""(partition, the local sequence up to which it is had)"""

Get = Callable[[bytes], bytes | None]

Read = Callable[[TableState], tuple[Get, Get | None]]
"""how to get a table's records, and its tombstones, if it has some"""

Entry = tuple[bytes, bytes]
"""An entry of `changes`: (bucket and sequence, table's tag and physical key)"""


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
    """Reads until it has enough. `entries` are the databases of changes, `read` says how records are read.

    Some entries at a time, for what each would cost by itself is mostly calls.
    """

    __slots__ = (
        "_damaged",
        "_entries",
        "_gets",
        "_read",
        "_rows",
        "_scan",
        "_size",
        "_tables",
        "_upto",
        "_written",
    )

    def __init__(
        self,
        entries: Sequence[ReadRows],
        tables: Sequence[TableState | None],
        read: Read,
        *,
        upto: int,
        rows: int,
        size: int,
    ) -> None:
        self._entries = entries
        self._tables = tables
        self._read = read
        self._gets: dict[int, tuple[Get, Get | None]] = {}
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
            Part(keys.decode(partition)[0], table.name, *pack_rows(rows, merging=table.merge is not None))
            for (partition, table), rows in self._written.items()
        )
        return Pulled(parts, progress, self._damaged)

    @property
    def _enough(self) -> bool:
        return self._rows <= 0 or self._size <= 0 or self._scan <= 0

    def _bucket(self, bucket: bytes, since_of: dict[bytes, int]) -> int:
        """Up to which sequence everything that is wanted of a bucket was read."""
        first = min(since_of.values()) + 1
        if first > self._upto:
            return self._upto
        partitioned = bucket != UNPARTITIONED
        after = {partition: SEQUENCE.pack(since) for partition, since in since_of.items()}
        for chunk in self._listed(bucket + SEQUENCE.pack(first), bucket + SEQUENCE.pack(self._upto) + b"\0"):
            self._scan -= len(chunk)
            wanted = chunk
            if partitioned:
                wanted = [
                    entry
                    for entry in chunk
                    if entry[0][2:] > after.get(entry[1][1 : entry[1][1] - 0x12], _NEVER)
                ]
            at = 0
            while at < len(wanted):
                at += self._take(wanted[at : at + self._rows], partitioned)
                if self._rows <= 0 or self._size <= 0:
                    return _sequence(wanted[at - 1])
            if self._scan <= 0:
                return _sequence(chunk[-1])
        return self._upto

    def _take(self, entries: Sequence[Entry], partitioned: bool) -> int:
        """Read what entries are about, the first at least; of how many, before it was enough in bytes."""
        looked = size = 0
        tag = -1
        get: Get = _nothing
        buried: Get | None = None
        found: list[tuple[bytes, bytes, bytes]] = []  # place, target, record
        for place, target in entries:
            looked += 1
            if target[0] != tag:
                tag = target[0]
                get, buried = self._gets_of(tag)
            record = get(target[1:])
            if record is None and buried is not None:
                record = buried(target[1:])
            if record is None:
                continue  # stale, or in memory and deleted between two reads
            found.append((place, target, record))
            size += len(target) + len(record)
            if size > self._size:
                break
        if not found:
            return looked
        targets = [target for _, target, _ in found]
        tags = {target[0] for target in targets}
        physical = [target[1:] for target in targets]
        originals = [record[PREFIX:] if record[:1] == CARRIED else record for _, _, record in found]
        if not are_sound(physical, originals):
            found, physical, originals = self._sound(found, physical, originals)
        places = [record[1:9] if record[:1] == CARRIED else record[5:13] for _, _, record in found]
        if places != [place[2:] for place, _, _ in found]:
            right = [place == listed[0][2:] for place, listed in zip(places, found, strict=True)]
            found = list(compress(found, right))
            physical, originals = list(compress(physical, right)), list(compress(originals, right))
        self._rows -= len(found)
        self._size -= sum(map(len, physical)) + sum(map(len, originals))
        if partitioned or len(tags) > 1:
            self._sort_out(found, physical, originals, partitioned)
        elif found:
            self._note(_WHOLE, targets[0][0], chain.from_iterable(zip(physical, originals, strict=True)))
        return looked

    def _gets_of(self, tag: int) -> tuple[Get, Get | None]:
        gets = self._gets.get(tag)
        if gets is None:
            table = self._tables[tag]
            gets = self._gets[tag] = (_nothing, None) if table is None else self._read(table)
        return gets

    def _sound(
        self, found: list[tuple[bytes, bytes, bytes]], physical: list[bytes], originals: list[bytes]
    ) -> tuple[list[tuple[bytes, bytes, bytes]], list[bytes], list[bytes]]:
        """Those whose checksums are right; the others are named."""
        right = []
        for (_, target, _), key, original in zip(found, physical, originals, strict=True):
            right.append(are_sound([key], [original]))
            if not right[-1]:
                self._damaged.append((self._table(target[0]).name, key))
        return (
            list(compress(found, right)),
            list(compress(physical, right)),
            list(compress(originals, right)),
        )

    def _sort_out(
        self,
        found: list[tuple[bytes, bytes, bytes]],
        physical: list[bytes],
        originals: list[bytes],
        partitioned: bool,
    ) -> None:
        for (_, target, _), key, original in zip(found, physical, originals, strict=True):
            self._note(key[: key[0] - BEFORE_LENGTH] if partitioned else _WHOLE, target[0], (key, original))

    def _note(self, partition: bytes, tag: int, rows: Iterable[bytes]) -> None:
        self._written.setdefault((partition, self._table(tag)), []).extend(rows)

    def _table(self, tag: int) -> TableState:
        table = self._tables[tag]
        assert table is not None, "a record was read of it"
        return table

    def _listed(self, low: bytes, high: bytes) -> Iterator[Sequence[Entry]]:
        """What is listed from `low` to before `high`, in order, some at a time."""
        sources = [self._of_one(source, low, high) for source in self._entries]
        begun = [(first, source) for source in sources if (first := next(source, None))]
        if len(begun) == 1:
            ((first, source),) = begun
            yield first
            yield from source
        elif begun:
            both = merge(*(chain(first, chain.from_iterable(source)) for first, source in begun))
            while some := list(islice(both, self._step)):
                yield some

    def _of_one(self, source: ReadRows, low: bytes, high: bytes) -> Iterator[Sequence[Entry]]:
        step = self._step
        while chunk := source.scan(low, high, step):
            yield chunk
            if len(chunk) < step:
                return
            low = chunk[-1][0] + keys.SEPARATOR
            step = self._step

    @property
    def _step(self) -> int:
        return max(1, min(CHUNK, self._scan))


def _nothing(_: bytes) -> None:
    """Of a table that isn't there any more."""


def _sequence(entry: Entry) -> int:
    return int.from_bytes(entry[0][2:], "big")


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
