"""The four kinds of messages that nearly all that goes between nodes is made of: checked at one go, and encoded at half
the cost. What is said here of a message is what `reading` and CBOR say of it, only sooner.

A number that isn't known to be small takes eight bytes. This module must never know when a message is sent, nor what
becomes of it.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

from node.routing import codes
from node.routing.logins import COUNTER_MAX
from node.wire.limits import BODY_MAX, NUMBER_MAX, STREAM_SIZE, USER_MAX

_SMALL: Final = 1 << 32
"""Below, a number takes four bytes behind its head."""
_U32: Final = 0x1A
_U64: Final = 0x1B
_STREAM: Final = 0x40 + STREAM_SIZE
_NULL: Final = b"\xf6"

_SEND: Final = Struct(">BBBQBIBQBQBQB8sBIBI").pack
_DELIVER: Final = Struct(">BBBQBIBQB8sBIBBBQ").pack
_ACK: Final = Struct(">BBBQBQB8sBIBI").pack
_ACCEPTED: Final = Struct(">BBBQBQBIBIB").pack
_SEND_HEAD: Final = 0x80 + 10
_DELIVER_HEAD: Final = 0x80 + 9
_SIX: Final = 0x80 + 6
_BYTE: Final = 0x18
_LENGTH: Final = Struct(">BH").pack
_LENGTHS: Final = tuple(bytes((0x40 + n,)) if n < 24 else bytes((0x58, n)) for n in range(256))

assert STREAM_SIZE == 8 and BODY_MAX < 1 << 16  # noqa: PT018 - one layout
assert max(codes.SEND, codes.DELIVER, codes.ACK, codes.ACCEPTED) < 24


def is_sound(message: list[Any]) -> bool:
    """Whether it is one of the four and `reading.take` would take it as it is. False: ask there."""
    code = message[0]
    if code == codes.SEND:
        if len(message) != 10:
            return False
        _, ticket, epoch, counter, sender, recipient, stream, n, base, body = message
        return (
            type(ticket) is type(epoch) is type(counter) is type(sender) is int
            and type(recipient) is type(n) is type(base) is int
            and type(stream) is bytes
            and len(stream) == STREAM_SIZE
            and (body is None or (type(body) is bytes and len(body) <= BODY_MAX))
            and 0 < ticket <= NUMBER_MAX
            and 0 <= epoch <= NUMBER_MAX
            and 0 <= counter <= COUNTER_MAX
            and 0 < sender <= USER_MAX
            and 0 < recipient <= USER_MAX
            and 0 < n <= NUMBER_MAX
            and 0 < base <= NUMBER_MAX
        )
    if code == codes.DELIVER:
        if len(message) != 9:
            return False
        _, ticket, announcement, sender, stream, n, flags, arrived, body = message
        return (
            type(ticket) is type(announcement) is type(sender) is int
            and type(n) is type(flags) is type(arrived) is int
            and type(stream) is type(body) is bytes
            and len(stream) == STREAM_SIZE
            and len(body) <= BODY_MAX
            and 0 < ticket <= NUMBER_MAX
            and 0 < announcement <= NUMBER_MAX
            and 0 < sender <= USER_MAX
            and 0 < n <= NUMBER_MAX
            and 0 <= flags <= 255
            and 0 <= arrived <= NUMBER_MAX
        )
    if code == codes.ACK:
        if len(message) != 6:
            return False
        _, user, sender, stream, first, last = message
        return (
            type(user) is type(sender) is type(first) is type(last) is int
            and type(stream) is bytes
            and len(stream) == STREAM_SIZE
            and 0 < user <= USER_MAX
            and 0 < sender <= USER_MAX
            and 0 < first <= NUMBER_MAX
            and 0 < last <= NUMBER_MAX
        )
    if code == codes.ACCEPTED:
        if len(message) != 6:
            return False
        _, ticket, recipient, first, last, how = message
        return (
            type(ticket) is type(recipient) is type(first) is type(last) is type(how) is int
            and 0 < ticket <= NUMBER_MAX
            and 0 < recipient <= USER_MAX
            and 0 < first <= NUMBER_MAX
            and 0 < last <= NUMBER_MAX
            and 0 <= how <= 2
        )
    return False


def encoded(message: Sequence[Any]) -> bytes | None:
    """One of the four, of this node's own, as CBOR; None for any other, and for one whose numbers are large."""
    code = message[0]
    if code == codes.SEND:
        _, ticket, epoch, counter, sender, recipient, stream, n, base, body = message
        if epoch >= _SMALL or n >= _SMALL or base >= _SMALL:
            return None
        head: bytes = _SEND(
            _SEND_HEAD, code, _U64, ticket, _U32, epoch, _U64, counter, _U64, sender, _U64, recipient,
            _STREAM, stream, _U32, n, _U32, base,
        )  # fmt: skip
    elif code == codes.DELIVER:
        _, ticket, announcement, sender, stream, n, flags, arrived, body = message
        if announcement >= _SMALL or n >= _SMALL:
            return None
        head = _DELIVER(
            _DELIVER_HEAD, code, _U64, ticket, _U32, announcement, _U64, sender, _STREAM, stream, _U32, n,
            _BYTE, flags, _U64, arrived,
        )  # fmt: skip
    elif code == codes.ACK:
        _, user, sender, stream, first, last = message
        if first >= _SMALL or last >= _SMALL:
            return None
        return _ACK(_SIX, code, _U64, user, _U64, sender, _STREAM, stream, _U32, first, _U32, last)
    elif code == codes.ACCEPTED:
        _, ticket, recipient, first, last, how = message
        if first >= _SMALL or last >= _SMALL:
            return None
        return _ACCEPTED(_SIX, code, _U64, ticket, _U64, recipient, _U32, first, _U32, last, how)
    else:
        return None
    if body is None:
        return head + _NULL
    size = len(body)
    return head + (_LENGTHS[size] if size < 256 else _LENGTH(0x59, size)) + body  # type: ignore[no-any-return]
