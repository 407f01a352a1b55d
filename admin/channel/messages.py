"""What goes over the channel: JSON (RFC 8259), one object to a message. Knows no commands.

    asked     {"version": 1, "id": 7, "words": ["user", "block", "+15551230001"]}
    stopped   {"version": 1, "id": 7, "cancel": true}
    answered  {"id": 7, "kind": "item", "data": …}   any number of them, then one of
              {"id": 7, "kind": "done", "data": …}
              {"id": 7, "kind": "error", "text": "…"}   with "other_node": true if it was for another node

An answer with id 0 is about a request whose id couldn't be read.
"""

from typing import Any, Final, Literal

import attrs
import msgspec

from admin.channel.settings import ANSWER_BYTES_MAX, ITEM_BYTES_MAX, REQUEST_BYTES_MAX, WORDS_MAX

VERSION: Final = 1
ID_MAX: Final = (1 << 53) - 1
"""What every reader of JSON can hold."""
NO_ID: Final = 0


class Malformed(Exception):
    """A request that isn't one; the text says why."""


@attrs.frozen
class Request:
    """words: of a line. cancel: end the command that was asked for with this id, instead."""

    version: int
    id: int
    words: tuple[str, ...] = ()
    cancel: bool = False


@attrs.frozen
class Answer:
    """kind: as above."""

    id: int
    kind: Literal["item", "done", "error"]
    data: Any = None
    text: str = ""
    other_node: bool = False


_REQUESTS: Final = msgspec.json.Decoder(Request)
_ANSWERS: Final = msgspec.json.Decoder(Answer)


def read_request(data: bytes) -> Request:
    """Raises Malformed."""
    if len(data) > REQUEST_BYTES_MAX:
        raise Malformed(f"the request has {len(data)} bytes; {REQUEST_BYTES_MAX} are allowed")
    try:
        request = _REQUESTS.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise Malformed("the request isn't what this node reads") from None
    if request.version != VERSION:
        raise Malformed(f"this node speaks version {VERSION} of the channel: use a client of its version")
    if not 0 < request.id <= ID_MAX or len(request.words) > WORDS_MAX:
        raise Malformed(f"a request has an id from 1 and at most {WORDS_MAX} words")
    return request


def write_request(request: Request) -> bytes:
    """Raises Malformed: it is too large."""
    data = msgspec.json.encode(request)
    if len(data) > REQUEST_BYTES_MAX or len(request.words) > WORDS_MAX:
        raise Malformed(f"a command has at most {WORDS_MAX} words and {REQUEST_BYTES_MAX} bytes")
    return data


def read_answer(data: bytes) -> Answer:
    """Raises Malformed."""
    try:
        return _ANSWERS.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise Malformed("the node's answer can't be read: use a client of its version") from None


def item(number: int, data: Any) -> bytes | None:
    """A line before the result; None if it is too large to be one.

    Raises:
        TypeError: it isn't plain data.
    """
    encoded = msgspec.json.encode({"id": number, "kind": "item", "data": data})
    return encoded if len(encoded) <= ITEM_BYTES_MAX else None


def done(number: int, data: Any) -> bytes:
    """The result. Raises TypeError: it isn't plain data."""
    encoded = msgspec.json.encode({"id": number, "kind": "done", "data": data})
    if len(encoded) > ANSWER_BYTES_MAX:
        return refusal(number, f"the result has {len(encoded):,} bytes; ask for less of it")
    return encoded


def refusal(number: int, text: str, *, other_node: bool = False) -> bytes:
    """Why there is no result."""
    answer: dict[str, Any] = {"id": number, "kind": "error", "text": text}
    return msgspec.json.encode({**answer, "other_node": True} if other_node else answer)
