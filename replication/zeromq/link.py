"""The state of a link, both halves: what this node sends to one peer of one group, and what it hears from it.

State and counts only; `outgoing` and `incoming` say what becomes of them.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import trio

from replication.unknown import Unknown
from replication.zeromq.adapter import Socket
from replication.zeromq.address import Address
from replication.zeromq.members import Member
from replication.zeromq.outbox import Outbox

Group = str | None
"""The name of a group; None is the control link."""


NOT_ADMITTED: Final = "not admitted"
"""Why a connection ended: the peer doesn't know this node's key."""
EXPELLED: Final = "removed there"
"""… or knows that it was removed."""
STRANGE: Final = "handshake failed"
"""… or whoever listens there hasn't the key by which this node knows the peer."""


class Bell:
    """Brings back who waits for it. Rung while nobody waits, it is not heard: look first, then wait."""

    __slots__ = ("_lot",)

    def __init__(self) -> None:
        self._lot = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        self._lot.unpark_all()

    async def wait(self) -> None:
        await self._lot.park()


class Link:
    """To one peer, for one group or for control. `control` is the control link to the same peer, None for itself.

    up: the peer has welcomed this connection. aim: where to connect, if that is known. offer_due: what is open
    here is to be told. ended: why the last connection ended, or the last attempt failed. apart: that was since the
    peer's release has no version in common with this one's.
    """

    __slots__ = (
        "aim",
        "apart",
        "attempts",
        "bell",
        "closed",
        "control",
        "dirty",
        "dropped",
        "ended",
        "failing",
        "group",
        "heard_at",
        "lost",
        "offer_due",
        "outbox",
        "peer",
        "round_trip_ms",
        "scope",
        "sent_batches",
        "sent_bytes",
        "sent_messages",
        "socket",
        "up",
        "ups",
    )

    def __init__(self, peer: Member, group: Group, control: Link | None, queue: tuple[int, int]) -> None:
        self.peer = peer
        self.group = group
        self.control = control
        self.outbox = Outbox(*queue)
        self.aim: Address | None = None
        self.bell = Bell()
        self.socket: Socket | None = None
        self.scope: trio.CancelScope | None = None
        self.up = False
        self.closed = False
        self.dirty = False
        self.offer_due = False
        self.failing = ""
        self.ended = ""
        self.apart = False
        self.heard_at = 0.0
        self.round_trip_ms = 0.0
        self.attempts = 0
        self.ups = 0
        self.sent_messages = 0
        self.sent_batches = 0
        self.sent_bytes = 0
        self.dropped = 0
        self.lost = 0

    def end(self, reason: str, *, apart: bool = False) -> None:
        """No more is sent over this connection; its task closes it, and tries again unless the link is closed."""
        self.ended = reason
        self.apart = apart
        if self.up:
            self.up = False
            self.lost += self.outbox.clear()
        if self.scope is not None:
            self.scope.cancel()


class Greeted:
    """The one connection of a peer that is listened to: the last one that it greeted on."""

    __slots__ = ("attempt", "instance", "route")

    def __init__(self, route: bytes, instance: bytes, attempt: int) -> None:
        self.route = route
        self.instance = instance
        self.attempt = attempt


class Heard:
    """What came from one peer for one group. ungreeted: batches of connections that aren't listened to."""

    __slots__ = ("at", "batches", "bytes", "malformed", "messages", "ungreeted")

    def __init__(self) -> None:
        self.at: float | None = None
        self.messages = 0
        self.batches = 0
        self.bytes = 0
        self.malformed = 0
        self.ungreeted = 0


class Entrance:
    """Where all peers connect for one group, or for control. place: the port, or the suffix of the path, which then is
    `path`. queue: messages and bytes that may wait for each peer; None: as the settings say."""

    __slots__ = (
        "closed",
        "greeted",
        "group",
        "heard",
        "held",
        "monitor",
        "path",
        "place",
        "queue",
        "scope",
        "socket",
    )

    def __init__(self, group: Group, socket: Socket, monitor: Socket, place: int | str, path: str) -> None:
        self.group = group
        self.socket = socket
        self.monitor = monitor
        self.place = place
        self.path = path
        self.queue: tuple[int, int] | None = None
        self.greeted: dict[bytes, Greeted] = {}
        self.heard: dict[bytes, Heard] = {}
        self.held = False
        self.closed = False
        self.scope = trio.CancelScope()


class Traffic:
    """What all links of a node share: who has something to send, and what can't be counted for a link. unknown: words
    of links that this release doesn't know."""

    __slots__ = ("bell", "dirty", "failed_handshakes", "in_pass", "strangers", "unknown")

    def __init__(self) -> None:
        self.dirty: deque[Link] = deque()
        self.bell = Bell()
        self.in_pass = False
        self.strangers = 0
        self.failed_handshakes = 0
        self.unknown = Unknown()
