"""What the generated checkers and readers stand on. This module must never know a frame."""

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any, Final

from node.wire.errors import MALFORMED, WireError

Frame = tuple[Any, ...]
"""(verb, …) as the schema says."""

Check = Callable[[Sequence[Any]], None]
"""Raises WireError for a frame, a list or tuple, that the schema forbids."""

Read = Callable[[bytes, int, int], Frame]
"""Decodes and checks the bytes of one frame, from a start to an end."""

u32: Final = Struct(">I").unpack_from
u64: Final = Struct(">Q").unpack_from


def bad(text: str) -> WireError:
    return WireError(MALFORMED, text)


def is_array(value: object) -> bool:
    return type(value) is list or type(value) is tuple


def utf8_size(text: str) -> int:
    """Bytes on the wire, or -1 for a text that has no UTF-8 (a lone surrogate)."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return -1


def unknown(d: bytes, i: int, end: int) -> Frame:
    raise bad("not an array that starts with a verb of this side")


def by_first_byte(readers: Mapping[int, Read]) -> tuple[Read, ...]:
    """A reader for each value of the byte after the array's head."""
    return tuple(readers.get(byte, unknown) for byte in range(256))
