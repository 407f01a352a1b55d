"""Keys: tuples as bytes, in the order of the tuples.

The encoding follows FoundationDB's tuple layer (its `design/tuple.md`), with other codes for None, bytes and str, so

- bytes compare as the tuples do (None < bytes < str < tuple < int, each in its own order; shorter first),
- every element says what it is, so an encoding can be read back without a schema,
- encode(a) + encode(b) == encode(a + b), so a prefix can be encoded once and kept,
- no element begins with 00 or FF: 00 after a key separates what the store puts behind it (a bag's digest, the row
  an index entry points to), FF sorts after everything that can follow a prefix.

    None    01
    bytes   02 data 00              (a 00 in data is written 00 FF)
    str     03 UTF-8 00             (the same escape)
    tuple   05 elements 00
    int     14 is zero; 15..1C: 1..8 bytes follow; 13..0C: negative, 1..8 bytes of n - 1 + 256**k
            1D length data / 0B ~length data: more than 8 bytes

This module must never know what a key means.
"""

from __future__ import annotations

from typing import Any, Final

from store.errors import DamagedRecord, KeyNotStorable
from store.limits import KEY_BYTES_MAX

Key = tuple[Any, ...]
"""int, str, bytes, None, and tuples of these."""

AnyKey = tuple[Any, ...] | bytes
"""A key, or one already encoded."""

END: Final = b"\xff"
"""Sorts after everything that can follow a prefix."""

SEPARATOR: Final = b"\0"
"""Between a key and what the store puts behind it; sorts before every longer key."""

AFTER_SEPARATOR: Final = b"\1"

_POSITIVE: Final = tuple(bytes([0x14 + length]) for length in range(9))
_NEGATIVE: Final = tuple(bytes([0x14 - length]) for length in range(9))
_SMALL: Final = tuple(
    _POSITIVE[(n.bit_length() + 7) >> 3] + n.to_bytes((n.bit_length() + 7) >> 3, "big") for n in range(1024)
)


def encode(key: Key) -> bytes:
    """The bytes of a tuple.

    Raises:
        KeyNotStorable: an element is of another type (bool and float too: they would not come back as they were).
    """
    parts: list[bytes] = []
    for element in key:
        kind = type(element)
        if kind is int:
            if 0 <= element < 1024:
                parts.append(_SMALL[element])
            elif element > 0 and element < 0x1_0000_0000_0000_0000:
                length = (element.bit_length() + 7) >> 3
                parts.append(_POSITIVE[length] + element.to_bytes(length, "big"))
            else:
                parts.append(_unusual_int(element))
        elif kind is bytes:
            parts.append(b"\x02" + element.replace(b"\0", b"\0\xff") + b"\0")
        else:
            parts.append(_other(element))
    return b"".join(parts)


def as_key(key: AnyKey) -> bytes:
    """An encoded key of a stored row: checked for length.

    Raises:
        KeyNotStorable: as for `encode`, or too long, or empty, or neither a tuple nor bytes.
    """
    if type(key) is bytes:
        encoded = key
    elif isinstance(key, tuple):
        encoded = encode(key)
    else:
        raise KeyNotStorable(f"a key must be a tuple or encoded bytes, not {type(key).__name__}")
    if not 0 < len(encoded) <= KEY_BYTES_MAX:
        raise KeyNotStorable(f"a key has {len(encoded)} bytes when encoded")
    return encoded


def as_bound(key: AnyKey) -> bytes:
    """An encoded key used as a bound or prefix: may be empty."""
    return key if type(key) is bytes else encode(key)  # type: ignore[arg-type]


def decode(data: bytes) -> Key:
    """The tuple that `encode` was given.

    Raises:
        DamagedRecord: these bytes are no encoded key.
    """
    out: list[Any] = []
    position, end = 0, len(data)
    try:
        while position < end:
            code = data[position]
            if 0x14 <= code <= 0x1C:  # what most keys are made of, here for speed
                stop = position + code - 0x13
                if stop > end:
                    raise IndexError(stop)
                out.append(int.from_bytes(data[position + 1 : stop], "big"))
                position = stop
            else:
                element, position = _decode_one(data, position)
                out.append(element)
    except (IndexError, ValueError):
        raise DamagedRecord(f"a key of {end} bytes can't be decoded") from None
    return tuple(out)


