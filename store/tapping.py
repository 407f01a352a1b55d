"""What a commit has written, for whoever carries it to other nodes: tapped after the commit, as opaque blobs.

A *part* is the records of one table and one partition, in carried form: what the first writer of each packed, whichever
node stores it now. Its blob is the CBOR of the flat list [key, record, key, record …]; keys are physical (a bag's end
with the digest of the value), and the record of a key that was deleted without a tombstone is empty. A key is in it
once, but for what a merging table deleted before it wrote the key again. Tables of `local_content` are never in one.

Whoever taps must never change what was committed; this module must never know who does.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Any, Final, NamedTuple

import attrs
import cbor2

from store import keys as encoding
from store.record import TOMBSTONE
from store.state import TableState

GONE: Final = b""
"""Stands for the record of a key that was deleted and left no tombstone."""

_LIVE: Final = b"\0"
_TOMB: Final = bytes([TOMBSTONE])
"""What the record of a row, and of a tombstone, begins with, as its writer packed it."""

_FLAGS: Final = itemgetter(0)

Source = Hashable | None
"""Whose writes a submit holds, as its caller calls them: so that nobody is sent what came from them."""


class Part(NamedTuple):
    """Records of one table and one partition (None: of a table that isn't partitioned)."""

    partition: int | None
    table: str
    blob: bytes
    rows: int


@attrs.frozen(slots=True)
class Tapped:
    """One commit: the sequence before it and after it, what it wrote, and which sources wrote in each partition."""

    first: int
    last: int
    parts: tuple[Part, ...] = attrs.field(repr=False)  # may hold bodies
    touched: dict[int | None, frozenset[Source]]


Tap = Callable[[Tapped], None]

Written = dict[tuple[bytes, TableState], list[bytes]]
"""(partition's encoding, table) → key, record, key, record …, in the order of writing"""


class Tape:
    """What a batch has written so far. `rows` is what the submit at hand wrote; its source is told by `turn`."""

    __slots__ = ("_number", "_source", "_sources", "_whole", "mixed", "rows")

    def __init__(self, number: Callable[[bytes], int | None] | None = None) -> None:
        self._number = number or _number
        self.rows: Written = {}
        self._source: Source = None
        self._whole: Written = {}
        self._sources: dict[bytes, frozenset[Source]] = {}
        self.mixed: set[bytes] = set()

    def turn(self, source: Source) -> None:
        """What comes now was written by `source`."""
        if source != self._source:
            self._fold()
            self._source = source

    def note(self, partition: bytes, table: TableState, key: bytes, record: bytes) -> None:
        """A key has a new record, in its carried form."""
        place = (partition, table)
        found = self.rows.get(place)
        if found is None:
            self.rows[place] = [key, record]
        else:
            found += (key, record)

    def extend(self, partition: bytes, table: TableState, rows: list[bytes]) -> None:
        """`note` for many: key, record, key, record …"""
        place = (partition, table)
        found = self.rows.get(place)
        if found is None:
            self.rows[place] = rows
        else:
            found += rows

    def mix(self, partition: bytes) -> None:
        """What came was merged with what was here into something else, which its sender doesn't have: the partition was
        changed by this node, too."""
        self.mixed.add(partition)

    def join(self, child: Tape) -> None:
        """Take in what a nested unit of the same submit wrote."""
        _gather(self.rows, child.rows)
        self.mixed |= child.mixed

    def finish(self, first: int, last: int) -> Tapped:
        """All of it."""
        self._fold()
        number = self._number
        parts = tuple(
            [
                Part(number(partition), table.name, *pack_rows(rows, merging=table.merge is not None))
                for (partition, table), rows in self._whole.items()
            ]
        )
        for partition in self.mixed & self._sources.keys():
            self._sources[partition] |= {None}
        return Tapped(
            first, last, parts, {number(partition): who for partition, who in self._sources.items()}
        )

    def _fold(self) -> None:
        sources = self._sources
        only = frozenset((self._source,))
        for partition, _ in self.rows:
            others = sources.get(partition)
            sources[partition] = only if others is None else others | only
        _gather(self._whole, self.rows)
        self.rows = {}


def pack_rows(rows: list[bytes], *, merging: bool) -> tuple[bytes, int]:
    """The blob of a flat list, and how many rows are in it: of a key that is there twice, the later record.

    Whoever takes in a row of a merging table merges it with what is there, so there the deletion before it counts.
    """
    keys = rows[::2]
    if len(keys) > 1 and len(set(keys)) < len(keys):
        records = rows[1::2]
        if merging and (GONE in records or TOMBSTONE in map(_FLAGS, records)):
            rows = _since_deleted(rows)
        else:
            latest = dict(zip(keys, records, strict=True))
            rows = [one for pair in latest.items() for one in pair]
    blob: bytes = cbor2.dumps(rows)
    return blob, len(rows) // 2


def _since_deleted(rows: list[bytes]) -> list[bytes]:
    """Of each key the last record, and before it the last tombstone, and the last deletion that left none."""
    kept: list[bytes] = []
    told: set[tuple[bytes, bytes]] = set()  # key, and which kind of record
    for at in range(len(rows) - 2, -1, -2):
        key, record = rows[at], rows[at + 1]
        kind = record[:1]
        if (key, kind) in told or (kind == _LIVE and not told.isdisjoint(((key, _TOMB), (key, GONE)))):
            continue
        told.add((key, kind))
        kept += (record, key)
    kept.reverse()
    return kept


def _gather(into: Written, rows: Written) -> None:
    for place, some in rows.items():
        there = into.get(place)
        if there is None:
            into[place] = some
        else:
            there += some


def _number(partition: bytes) -> Any:
    return encoding.decode(partition)[0]
