"""The bytes of the history's file: a head, a table of names, and two rings of slots.

    head     magic, version, names, slots of each ring, checksum             64 bytes
    names    one place for each name: checksum, length, text                 NAMES_MAX × 96 bytes
    seconds  SECONDS slots                                                   each SLOT_BYTES
    minutes  MINUTES slots

A slot: checksum, ring, how many values, sequence, Unix time, seconds that it speaks of, and a float32 for each name
of the table in its order; NaN where the figure wasn't there. Everything is little-endian. The checksum (CRC-32 of the
rest) tells a slot that was torn by a crash, or is being written, from a whole one; the sequence tells in which order
slots come, and that one isn't a leftover at a place where it doesn't belong. A name's place is never used for another.

Pure: bytes in, values out. It must never know what the names mean.
"""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Mapping, Sequence
from typing import Final
from zlib import crc32

import attrs

MAGIC: Final = b"waystation-stats"
VERSION: Final = 1
SECONDS: Final = 3_600
"""An hour at one second …"""
MINUTES: Final = 7 * 24 * 60
"""… and a week at one minute."""
NAMES_MAX: Final = 512
"""A node has some 250 figures to keep; more than this are left out, and counted."""
NAME_BYTES: Final = 96
_HEAD: Final = struct.Struct("<16sIIII")
HEAD_BYTES: Final = 64
_NAME: Final = struct.Struct("<IH")
NAME_MAX: Final = NAME_BYTES - _NAME.size
_SLOT: Final = struct.Struct("<IHHQdd")
SLOT_BYTES: Final = _SLOT.size + 4 * NAMES_MAX

RINGS: Final = (SECONDS, MINUTES)
SECOND: Final = 0
MINUTE: Final = 1
NAMES_AT: Final = HEAD_BYTES
SLOTS_AT: Final = NAMES_AT + NAMES_MAX * NAME_BYTES
FILE_BYTES: Final = SLOTS_AT + (SECONDS + MINUTES) * SLOT_BYTES

assert _HEAD.size + 4 <= HEAD_BYTES


@attrs.frozen
class Record:
    """One slot. at: Unix seconds at its end. covers_s: of how long it speaks. values: in the order of the names."""

    ring: int
    sequence: int
    at: float
    covers_s: float
    values: tuple[float, ...]

    def by_name(self, names: Sequence[str]) -> dict[str, float]:
        """Its values by name, without those that were not there."""
        return {name: value for name, value in zip(names, self.values, strict=False) if not math.isnan(value)}


def head() -> bytes:
    """The head of a file of this version and geometry."""
    fields = _HEAD.pack(MAGIC, VERSION, NAMES_MAX, SECONDS, MINUTES)
    return (fields + struct.pack("<I", crc32(fields))).ljust(HEAD_BYTES, b"\0")


def slot_at(ring: int, sequence: int) -> int:
    """Where in the file a record's slot is."""
    return SLOTS_AT + (ring * SECONDS + sequence % RINGS[ring]) * SLOT_BYTES


def name_at(index: int) -> int:
    return NAMES_AT + index * NAME_BYTES


def pack_name(name: str) -> bytes:
    """A name's place. Raises ValueError if it is too long."""
    text = name.encode()
    if not text or len(text) > NAME_MAX:
        raise ValueError(f"a figure's name has 1 to {NAME_MAX} bytes: {name!r}")
    rest = struct.pack("<H", len(text)) + text.ljust(NAME_MAX, b"\0")
    return struct.pack("<I", crc32(rest)) + rest


def unpack_names(table: bytes) -> list[str]:
    """The names up to the first place that is empty or torn; a torn one was never used by a record."""
    names: list[str] = []
    for index in range(NAMES_MAX):
        place = table[index * NAME_BYTES : (index + 1) * NAME_BYTES]
        if len(place) < NAME_BYTES:
            break
        checksum, length = _NAME.unpack_from(place)
        if not 0 < length <= NAME_MAX or crc32(place[4:]) != checksum:
            break
        names.append(place[_NAME.size : _NAME.size + length].decode("utf-8", "replace"))
    return names


def pack(record: Record) -> bytes:
    """A slot."""
    assert len(record.values) <= NAMES_MAX
    values = array("f", record.values).tobytes()
    fields = _SLOT.pack(0, record.ring, len(record.values), record.sequence, record.at, record.covers_s)
    checksum = crc32(values, crc32(fields[4:]))
    return struct.pack("<I", checksum) + fields[4:] + values


def unpack(slot: bytes, ring: int, place: int) -> Record | None:
    """The record at a place of a ring; None if the slot is empty, torn, or doesn't belong there."""
    if len(slot) < _SLOT.size:
        return None
    checksum, of_ring, count, sequence, at, covers_s = _SLOT.unpack_from(slot)
    end = _SLOT.size + 4 * count
    if of_ring != ring or count > NAMES_MAX or end > len(slot) or sequence % RINGS[ring] != place:
        return None
    if not sequence or crc32(slot[4:end]) != checksum:
        return None
    return Record(ring, sequence, at, covers_s, tuple(array("f", slot[_SLOT.size : end])))


def of_values(names: Mapping[str, int], values: Mapping[str, float]) -> tuple[float, ...]:
    """Values in the order of the table's indexes."""
    row = [math.nan] * len(names)
    for name, value in values.items():
        index = names.get(name)
        if index is not None:
            row[index] = value
    return tuple(row)