BEFORE_LENGTH: Final = 0x13
"""A partition's first byte less this is how many bytes it takes."""


def first_length(data: bytes) -> int:
    """How many bytes the first element takes; it must be a non-negative int of at most 8 bytes (a partition)."""
    length = data[0] - BEFORE_LENGTH if data else 0
    if not 1 <= length <= 9 or len(data) < length:
        raise KeyNotStorable(
            "the first element of a key in a partitioned table must be its partition, an int"
        )
    return length


def _unusual_int(n: int) -> bytes:
    length = (abs(n).bit_length() + 7) >> 3
    if length > 255:
        raise KeyNotStorable("an int in a key is longer than 255 bytes")
    if n > 0:
        return b"\x1d" + bytes([length]) + n.to_bytes(length, "big")
    body = (n - 1 + (1 << (8 * length))).to_bytes(length, "big")
    return (_NEGATIVE[length] if length <= 8 else b"\x0b" + bytes([length ^ 0xFF])) + body


def _other(element: Any) -> bytes:
    if element is None:
        return b"\x01"
    if type(element) is str:
        try:
            return b"\x03" + element.encode().replace(b"\0", b"\0\xff") + b"\0"
        except UnicodeEncodeError:
            raise KeyNotStorable("a str in a key has surrogates that UTF-8 can't hold") from None
    if isinstance(element, tuple):
        return b"\x05" + encode(element) + b"\0"
    raise KeyNotStorable(f"a key holds a {type(element).__name__}")


def _decode_one(data: bytes, position: int) -> tuple[Any, int]:
    code = data[position]
    position += 1
    if 0x14 <= code <= 0x1C:
        end = position + code - 0x14
        return int.from_bytes(_slice(data, position, end), "big"), end
    if code == 0x02:
        return _unescape(data, position)
    if code == 0x03:
        raw, position = _unescape(data, position)
        return raw.decode(), position
    if 0x0C <= code <= 0x13:
        length = 0x14 - code
        end = position + length
        return int.from_bytes(_slice(data, position, end), "big") + 1 - (1 << (8 * length)), end
    if code == 0x01:
        return None, position
    if code == 0x05:
        return _decode_tuple(data, position)
    if code == 0x1D:
        end = position + 1 + data[position]
        return int.from_bytes(_slice(data, position + 1, end), "big"), end
    if code == 0x0B:
        length = data[position] ^ 0xFF
        end = position + 1 + length
        return int.from_bytes(_slice(data, position + 1, end), "big") + 1 - (1 << (8 * length)), end
    raise ValueError(code)


def _slice(data: bytes, start: int, end: int) -> bytes:
    if end > len(data):
        raise IndexError(end)
    return data[start:end]


def _unescape(data: bytes, position: int) -> tuple[bytes, int]:
    end = data.index(0, position)
    if data[end + 1 : end + 2] != b"\xff":
        return data[position:end], end + 1
    start = position
    while data[end + 1 : end + 2] == b"\xff":
        end = data.index(0, end + 2)
    return data[start:end].replace(b"\0\xff", b"\0"), end + 1


def _decode_tuple(data: bytes, position: int) -> tuple[Key, int]:
    out: list[Any] = []
    while data[position]:
        element, position = _decode_one(data, position)
        out.append(element)
    return tuple(out), position + 1


def split(data: bytes) -> tuple[bytes, bytes]:
    """An encoded key and what the store put behind it (empty if nothing)."""
    position, end = 0, len(data)
    try:
        while position < end and data[position]:
            _, position = _decode_one(data, position)
    except (IndexError, ValueError):
        raise DamagedRecord(f"a key of {end} bytes can't be decoded") from None
    return data[:position], data[position + 1 :]
