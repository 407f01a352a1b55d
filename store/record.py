"""A value as it is stored: version, payload, checksum.

    flags 1 | epoch 4 | sequence 8 | incarnation 8 | [local sequence 8] | payload (CBOR, RFC 8949) | CRC-32 4

All big-endian. The version (epoch, sequence, incarnation) is that of the node that first wrote the record and
travels with it. `local sequence` is there when the record came from another node (flag FOREIGN): it is where this
node's `changes` list it; else that is the version's own sequence. The checksum covers the key too, so a record that
turned up under another key is noticed.
"""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple
from zlib import crc32

import attrs
import cbor2

from store.errors import DamagedRecord, ValueNotStorable
from store.limits import VALUE_BYTES_MAX, VALUE_DEPTH_MAX

TOMBSTONE: Final = 1
FOREIGN: Final = 2
FOREIGN_FLAG: Final = b"\x02"
"""Records whose first byte is at least this are foreign: there is no higher flag."""

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
    """A record written by this node."""
    body = HEADER.pack(flags, epoch, sequence, incarnation) + payload
    return body + CHECKSUM.pack(crc32(body, crc32(key)))


def pack_foreign(key: bytes, flags: int, version: Version, local: int, payload: bytes) -> bytes:
    """A record first written by another node, listed here at `local`."""
    body = HEADER.pack(flags | FOREIGN, *version) + SEQUENCE.pack(local) + payload
    return body + CHECKSUM.pack(crc32(body, crc32(key)))


def check(table: str, key: bytes, record: bytes) -> None:
    """Raises DamagedRecord unless the checksum is right."""
    if len(record) < OVERHEAD or record[-4:] != CHECKSUM.pack(crc32(record[:-4], crc32(key))):
        raise DamagedRecord(f"a record of table {table!r} under a key of {len(key)} bytes fails its checksum")


def check_length(table: str, record: bytes) -> None:
    """Raises DamagedRecord if there is not even room for a version."""
    if len(record) < OVERHEAD:
        raise DamagedRecord(f"a record of table {table!r} has {len(record)} bytes, fewer than any can have")


def payload_of(table: str, key: bytes, record: bytes) -> bytes:
    """The payload, checked."""
    body = record[:-4]
    if len(record) < OVERHEAD or record[-4:] != CHECKSUM.pack(crc32(body, crc32(key))):
        raise DamagedRecord(f"a record of table {table!r} under a key of {len(key)} bytes fails its checksum")
    return body[29:] if body[0] & FOREIGN else body[21:]


def value_of(table: str, key: bytes, record: bytes) -> Any:
    """The value, checked."""
    return cbor2.loads(payload_of(table, key, record))


def local_sequence(record: bytes) -> bytes:
    """Where `changes` lists the record, as its 8 bytes. Not checked."""
    return record[21:29] if record[0] & FOREIGN else record[5:13]


def version_of(record: bytes) -> Version:
    """The version. Not checked."""
    return Version(*HEADER.unpack_from(record)[1:])


def unpack(table: str, key: bytes, record: bytes) -> Record:
    """Everything in a record, checked."""
    payload = payload_of(table, key, record)
    flags = record[0]
    local = int.from_bytes(local_sequence(record), "big")
    if flags & TOMBSTONE:
        return Record(None, version_of(record), local, tombstone=True)
    return Record(cbor2.loads(payload), version_of(record), local)
