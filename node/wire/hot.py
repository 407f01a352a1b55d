"""Encoders of the frames that a node sends for every message: half the cost of `codec.encode`, the same bytes.

All of them start with a verb, a user of ten digits or more (eight bytes on the wire) and a stream, which one
`struct` call writes together with the length; a shorter user takes the general way. The arguments are not checked.
This module must never know when a frame is sent.
"""

from struct import Struct
from typing import Final

from node.wire.codec import encode
from node.wire.verbs import ACCEPTED, CONFIRM, DELIVER, RECEIPT

_USER_WIDE: Final = 1 << 32
"""From here on a user takes eight bytes, as nearly every phone number does."""

_START: Final = Struct(">IHBQB8s").pack
_START_SIZE: Final = 2 + 1 + 8 + 1 + 8
"""What `_START` writes after the length: array and verb, user with its head, stream with its head."""

_USER_HEAD: Final = 0x1B
_STREAM_HEAD: Final = 0x48
_DELIVER: Final = 0x8700 | DELIVER
_ACCEPTED: Final = 0x8600 | ACCEPTED
_RECEIPT: Final = 0x8600 | RECEIPT
_CONFIRM: Final = 0x8600 | CONFIRM

_U16: Final = Struct(">BH").pack
_U32: Final = Struct(">BI").pack
_U64: Final = Struct(">BQ").pack
_SMALL: Final = tuple(bytes((n,)) if n < 24 else bytes((24, n)) for n in range(256))
_BODY_SMALL: Final = tuple(bytes((0x40 + n,)) if n < 24 else bytes((0x58, n)) for n in range(256))


def encode_deliver(sender: int, stream: bytes, n: int, flags: int, arrived: int, body: bytes) -> bytes:
    if sender < _USER_WIDE:
        return encode((DELIVER, sender, stream, n, flags, arrived, body))
    size = len(body)
    rest = (
        (_SMALL[n] if n < 256 else _whole(n))
        + _SMALL[flags]
        + _whole(arrived)
        + (_BODY_SMALL[size] if size < 256 else _U16(0x59, size))
        + body
    )
    return _START(_START_SIZE + len(rest), _DELIVER, _USER_HEAD, sender, _STREAM_HEAD, stream) + rest


def encode_accepted(recipient: int, stream: bytes, first: int, last: int, how: int) -> bytes:
    if recipient < _USER_WIDE:
        return encode((ACCEPTED, recipient, stream, first, last, how))
    rest = (
        (_SMALL[first] if first < 256 else _whole(first))
        + (_SMALL[last] if last < 256 else _whole(last))
        + _SMALL[how]
    )
    return _START(_START_SIZE + len(rest), _ACCEPTED, _USER_HEAD, recipient, _STREAM_HEAD, stream) + rest


def encode_receipt(recipient: int, stream: bytes, kind: int, first: int, last: int) -> bytes:
    return _of_kind(RECEIPT, _RECEIPT, recipient, stream, kind, first, last)


def encode_confirm(peer: int, stream: bytes, kind: int, first: int, last: int) -> bytes:
    return _of_kind(CONFIRM, _CONFIRM, peer, stream, kind, first, last)


def _of_kind(verb: int, start: int, user: int, stream: bytes, kind: int, first: int, last: int) -> bytes:
    if user < _USER_WIDE:
        return encode((verb, user, stream, kind, first, last))
    rest = (
        _SMALL[kind]
        + (_SMALL[first] if first < 256 else _whole(first))
        + (_SMALL[last] if last < 256 else _whole(last))
    )
    return _START(_START_SIZE + len(rest), start, _USER_HEAD, user, _STREAM_HEAD, stream) + rest


def _whole(n: int) -> bytes:
    if n < 256:
        return _SMALL[n]
    if n < 1 << 16:
        return _U16(0x19, n)
    if n < 1 << 32:
        return _U32(0x1A, n)
    return _U64(0x1B, n)
