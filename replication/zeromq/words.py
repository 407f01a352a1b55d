"""What goes over a link, as bytes: batches of messages, and the few words that links say for themselves.

Each is one ZeroMQ frame with one CBOR array (RFC 8949) that begins with its kind:

    [MESSAGES, message, …]                                  a message is a list that begins with a code
    [HELLO, version, to, group or null, instance, attempt, message_bytes_max, lowest, highest, release]
    [PING, n]                                               answered at once, so that silence means something
    [OFFER, [[group, port or suffix of the path], …]]       control link only: all groups open here, and where
    [JOIN, …]                                               of who isn't a member yet, without a greeting: tell me all

and the other way, from the one who was connected to:

    [WELCOME, version, instance]   [REFUSED, reason, why]   [PONG, n]   [RESET, reason]   [JOINED, all]

lowest, highest, release: see `versions`. why: 0, or APART. What a newer version adds to these stands behind, and is
passed over, as are kinds that are none of these. Tags, maps, indefinite lengths, deep nesting and bytes after the array
are refused. This module does no I/O.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final, NoReturn

import cbor2

from replication.zeromq.errors import MessageNotSendable
from replication.zeromq.settings import BATCH_MESSAGES_MAX, DEPTH_MAX

VERSION: Final = 1

MESSAGES: Final = 0
HELLO: Final = 1
PING: Final = 2
OFFER: Final = 3
WELCOME: Final = 4
REFUSED: Final = 5
PONG: Final = 6
RESET: Final = 7
JOIN: Final = 8
JOINED: Final = 9
KINDS: Final = 10
"""What is beyond is a newer version's."""

APART: Final = 1
"""The versions of two nodes have nothing in common."""

_ALONE: Final = cbor2.dumps([MESSAGES, 0])[:-1]
"""What a batch of one message begins with."""

_KIND: Final = cbor2.dumps(MESSAGES)

Message = Sequence[Any]


class Malformed(Exception):
    """What a peer sent isn't of this language. Its text names no content."""


def encode_message(message: Message) -> bytes:
    """A batch of this message alone.

    Raises:
        MessageNotSendable
    """
    if not isinstance(message, (list, tuple)) or not message or type(message[0]) is not int:
        raise MessageNotSendable("the message isn't a list that begins with a code")
    try:
        return cbor2.dumps([MESSAGES, message])
    except (cbor2.CBOREncodeError, ValueError, TypeError, OverflowError):
        raise MessageNotSendable("the message holds what CBOR can't say") from None


def alone(message: bytes) -> bytes:
    """The same of a message that is CBOR already: a list that begins with a code."""
    return _ALONE + message


def join(batches: Sequence[bytes]) -> bytes:
    """One batch of the messages of several batches of one message each."""
    count = len(batches) + 1
    assert count <= BATCH_MESSAGES_MAX + 1
    if count < 24:
        head = bytes((0x80 | count,))
    elif count < 256:
        head = bytes((0x98, count))
    else:
        head = bytes((0x99, count >> 8, count & 0xFF))
    start = len(_ALONE)
    return b"".join([head, _KIND, *[batch[start:] for batch in batches]])


def say(kind: int, *words: object) -> bytes:
    """Any but MESSAGES."""
    return cbor2.dumps([kind, *words])


def read(data: bytes) -> list[Any]:
    """What was said: a list that begins with its kind; in a batch, each message is a list that begins with an int.

    Raises:
        Malformed: it is nothing of the above. Words other than MESSAGES are still to be checked by who reads them.
    """
    said = io.BytesIO(data)
    decoder = cbor2.CBORDecoder(
        said,
        tag_hook=_refuse,
        object_hook=_refuse,
        semantic_decoders=_NO_TAGS,
        max_depth=DEPTH_MAX,
        allow_indefinite=False,
        read_size=len(data) or 1,
    )
    try:
        words = decoder.decode()
    except cbor2.CBORDecodeError as error:
        raise Malformed(f"no CBOR that is allowed here ({type(error).__name__})") from None
    if said.tell() != len(data):  # what was read ahead is given back
        raise Malformed("bytes after the array")
    if type(words) is not list or not words or type(words[0]) is not int:
        raise Malformed("no array that begins with a kind")
    if words[0] == MESSAGES:
        if len(words) > BATCH_MESSAGES_MAX + 1:
            raise Malformed(f"more than {BATCH_MESSAGES_MAX} messages in a batch")
        for place in range(1, len(words)):
            message = words[place]
            if type(message) is not list or not message or type(message[0]) is not int:
                raise Malformed("a message that doesn't begin with a code")
    return words


def _refuse(*_: object) -> NoReturn:
    raise ValueError("neither tags nor maps")


_NO_TAGS: Final = MappingProxyType(
    dict.fromkeys(
        (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799),
        _refuse,
    )
)
"""cbor2 decodes these without asking `tag_hook`."""

assert _ALONE == b"\x82\x00"
