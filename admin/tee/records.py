"""What goes over the socket of a tee, as bytes. Knows no frames.

To the test node, one message each, told apart by its first byte:

    H   the tee begins (again): who was there has gone     JSON: {"version": 1, "node": "hex", "share": 0.05}
    B   the live node is there
    R   records, one after the other: kind (1 byte), session (4), length (4), and so many bytes
        1 open: user (8), stream (8)    2 said: whole frames, their bodies replaced    3 closed

From it: JSON, what it has counted since H.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

import attrs
import msgspec

VERSION: Final = 1
HELLO: Final = b"H"
BEAT: Final = b"B"
RECORDS: Final = b"R"

OPEN: Final = 1
SAID: Final = 2
CLOSED: Final = 3

_HEAD: Final = Struct(">BII")
_WHO: Final = Struct(">Q8s")
SESSION_MAX: Final = (1 << 32) - 1


class NotRecords(Exception):
    """A message that isn't one of these."""


@attrs.frozen
class Hello:
    version: int
    node: str
    share: float


_HELLOS: Final = msgspec.json.Decoder(Hello)


def write_hello(node: str, share: float) -> bytes:
    return HELLO + msgspec.json.encode(Hello(VERSION, node, share))


def read_hello(data: bytes) -> Hello:
    """Raises NotRecords: also if it is of another version."""
    try:
        hello = _HELLOS.decode(data[1:])
    except msgspec.DecodeError:
        raise NotRecords("its greeting can't be read") from None
    if hello.version != VERSION:
        raise NotRecords(f"it speaks version {hello.version} of the tee, and this node {VERSION}")
    return hello


def opened(session: int, user: int, stream: bytes) -> bytes:
    return _HEAD.pack(OPEN, session, _WHO.size) + _WHO.pack(user, stream)


def said(session: int, frames: bytes) -> bytes:
    return _HEAD.pack(SAID, session, len(frames)) + frames


def closed(session: int) -> bytes:
    return _HEAD.pack(CLOSED, session, 0)


def read_records(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(kind, session, bytes) of a message R.

    Raises:
        NotRecords: what came before is good.
    """
    place, end = 1, len(data)
    while place < end:
        if end - place < _HEAD.size:
            raise NotRecords("a record ends too early")
        kind, session, size = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        if size > end - place or kind not in (OPEN, SAID, CLOSED) or (kind == OPEN and size != _WHO.size):
            raise NotRecords("a record makes no sense")
        yield kind, session, data[place : place + size]
        place += size


def read_who(data: bytes) -> tuple[int, bytes]:
    """User and stream of an OPEN."""
    user, stream = _WHO.unpack(data)
    return user, stream
