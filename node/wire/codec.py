"""Bytes to checked frames, and frames to bytes. No I/O, no state but the remainder that `Decoder` keeps.

A frame is a tuple (verb, …), the same after decoding as before encoding; arrays inside it are tuples too.
Decoding is done by the generated readers, and each frame has one encoding: what `encode` makes. This module must
never know what a frame does.
"""

from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as StructError
from typing import Any, Final

import cbor2

from node.wire.errors import TOO_LARGE, WireError
from node.wire.generated import CLIENT_CHECKS, CLIENT_READERS, SERVER_CHECKS, SERVER_READERS
from node.wire.limits import HEADER_SIZE
from node.wire.primitives import Check, Read, bad
from node.wire.primitives import Frame as Frame

Decode = Callable[[bytes, int, list[Frame]], int]

_LENGTH: Final = Struct(">I")


def decode_client(data: bytes, limit: int, out: list[Frame]) -> int:
    """Append every whole client frame at the start of `data` to `out`, checked.

    Args:
        data: bytes, not a bytearray or memoryview: what a frame carries is sliced out of it.
        limit: the most bytes of a frame, its length not counted.
        out: frames are appended; those before a bad one too.

    Returns:
        How many bytes the frames were. What is left is the start of a frame that fits within `limit`.

    Raises:
        WireError: malformed, or too_large as soon as the four bytes of its length are there.
    """
    return decode_with(CLIENT_READERS, data, limit, out)


def decode_server(data: bytes, limit: int, out: list[Frame]) -> int:
    """As `decode_client`, for the frames that a server sends."""
    return decode_with(SERVER_READERS, data, limit, out)


def decode_with(readers: Sequence[Read], data: bytes, limit: int, out: list[Frame]) -> int:
    """As `decode_client`, with any table of generated readers."""
    start, have = 0, len(data)
    try:
        while have - start >= HEADER_SIZE:
            (size,) = _LENGTH.unpack_from(data, start)
            if size > limit:
                raise WireError(TOO_LARGE, f"a frame of {size} bytes where {limit} are allowed")
            first = start + HEADER_SIZE
            end = first + size
            if end > have:
                break
            # The byte after the array's head is the verb. A frame too short to have one reads on into what
            # follows it and is refused for that, as the emitter of the readers explains.
            out.append(readers[data[first + 1]](data, first, end))
            start = end
    except (IndexError, StructError, UnicodeDecodeError):
        raise bad("a frame ends too early, or a text is not UTF-8") from None
    return start


def check_client(frame: Sequence[Any]) -> None:
    """Refuse a frame that a client may not send. For tests and tools: decoding checks by itself.

    Raises:
        WireError: malformed.
    """
    _check(CLIENT_CHECKS.get, frame)


def check_server(frame: Sequence[Any]) -> None:
    """As `check_client`, for the frames that a server sends."""
    _check(SERVER_CHECKS.get, frame)


def _check(find: Callable[[int], Check | None], frame: Sequence[Any]) -> None:
    check = None
    if type(frame) in (list, tuple) and frame and type(frame[0]) is int:
        check = find(frame[0])
    if check is None:
        raise bad("not an array that starts with a verb of this side")
    check(frame)


def encode(frame: Sequence[Any]) -> bytes:
    """The frame with its length before it. It is the caller's own and isn't checked."""
    payload = cbor2.dumps(frame)
    return _LENGTH.pack(len(payload)) + payload


class Decoder:
    """Feed bytes as they come, get checked frames; what is incomplete is kept, at most one frame of it.

    `Decoder(decode_server, FRAME_MAX_BEFORE_LOGIN)`; `.limit` may be raised after login. Good frames before a
    bad one are returned; the error is raised by the next `feed`, and by every one after it.
    """

    __slots__ = ("_decode", "_error", "_missing", "_remainder", "limit")

    def __init__(self, decode: Decode, limit: int) -> None:
        self._decode = decode
        self._remainder = bytearray()
        self._missing = HEADER_SIZE
        self._error: WireError | None = None
        self.limit = limit

    @property
    def kept(self) -> int:
        """Bytes of an incomplete frame; never more than its length and `limit`."""
        return len(self._remainder)

    def feed(self, data: bytes) -> list[Frame]:
        """Every frame that `data` completes.

        Raises:
            WireError: malformed or too_large; close the connection.
        """
        frames: list[Frame] = []
        if self._error is None:
            self._remainder += data
            if len(self._remainder) >= self._missing:
                self._take(frames)
        if self._error is not None and not frames:
            raise self._error
        return frames

    def _take(self, frames: list[Frame]) -> None:
        data = bytes(self._remainder)
        self._remainder.clear()
        try:
            consumed = self._decode(data, self.limit, frames)
        except WireError as error:
            self._error = error
            return
        self._remainder += data[consumed:]
        # Until the frame is whole, feeding it a byte at a time must not copy it each time.
        self._missing = HEADER_SIZE
        if len(self._remainder) >= HEADER_SIZE:
            self._missing += _LENGTH.unpack_from(self._remainder)[0]
