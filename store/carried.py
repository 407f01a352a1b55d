"""Records that came from other nodes, opened and checked before anything is applied.

All that can be wrong with a blob is found here: what passes can be applied, unless the declared functions of its table
(merge, indexes) raise. Values are not decoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import cbor2

from store import keys
from store.errors import DamagedPart, KeyNotStorable, UnknownTable
from store.limits import KEY_BYTES_MAX
from store.record import are_sound
from store.state import TableState
from store.tapping import GONE
from store.writes import UNPARTITIONED

CarriedPart = tuple[int | None, str, bytes]
"""(partition, table, blob), as `Tapped` and `Pulled` give them."""

_ORIGINALS = frozenset((0, 1))
_GONE = cbor2.dumps(GONE)
_EMPTY = cbor2.dumps([])


class Opened(NamedTuple):
    """A part whose checksums are right. `rows` is key, record, key, record …"""

    table: TableState
    partition: bytes
    rows: list[bytes]

    @property
    def risky(self) -> bool:
        """Whether applying it calls functions of the declaration."""
        return bool(self.table.merge or self.table.indexes)


def count_rows(blob: bytes) -> int:
    """How many rows a blob says it has: the head of a CBOR array, RFC 8949 section 3.1. 1 if that is no array."""
    if not blob or blob[0] >> 5 != 4:
        return 1
    length = blob[0] & 31
    if length >= 24:
        length = int.from_bytes(blob[1 : 1 + (1 << (length - 24))], "big")
    return max(1, length // 2)


def open_parts(tables: dict[str, TableState], parts: Sequence[CarriedPart]) -> list[Opened]:
    """Raises UnknownTable, DamagedPart."""
    return [_open(tables, *part) for part in parts]


def pieces(opened: Sequence[Opened], rows: int) -> Iterator[list[Opened]]:
    """The same in some parts at a time, with so many rows at most."""
    piece: list[Opened] = []
    room = rows
    for part in opened:
        start = 0
        while start < len(part.rows):
            some = part.rows[start : start + 2 * room]
            piece.append(part._replace(rows=some))
            start += len(some)
            room -= len(some) // 2
            if not room:
                yield piece
                piece, room = [], rows
    if piece:
        yield piece


def _open(tables: dict[str, TableState], partition: int | None, name: str, blob: bytes) -> Opened:
    table = tables.get(name)
    if table is None:
        raise UnknownTable(f"there is no table {name!r} to apply a peer's records to")
    if not table.listed:
        raise UnknownTable(f"table {name!r} has local content: a peer's records don't belong there")
    if (partition is None) == table.partitioned:
        raise DamagedPart(f"records for table {name!r} come with partition {partition!r}")
    prefix = _prefix_of(partition, name)
    rows = _rows(name, blob)
    _check_keys(name, rows[::2], prefix)
    _check_records(name, rows[::2], rows[1::2])
    return Opened(table, UNPARTITIONED if partition is None else prefix, rows)


def _check_keys(name: str, keys: Sequence[bytes], prefix: bytes) -> None:
    lengths = {*map(len, keys)}
    elsewhere = bool(prefix) and not all(key.startswith(prefix) for key in keys)
    if elsewhere or 0 in lengths or max(lengths, default=0) > KEY_BYTES_MAX:
        raise DamagedPart(f"a record for table {name!r} has the key of another partition, or none")


def _check_records(name: str, keys: Sequence[bytes], records: Sequence[bytes]) -> None:
    if GONE in records:
        pairs = [pair for pair in zip(keys, records, strict=True) if pair[1] != GONE]
        keys, records = [key for key, _ in pairs], [record for _, record in pairs]
    if not are_sound(keys, records) or {record[0] for record in records} - _ORIGINALS:
        raise DamagedPart(f"a record for table {name!r} fails its checksum")


def _prefix_of(partition: int | None, name: str) -> bytes:
    if partition is None:
        return b""
    try:
        prefix = keys.encode((partition,))
        keys.first_length(prefix)
    except KeyNotStorable:
        raise DamagedPart(f"records for table {name!r} come with a partition that is no number") from None
    return prefix


def _rows(name: str, blob: bytes) -> list[bytes]:
    try:
        rows: Any = cbor2.loads(blob, allow_indefinite=False)
    except (cbor2.CBORDecodeError, ValueError, TypeError):
        raise DamagedPart(f"records for table {name!r} are cut off or altered") from None
    if type(rows) is not list or len(rows) % 2 or {*map(type, rows)} - {bytes}:
        raise DamagedPart(f"records for table {name!r} aren't pairs of bytes")
    # `loads` passes over what is behind the list, such as rows that a damaged count leaves out.
    end = _EMPTY if not rows else rows[-1] if rows[-1] != GONE else rows[-2] + _GONE
    if not blob.endswith(end):
        raise DamagedPart(f"records for table {name!r} have something behind them")
    return rows
