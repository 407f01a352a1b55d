"""The history format, version 1: JSON lines, one event each. `docs/history-format.md` is its specification.

It is for whoever writes or reads a history, in any language. It must never know a message's body: a history
carries `body_hash` and nothing else of it, and it knows nothing of how a node or a client works.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

VERSION: Final = 1

# kinds of a receipt, and what `accepted` can mean; the figures are those of the wire, written down again here
KIND_DELIVERED: Final = 1
KIND_READ: Final = 2
KIND_EXPIRED: Final = 3
HOW_DELIVERED: Final = 0
HOW_ONE_COPY: Final = 1
HOW_TWO_COPIES: Final = 2

# a message, in every event about one: recipient `to`, sender `from`, the sender's `stream`, number `n`
_MESSAGE: Final = ("from", "to", "stream", "n")

# event → the fields that it must have; any other field of `Event` may be left out
EVENTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # of the file
        "history": ("version",),
        # of a client: life
        "client-start": ("user",),
        "client-stop": ("user",),
        "client-crash": ("user",),
        "device-lost": ("user",),
        "drained": ("user",),
        # of a client: as a sender
        "send-intent": ("from", "to", "hash"),
        "sent": (*_MESSAGE, "hash"),
        "accepted": (*_MESSAGE, "how"),
        "refused": _MESSAGE,
        "busy": _MESSAGE,
        "skipped": _MESSAGE,
        "receipt": (*_MESSAGE, "kind"),
        # of a client: as a recipient
        "deliver": (*_MESSAGE, "hash"),
        "handover": (*_MESSAGE, "hash"),
        "ack": _MESSAGE,
        "read": _MESSAGE,
        # of a node, or of the world
        "node-start": (),
        "node-stop": (),
        "node-kill": (),
        "node-pause": (),
        "node-resume": (),
        "power-loss": (),
        "disk-full": (),
        "disk-free": (),
        "network-cut": (),
        "network-heal": (),
        "note": (),
    }
)

# events that may name a range of numbers, n..last
RANGED: Final = frozenset({"accepted", "receipt", "ack"})

LINE_BYTES_MAX: Final = 4096
RANGE_MAX: Final = 1 << 32
_RENAME: Final = MappingProxyType(
    {
        "process": "p",
        "order": "s",
        "at_ns": "t",
        "event": "e",
        "sender": "from",
        "recipient": "to",
    }
)


class Event(msgspec.Struct, gc=False, omit_defaults=True, forbid_unknown_fields=True, rename=_RENAME):
    """One line. `order` counts the lines of one process from 1; `at_ns` is the machine's monotonic clock."""

    process: str
    order: int
    at_ns: int
    event: str
    sender: int = 0
    recipient: int = 0
    stream: str = ""
    n: int = 0
    last: int = 0
    hash: str = ""
    how: int = -1
    kind: int = 0
    late: bool = False
    user: int = 0
    version: int = 0
    code: int = 0
    note: str = ""

    @property
    def end(self) -> int:
        """The last number that the event is about."""
        return self.last or self.n


class FormatError(Exception):
    """A line that isn't an event of this version. Remedy: write it as `docs/history-format.md` says."""


_ATTRIBUTE: Final = MappingProxyType(
    {
        "from": "sender",
        "to": "recipient",
        **{name: name for name in ("stream", "n", "hash", "kind", "user", "version")},
    }
)
_decoder: Final = msgspec.json.Decoder(Event)
_encoder: Final = msgspec.json.Encoder()


def body_hash(body: bytes) -> str:
    """64 bits of BLAKE2b as 16 hex digits: enough to tell test bodies apart, nothing to read."""
    return hashlib.blake2b(body, digest_size=8).hexdigest()


def encode_event(event: Event) -> bytes:
    """One line, with its newline.

    Raises:
        FormatError: a required field is missing or a value is out of its range.
    """
    check_event(event)
    return _encoder.encode(event) + b"\n"


def decode_event(line: bytes) -> Event:
    """The event of one line (without or with its newline).

    Raises:
        FormatError: not JSON, an unknown event or field, a missing field, a value out of range.
    """
    if len(line) > LINE_BYTES_MAX:
        raise FormatError(f"a line of {len(line)} bytes; the limit is {LINE_BYTES_MAX}")
    try:
        event = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(str(error)) from None
    check_event(event)
    return event


def check_event(event: Event) -> None:
    """Raise FormatError unless the event has what its name requires."""
    required = EVENTS.get(event.event)
    if required is None:
        raise FormatError(f"unknown event {event.event!r}")
    if event.order < 1 or event.at_ns < 0 or not event.process:
        raise FormatError("process, order and time are required (p, s from 1, t from 0)")
    for name in required:
        if name == "how":
            if not 0 <= event.how <= HOW_TWO_COPIES:
                raise FormatError(f"{event.event}: how is 0, 1 or 2")
        elif not getattr(event, _ATTRIBUTE[name]):
            raise FormatError(f"{event.event}: field {name!r} is missing")
    if event.n < 0 or (event.last and not event.n <= event.last < event.n + RANGE_MAX):
        raise FormatError(f"{event.event}: bad range {event.n}..{event.last}")
    if event.last and event.event not in RANGED:
        raise FormatError(f"{event.event}: speaks of one message, not of a range")
    if event.hash and len(event.hash) != 16:
        raise FormatError(f"{event.event}: a hash has 16 hex digits")
    if event.event == "history" and event.version != VERSION:
        raise FormatError(f"history format {event.version}; this checker reads {VERSION}")
