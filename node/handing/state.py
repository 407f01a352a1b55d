"""What one process hands to the next: values without a descriptor of either, and their form between the two.

The processes may be of different versions. So everything has a name, a reader passes over what it doesn't know, and
what changes its meaning raises `FORMAT`.
"""

from __future__ import annotations

from typing import Final

import attrs
import msgspec

FORMAT: Final = 1
"""Raised when a reader of before would misunderstand what is written now."""
FORMATS_READ: Final = (1,)


@attrs.frozen(kw_only=True)
class Flight:
    """Messages of one pair that were handed over on a session and not acknowledged.

    messages: (n, counted bytes, arrived). handed: the highest number handed over.
    """

    sender: int
    stream: bytes
    handed: int
    messages: tuple[tuple[int, int, int], ...]


@attrs.frozen(kw_only=True)
class Gap:
    """The session's user was told to go back when it sent `n` to this recipient."""

    recipient: int
    n: int


@attrs.frozen(kw_only=True)
class HandedSend:
    """What a session of a cluster's node has sent, and no primary has answered. body: None for a skip."""

    recipient: int
    n: int
    base: int
    body: bytes | None = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class HandedSession:
    """A plain connection, and what is known of who is on it.

    Attributes:
        address: what limits count by.
        inbox: read, and the beginning of a frame; outbox: written, and not taken by the kernel.
        idle_s, left_s: since its last input; until it is looked at next.
        paid_until: see `Session`.
        flights, gaps: of a node that stands alone.
        login, kept, back: of a cluster's node. (epoch, counter), as the user's primary gave it; sends in the order in
            which they came; where it was told to come back to a number, and hasn't.
    """

    address: str
    phase: int
    user: int
    stream: bytes
    nonce: bytes
    pinged: bool
    paid_until: float
    inbox: bytes = attrs.field(repr=False)
    outbox: bytes = attrs.field(repr=False)
    strict: bool
    patience: int
    idle_s: int
    left_s: int
    flights: tuple[Flight, ...] = ()
    gaps: tuple[Gap, ...] = ()
    login: tuple[int, int] = (0, 0)
    kept: tuple[HandedSend, ...] = ()
    back: tuple[Gap, ...] = ()


@attrs.frozen(kw_only=True)
class HandedListener:
    """A listening socket, by its name in the configuration. unit: it came from a socket unit."""

    name: str
    unit: bool = False


@attrs.frozen(kw_only=True)
class Handed:
    """Everything; the descriptors, in the order of `listeners` and then of `sessions`, go beside it.

    logins: so many were welcomed: the next one's number is higher. member: of a cluster. tickets: of its sessions, the
    last one that was given: what primaries still say to one of them must fit no other.
    """

    logins: int
    listeners: tuple[HandedListener, ...] = ()
    sessions: tuple[HandedSession, ...] = ()
    member: bool = False
    tickets: int = 0


def encode(handed: Handed) -> bytes:
    """As MessagePack, by the names of the fields."""
    return msgspec.msgpack.encode(handed)


def decode(data: bytes) -> Handed:
    """
    Raises:
        msgspec.ValidationError, msgspec.DecodeError: that was never made by `encode`, or by a version too far away.
    """
    return msgspec.msgpack.decode(data, type=Handed)
