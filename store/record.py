"""A value as it is stored: version, payload, checksum.

    flags 1 | epoch 4 | sequence 8 | incarnation 8 | payload (CBOR, RFC 8949) | CRC-32 4        written by this node
    02 | local sequence 8 | what its writer stored                                              carried from another

All big-endian, so versions compare as bytes. The version (epoch, sequence, incarnation) is that of the node that
wrote the record and travels with it: what a node sends on, the record's *original*, is what its writer packed, byte
for byte. `local sequence` is where this node's `changes` list a record; of one that was written here it is the
version's own. The checksum covers the key too, so a record that turned up under another key is noticed; the local
sequence is not covered: it is right if `changes` lists the record there.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from zlib import crc32

import attrs
import cbor2

from store.errors import DamagedRecord, ValueNotStorable
from store.limits import VALUE_BYTES_MAX, VALUE_DEPTH_MAX

TOMBSTONE: Final = 1
"""The flag of a tombstone, whose payload is when it was made, in Unix ms. There is no other flag."""

CARRIED: Final = b"\x02"
"""What a record that another node wrote begins with."""

PREFIX: Final = 9
"""Bytes before the original of a carried record."""

HEADER: Final = struct.Struct(">BIQQ")
CHECKSUM: Final = struct.Struct(">I")
SEQUENCE: Final = struct.Struct(">Q")
OVERHEAD: Final = HEADER.size + CHECKSUM.size

_CONTAINERS: Final = (list, tuple, dict)


class Version(NamedTuple):
    """Orders the writes of one key: the highest wins."""

    epoch: int
    sequence: int
    incarnation: int


@attrs.frozen(slots=True)
class Record:
    """What is known of a key. `value` is None in a tombstone; it may be a body, so no repr shows it."""

    value: Any = attrs.field(repr=False)
    version: Version
    local_sequence: int
    tombstone: bool = False


def encode_value(value: Any) -> bytes:
    """The CBOR of a value.

    Raises:
        ValueNotStorable: it has no CBOR, or is too large, or nested too deeply.
    """
    if isinstance(value, _CONTAINERS) and _too_deep(value, VALUE_DEPTH_MAX):
        raise ValueNotStorable(f"a value is nested more than {VALUE_DEPTH_MAX} levels deep")
    try:
        payload: bytes = cbor2.dumps(value)
    except (cbor2.CBOREncodeError, ValueError, TypeError, OverflowError) as error:
        raise ValueNotStorable(f"a value can't be encoded ({type(error).__name__})") from None
    if len(payload) > VALUE_BYTES_MAX:
        raise ValueNotStorable(f"a value has {len(payload)} bytes when encoded")
    return payload


def _too_deep(value: Any, levels: int) -> bool:
    # cbor2's encoder has no limit of its own and overflows the C stack; its decoder refuses more than 400 levels.
    for element in value.values() if isinstance(value, dict) else value:
        if isinstance(element, _CONTAINERS) and (levels == 1 or _too_deep(element, levels - 1)):
            return True
    return False


def pack(key: bytes, flags: int, epoch: int, sequence: int, incarnation: int, payload: bytes) -> bytes:
    """A record as its writer stores it."""
    body = HEADER.pack(flags, epoch, sequence, incarnation) + payload
    return body + CHECKSUM.pack(crc32(body, crc32(key)))


def carry(local: bytes, original: bytes) -> bytes:
    """Another node's record as it is stored here, listed at the 8 bytes of `local`."""
    return CARRIED + local + original


def original_of(record: bytes) -> bytes:
    """What the writer of a stored record packed."""
    return record[PREFIX:] if record[:1] == CARRIED else record


def check(table: str, key: bytes, record: bytes) -> None:
    """Raises DamagedRecord unless the checksum is right. The record may be stored or an original."""
    payload_of(table, key, record)


def are_sound(keys: Sequence[bytes], originals: Sequence[bytes]) -> bool:
    """Whether the checksums of all these originals are right: `check` of many, at a third of its price."""
    bodies = [original[:-4] for original in originals]
    sums = map(crc32, bodies, map(crc32, keys))
    return min(map(len, originals), default=OVERHEAD) >= OVERHEAD and [
        original[-4:] for original in originals
    ] == list(map(CHECKSUM.pack, sums))


def check_length(table: str, record: bytes) -> None:
    """Raises DamagedRecord if there is not even room for a version."""
    if len(original_of(record)) < OVERHEAD:
        raise DamagedRecord(f"a record of table {table!r} has {len(record)} bytes, fewer than any can have")


def payload_of(table: str, key: bytes, record: bytes) -> bytes:
    """The payload, checked."""
    if record[:1] == CARRIED:
        record = record[PREFIX:]
    body = record[:-4]
    if len(record) < OVERHEAD or record[-4:] != CHECKSUM.pack(crc32(body, crc32(key))):
        raise DamagedRecord(f"a record of table {table!r} under a key of {len(key)} bytes fails its checksum")
    return body[21:]


def value_of(table: str, key: bytes, record: bytes) -> Any:
    """The value, checked."""
    return cbor2.loads(payload_of(table, key, record))


def local_sequence(record: bytes) -> bytes:
    """Where `changes` lists the record, as its 8 bytes. Not checked."""
    return record[1:9] if record[:1] == CARRIED else record[5:13]


def version_bytes(record: bytes) -> bytes:
    """The version, as bytes that compare as versions do. Not checked."""
    return record[10:30] if record[:1] == CARRIED else record[1:21]


def version_of(record: bytes) -> Version:
    """The version. Not checked."""
    return Version(*HEADER.unpack_from(original_of(record))[1:])


def is_tombstone(record: bytes) -> bool:
    """Whether it says that its key was deleted. Not checked."""
    return bool(original_of(record)[0] & TOMBSTONE)


def unpack(table: str, key: bytes, record: bytes) -> Record:
    """Everything in a record, checked."""
    payload = payload_of(table, key, record)
    local = int.from_bytes(local_sequence(record), "big")
    if is_tombstone(record):
        return Record(None, version_of(record), local, tombstone=True)
    return Record(cbor2.loads(payload), version_of(record), local)
