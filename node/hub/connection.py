"""One connection as the hub and the layer above it see it: a descriptor, lazy buffers, and a few numbers.

An idle connection is only this object; nothing in it is allocated before it is needed. The layer above
extends `Connection` with slots of its own. This module must never know what the bytes mean.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from node.hub.wheel import SECONDS_MAX

if TYPE_CHECKING:
    import ssl

    from node.hub.hub import Hub
    from node.hub.listener import Listener

# Bits of `Connection.flags`. A connection with no bit above STRICT takes the hub's short way.
STRICT = 1  # its deadline counts from `expect`, whatever it sends meanwhile
HANDSHAKE = 2  # TLS isn't established; the handler hasn't heard of it but for `make`
BLOCKED = 4  # the kernel took less than was to be written: outbox is a Backlog
PAUSED = 8  # not read from, because it doesn't read
CLOSING = 16  # the handler is done with it: nothing is read for it or queued any more
DRAINING = 32  # our end is shut; what still arrives is thrown away until the peer's end is shut too
HASTY = 64  # close at the end of this pass, whatever is still queued
OTHER = 128  # not a connection: a listener or a watched descriptor
READ_WANTS_WRITE = 256  # TLS: reading goes on when the socket may be written
WRITE_WANTS_READ = 512  # TLS: writing goes on after the next read
HELD = 1_024  # neither read from nor looked at: it is about to be handed to another process, or was just taken over

Reason = int | str


class Entry:
    """Whatever may stand in the hub's poll set: a connection, a listener, a watched descriptor."""

    __slots__ = ("fd", "flags")

    fd: int
    flags: int


class Backlog:
    """What a blocked socket has yet to take.

    TLS demands that a write which would block is repeated with the same bytes (OpenSSL's SSL_write(3);
    other bytes would be spliced into the record already begun), so the piece under way is kept apart.
    """

    __slots__ = ("chunks", "piece", "size", "tick")

    def __init__(self, data: bytes, tick: int) -> None:
        self.piece: bytes = b""
        self.chunks: deque[bytes] = deque((data,))
        self.size = len(data)
        self.tick = tick  # of the last progress

    def append(self, data: bytes) -> None:
        self.chunks.append(data)
        self.size += len(data)

    def next_piece(self, bytes_max: int) -> bytes:
        """The bytes to write now: those begun before, or the next ones, at most `bytes_max`; b"" at the end."""
        if self.piece:
            return self.piece
        chunks = self.chunks
        gathered: list[bytes] = []
        room = bytes_max
        while chunks and room > 0:
            chunk = chunks.popleft()
            if len(chunk) > room:
                chunks.appendleft(chunk[room:])
                chunk = chunk[:room]
            gathered.append(chunk)
            room -= len(chunk)
        self.piece = b"".join(gathered)
        return self.piece

    def check(self) -> None:
        """Invariants, for tests."""
        assert self.size == len(self.piece) + sum(map(len, self.chunks))

    def wrote(self, count: int) -> None:
        """`count` bytes of the piece under way are out."""
        assert 0 <= count <= len(self.piece)
        self.piece = self.piece[count:]
        self.size -= count


class Connection(Entry):
    """A connection. Extend it with `__slots__`; call `Connection.__init__(self, fd, address)`.

    Attributes:
        fd: the descriptor; -1 once it is closed.
        address: what limits count by: an IPv4 address, or the /64 of an IPv6 one. Shared among connections.
        tls: None on plain TCP; the listener until the first bytes arrive; then the `SSLSocket`.
        inbox: the beginning of a frame whose end hasn't come, or None.
        outbox: None, or the list of what this pass wrote, or a `Backlog` when the socket is blocked.
        tick: the hub's second of the last input.
        due: the wheel's slot in which it is looked at next.
        patience: seconds of silence after which the handler is asked (see `expect`).
        hub: set by the hub after `Handler.make`.
    """

    __slots__ = ("address", "due", "hub", "inbox", "outbox", "patience", "tick", "tls")

    def __init__(self, fd: int, address: str) -> None:
        self.fd = fd
        self.address = address
        self.flags = 0
        self.tls: ssl.SSLSocket | Listener | None = None
        self.inbox: bytes | None = None
        self.outbox: list[bytes] | Backlog | None = None
        self.tick = 0
        self.due = 0
        self.patience = 0
        self.hub: Hub = None  # type: ignore[type-arg, assignment]  # the hub sets it at once

    def write(self, data: bytes) -> None:
        """Queue `data`; the hub writes what a pass queued in one go. Ignored once the connection is closing."""
        if self.flags > STRICT:
            self._write_rare(data)
            return
        outbox = self.outbox
        if outbox is None:
            self.outbox = [data]
            hub = self.hub
            hub.dirty.append(self)
            if hub.asleep:
                hub.wake()
        else:
            outbox.append(data)

    def _write_rare(self, data: bytes) -> None:
        if self.flags & CLOSING:
            return
        if self.outbox is None:
            self.outbox = [data]
            self.hub.dirty.append(self)
            if self.hub.asleep:
                self.hub.wake()
            return
        self.outbox.append(data)
        if type(self.outbox) is Backlog and self.outbox.size > self.hub.settings.outbox_bytes_max:
            self.close("overflow", linger=False)

    def close(self, reason: Reason, linger: bool = True) -> None:
        """Done with it. What is queued is still written; `Handler.closed` is called before the pass ends.

        Args:
            reason: handed to `Handler.closed` and counted.
            linger: give the peer a bounded time to take what is queued and to close its own end, so that
                it can read the last frame. False: one attempt to write, then away.
        """
        self.hub.closer.close(self, reason, linger)

    def expect(self, seconds: int, *, strict: bool = False) -> None:
        """Ask the handler (`quiet`) when nothing came for `seconds`; strict: then in any case (a deadline)."""
        assert seconds <= SECONDS_MAX or not strict, f"a deadline may be at most {SECONDS_MAX} s away"
        self.flags = self.flags | STRICT if strict else self.flags & ~STRICT
        self.patience = seconds
        self.hub.wheel.place(self, seconds)

    @property
    def queued_bytes(self) -> int:
        """Bytes written to this connection that the kernel hasn't taken."""
        outbox = self.outbox
        if outbox is None:
            return 0
        return outbox.size if isinstance(outbox, Backlog) else sum(map(len, outbox))

    @property
    def idle_s(self) -> int:
        """Seconds since the last input, as coarse as the wheel."""
        return self.hub.wheel.tick - self.tick

    @property
    def is_closing(self) -> bool:
        return bool(self.flags & CLOSING)

    def check(self) -> None:
        """Invariants between two turns of the hub, for tests."""
        flags = self.flags
        assert bool(flags & BLOCKED) == isinstance(self.outbox, Backlog)
        assert flags & BLOCKED or not flags & (PAUSED | WRITE_WANTS_READ)
        assert flags & CLOSING or not flags & (DRAINING | HASTY)
        assert not (flags & DRAINING and self.outbox)
        if isinstance(self.outbox, Backlog):
            self.outbox.check()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} fd={self.fd} flags={self.flags:#x} queued={self.queued_bytes}>"
