"""Bytes to checked frames, and frames to bytes. No I/O, no state but the remainder that `Decoder` keeps.

A frame is a tuple (verb, …), the same after decoding as before encoding; arrays inside it are tuples too.
This module must never know what a frame does.
"""

from collections.abc import Callable, Sequence
from io import BytesIO
from struct import Struct
from typing import Any, Final

import cbor2

from node.wire.errors import MALFORMED, TOO_LARGE, WireError
from node.wire.limits import DEPTH_MAX, HEADER_SIZE

Frame = tuple[Any, ...]
"""(verb, …) as the schema says."""

Decode = Callable[[bytes, int, list[Frame]], int]

_LENGTH: Final = Struct(">I")


def _refuse_tag(_decoder: object, _tag: object) -> object:
    raise WireError(MALFORMED, "a CBOR tag")


def _decode(data: bytes, limit: int, out: list[Frame]) -> int:
    start, have = 0, len(data)
    while have - start >= HEADER_SIZE:
        (size,) = _LENGTH.unpack_from(data, start)
        if size > limit:
            raise WireError(TOO_LARGE, f"a frame of {size} bytes where {limit} are allowed")
        end = start + HEADER_SIZE + size
        if end > have:
            break
        stream = BytesIO(data[start + HEADER_SIZE : end])
        try:
            frame = cbor2.CBORDecoder(
                stream, tag_hook=_refuse_tag, max_depth=DEPTH_MAX, allow_indefinite=False, read_size=1
            ).decode(immutable=True)
        except (cbor2.CBORDecodeError, ValueError) as error:
            raise WireError(MALFORMED, "not CBOR as this protocol allows it") from error
        if stream.tell() != size or type(frame) is not tuple or not frame or type(frame[0]) is not int:
            raise WireError(MALFORMED, "not one array that starts with a verb")
        out.append(frame)
        start = end
    return start


def decode_client(data: bytes, limit: int, out: list[Frame]) -> int:
    """Append the checked client frames at the start of `data` to `out`; return how many bytes they were.

    Raises:
        WireError: malformed or too_large; the frames before the bad one are in `out`.
    """
    return _decode(data, limit, out)


def decode_server(data: bytes, limit: int, out: list[Frame]) -> int:
    """As `decode_client`, for the frames that a server sends."""
    return _decode(data, limit, out)


def encode(frame: Sequence[Any]) -> bytes:
    """The frame with its length before it. The frame is the caller's own and isn't checked."""
    payload = cbor2.dumps(frame)
    return _LENGTH.pack(len(payload)) + payload


class Decoder:
    """Feed bytes as they come, get checked frames; what is incomplete is kept, at most one frame of it.

    `Decoder(decode_server, FRAME_MAX_BEFORE_LOGIN)`; `.limit` may be raised after login. Good frames before a
    bad one are returned; the error is raised by the next `feed`, and by every one after it.
    """

    __slots__ = ("_decode", "_error", "_remainder", "limit")

    def __init__(self, decode: Decode, limit: int) -> None:
        self._decode = decode
        self._remainder = b""
        self._error: WireError | None = None
        self.limit = limit

    def feed(self, data: bytes) -> list[Frame]:
        """Every frame that `data` completes.

        Raises:
            WireError: malformed or too_large; close the connection.
        """
        frames: list[Frame] = []
        if self._error is None:
            data = self._remainder + data
            try:
                consumed = self._decode(data, self.limit, frames)
            except WireError as error:
                self._error = error
                self._remainder = b""
            else:
                self._remainder = data[consumed:]
        if self._error is not None and not frames:
            raise self._error
        return frames
