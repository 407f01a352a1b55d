"""What a peer said, checked: each message is a list whose members are of a kind and in a range.

A member proves its key, so this guards against mistakes, another version, or a node that has gone wrong, before
anything of it reaches a core. A later release may append elements to any message, and to each session of an ONLINE:
they are taken off here, so that members of two releases understand each other while one is being brought in. What an
older one doesn't know must not change what the rest means. It may also say what has another code: `is_known` tells,
for then the message is passed over.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from node.routing import codes
from node.routing.logins import COUNTER_MAX
from node.wire.errors import REGISTRY
from node.wire.limits import (
    BODY_MAX,
    KEY_SIZE,
    NONCE_SIZE,
    NUMBER_MAX,
    PIN_SIZE_MAX,
    PIN_SIZE_MIN,
    RETRY_MS_MAX,
    SIGNATURE_SIZE,
    STREAM_SIZE,
    TEXT_MAX,
    USER_MAX,
)

Kind = Callable[[Any], bool]
Shape = tuple[Kind, ...]

ADDRESS_MAX: Final = 64
"""Characters of what limits count a phone by."""


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value <= NUMBER_MAX


def _ordinal(value: Any) -> bool:
    return type(value) is int and 1 <= value <= NUMBER_MAX


def _counter(value: Any) -> bool:
    return type(value) is int and 0 <= value <= COUNTER_MAX


def _user(value: Any) -> bool:
    return type(value) is int and 1 <= value <= USER_MAX


def _stream(value: Any) -> bool:
    return type(value) is bytes and len(value) == STREAM_SIZE


def _stream_or_none(value: Any) -> bool:
    return value is None or _stream(value)


def _body(value: Any) -> bool:
    return type(value) is bytes and len(value) <= BODY_MAX


def _body_or_none(value: Any) -> bool:
    return value is None or _body(value)


def _small(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 255


def _kind(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 3


def _how(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2


def _retry(value: Any) -> bool:
    return type(value) is int and 0 <= value <= RETRY_MS_MAX


def _error(value: Any) -> bool:
    return type(value) is int and value in REGISTRY


def _truth(value: Any) -> bool:
    return type(value) is bool


def _text(value: Any) -> bool:
    return type(value) is str and len(value) <= TEXT_MAX


def _address(value: Any) -> bool:
    return type(value) is str and len(value) <= ADDRESS_MAX


def _pin(value: Any) -> bool:
    return type(value) is str and PIN_SIZE_MIN <= len(value) <= PIN_SIZE_MAX


def _key(value: Any) -> bool:
    return type(value) is bytes and len(value) == KEY_SIZE


def _nonce(value: Any) -> bool:
    return type(value) is bytes and len(value) == NONCE_SIZE


def _signature(value: Any) -> bool:
    return type(value) is bytes and len(value) == SIGNATURE_SIZE


def _certificate(value: Any) -> bool:
    return type(value) is bytes and len(value) in (0, 32)


def _sessions(value: Any) -> bool:
    return (
        type(value) is list
        and len(value) <= codes.ANNOUNCED_MAX
        and all(type(one) is list and _take(_SESSION, one, 0) for one in value)
    )


def _spans(value: Any) -> bool:
    """Intervals as they are stored: [first, last, first, last, …], sorted and apart."""
    if type(value) is not list or len(value) % 2 or len(value) > SPANS_MAX:
        return False
    last = -1
    for i in range(0, len(value), 2):
        first, end = value[i], value[i + 1]
        if not (_ordinal(first) and _ordinal(end)) or first <= last + 1 or end < first:
            return False
        last = end
    return True


def _partitions(value: Any) -> bool:
    return type(value) is list and len(value) <= codes.READY_MAX and all(map(_natural, value))


SPANS_MAX: Final = 2 * 4_096
"""Numbers that name intervals, in one message."""

_SESSION: Final[Shape] = (_user, _natural, _counter, _stream, _ordinal, _ordinal)

MESSAGES: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        codes.HELLO: (),
        codes.OPEN: (_natural,),
        codes.SEND: (
            _ordinal, _natural, _counter, _user, _user, _stream, _ordinal, _ordinal, _body_or_none,
        ),
        codes.ACK: (_user, _user, _stream, _ordinal, _ordinal),
        codes.READ: (_user, _user, _stream, _ordinal),
        codes.CONFIRM: (_user, _user, _stream, _kind, _ordinal, _ordinal),
        codes.UNSERVED: (_natural,),
        codes.SERVED: (_natural,),
        codes.ACCEPTED: (_ordinal, _user, _ordinal, _ordinal, _how),
        codes.GAP: (_ordinal, _user, _natural),
        codes.BUSY: (_ordinal, _user, _ordinal, _retry),
        codes.REFUSED: (_ordinal, _user, _ordinal, _error, _retry),
        codes.WELCOME: (_ordinal, _ordinal, _natural),
        codes.DELIVER: (_ordinal, _ordinal, _user, _stream, _ordinal, _small, _natural, _body),
        codes.RECEIPT: (_ordinal, _ordinal, _user, _stream, _kind, _ordinal, _ordinal),
        codes.CONFIRMED: (_ordinal, _ordinal, _user, _stream, _kind, _ordinal, _ordinal),
        codes.END: (_ordinal, _ordinal, _error),
        codes.AGAIN: (_ordinal, _ordinal),
    }
)  # fmt: skip
SESSIONS: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        codes.HELLO: (),
        codes.ONLINE: (_natural, _sessions),
        codes.OFFLINE: (_ordinal,),
    }
)
ASKS: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        codes.PIN: (_address,),
        codes.REGISTER: (_pin, _key, _stream, _address),
        codes.LOGIN: (_nonce, _certificate, _signature, _address),
    }
)
ANSWERS: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        codes.PIN_SENT: (_user, _retry, _retry),
        codes.REGISTERED: (_user, _ordinal, _truth, _stream_or_none),
        codes.LOGGED_IN: (_user, _stream, _natural, _natural, _counter),
        codes.REFUSAL: (_error, _text, _retry),
        codes.NOT_HERE: (),
    }
)
RECEIPTS: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        codes.HELLO: (),
        codes.TELL: (_user, _user, _stream, _spans, _spans, _natural),
        codes.TOLD: (_user, _user, _stream, _spans, _spans, _natural),
        codes.READY: (_partitions,),
        codes.RETELL: (_user, _user, _stream, _ordinal),
        codes.RETOLD: (_user, _user, _stream, _ordinal),
    }
)


def _take(shape: Shape, message: list[Any], start: int) -> bool:
    if len(message) < len(shape) + start:
        return False
    for kind in shape:
        if not kind(message[start]):
            return False
        start += 1
    if len(message) > start:
        del message[start:]
    return True


def take(shapes: Mapping[int, Shape], message: list[Any], start: int = 1) -> bool:
    """Whether a message is as its code says, which stands before ``start``. What is appended is taken off."""
    code = message[start - 1]
    shape = shapes.get(code) if type(code) is int else None
    return shape is not None and _take(shape, message, start)


def is_known(shapes: Mapping[int, Shape], code: Any) -> bool:
    """Whether this release knows a code; what is none at all makes no sense, and isn't a newer release's."""
    return type(code) is not int or code < 0 or code in shapes


def take_ask(message: list[Any]) -> bool:
    """(ASK, number, what, user, …)"""
    if len(message) < 4 or not (_ordinal(message[1]) and _user(message[3]) and type(message[2]) is int):
        return False
    shape = ASKS.get(message[2])
    return shape is not None and _take(shape, message, 4)


def take_answer(message: list[Any]) -> bool:
    """(ANSWER, number, outcome, …)"""
    return len(message) >= 3 and _ordinal(message[1]) and take(ANSWERS, message, 3)
