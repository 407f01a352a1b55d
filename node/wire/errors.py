"""The registry of wire error codes, and the one exception that the decoder raises.

An `error` frame is [24, code, text, retry, about]. A client acts on the number; the text is for people.
A code is defined here once, with what it means and what the peer can do about it. Numbers are never reused.
This module must never know which part of a node raises what.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

MALFORMED: Final = 1
UNEXPECTED: Final = 2
TOO_LARGE: Final = 3
UNSUPPORTED_VERSION: Final = 4
LOGIN_FIRST: Final = 5
TIMEOUT: Final = 6

UNAUTHORISED: Final = 10
BAD_NUMBER: Final = 11
PIN_REFUSED: Final = 12
PIN_LIMIT: Final = 13
REGISTRATION_CLOSED: Final = 14
SUPERSEDED: Final = 15
BLOCKED: Final = 16

RATE_LIMITED: Final = 20
MAILBOX_FULL: Final = 21
UNKNOWN_RECIPIENT: Final = 22
STREAM_WRONG: Final = 23
STREAM_REUSED: Final = 24

TOO_MANY_CONNECTIONS: Final = 30
SHUTTING_DOWN: Final = 31
OVERLOADED: Final = 32
INTERNAL: Final = 33


@attrs.frozen
class ErrorCode:
    """One entry of the registry.

    closes: the sender of the error closes the connection after it.
    retry:  the frame's `retry` says how many milliseconds to wait; for the others it is 0.
    """

    number: int
    name: str
    text: str
    remedy: str
    closes: bool = False
    retry: bool = False


CODES: Final[tuple[ErrorCode, ...]] = (
    ErrorCode(
        MALFORMED,
        "malformed",
        "a frame is not as the schema says",
        "mend the client: it or something on the way damages frames",
        closes=True,
    ),
    ErrorCode(
        UNEXPECTED,
        "unexpected",
        "this verb is not allowed now",
        "mend the client: follow the order of the protocol",
        closes=True,
    ),
    ErrorCode(
        TOO_LARGE,
        "too_large",
        "a frame is longer than is allowed now",
        "keep frames within 4 KiB before login and within the announced frame-max after it",
        closes=True,
    ),
    ErrorCode(
        UNSUPPORTED_VERSION,
        "unsupported_version",
        "the two sides share no protocol version",
        "update the older side",
        closes=True,
    ),
    ErrorCode(
        LOGIN_FIRST,
        "login_first",
        "mail needs a login on this connection",
        "send login, wait for welcome, then send the rest again",
        closes=True,
    ),
    ErrorCode(
        TIMEOUT,
        "timeout",
        "hello or login took too long, or nothing was heard for too long",
        "connect again",
        closes=True,
    ),
    ErrorCode(
        UNAUTHORISED,
        "unauthorised",
        "the signature is wrong or the number is not registered; which of them is not told",
        "register this device again",
        closes=True,
    ),
    ErrorCode(
        BAD_NUMBER,
        "bad_number",
        "this is not a phone number that can be registered",
        "ask the user for the number in international form",
    ),
    ErrorCode(
        PIN_REFUSED,
        "pin_refused",
        "the PIN is wrong, used or expired; which of them is not told",
        "ask the user again, or request a new PIN",
    ),
    ErrorCode(
        PIN_LIMIT,
        "pin_limit",
        "too many PIN requests or attempts",
        "wait as long as retry says",
        retry=True,
    ),
    ErrorCode(
        REGISTRATION_CLOSED,
        "registration_closed",
        "this server registers nobody now",
        "try later, or ask the operator",
    ),
    ErrorCode(
        SUPERSEDED,
        "superseded",
        "a newer login, or another device of this number, took over",
        "do not reconnect by itself: tell the user; after a new device, register again",
        closes=True,
    ),
    ErrorCode(
        BLOCKED,
        "blocked",
        "the operator has blocked this number or address",
        "do not retry; ask the operator",
        closes=True,
    ),
    ErrorCode(
        RATE_LIMITED,
        "rate_limited",
        "too many messages or requests from this sender",
        "wait as long as retry says, then send again",
        retry=True,
    ),
    ErrorCode(
        MAILBOX_FULL,
        "mailbox_full",
        "the recipient's mailbox takes no more",
        "send it again after retry, or skip the number",
        retry=True,
    ),
    ErrorCode(
        UNKNOWN_RECIPIENT,
        "unknown_recipient",
        "nobody is registered under the recipient's number",
        "tell the user, and skip the number",
    ),
    ErrorCode(
        STREAM_WRONG,
        "stream_wrong",
        "the stream is not the one that this device registered",
        "use the stream of the last registration; if it is lost, register again",
    ),
    ErrorCode(
        STREAM_REUSED,
        "stream_reused",
        "this number of this stream was used for another message before",
        "the device's counters went back in time: register again, with a fresh stream",
    ),
    ErrorCode(
        TOO_MANY_CONNECTIONS,
        "too_many_connections",
        "the server or this address has as many connections as are allowed",
        "connect again after retry, with jitter",
        closes=True,
        retry=True,
    ),
    ErrorCode(
        SHUTTING_DOWN,
        "shutting_down",
        "the server is stopping",
        "connect again after retry, with jitter",
        closes=True,
        retry=True,
    ),
    ErrorCode(
        OVERLOADED,
        "overloaded",
        "the server is behind with its work and did not take this",
        "do it again after retry, with jitter",
        retry=True,
    ),
    ErrorCode(
        INTERNAL,
        "internal",
        "the server failed at this",
        "connect again with backoff; the operator's log says more",
        closes=True,
    ),
)

REGISTRY: Final[Mapping[int, ErrorCode]] = MappingProxyType({code.number: code for code in CODES})

assert len(REGISTRY) == len({code.name for code in CODES}) == len(CODES)


class WireError(Exception):
    """The peer broke the protocol. `.code` is a number of the registry; `.text` fits in an error frame.

    The text names the frame, the member and what was wanted, never what was received: a body, a PIN or a
    signature must not reach a log by this way.
    """

    def __init__(self, code: int, text: str) -> None:
        assert code in REGISTRY, code
        super().__init__(code, text)
        self.code = code
        self.text = text

    def __str__(self) -> str:
        entry = REGISTRY[self.code]
        return f"{entry.name}: {self.text} ({entry.remedy})"
