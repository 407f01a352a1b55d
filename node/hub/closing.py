"""How connections end: told to the handler before the pass is over, their descriptors closed at its very end.

A descriptor that is closed in the middle of a batch could be given out again by an accept, and the new
connection would receive events that were meant for the old one; hence two lists and an order: announce
(handler), write what is queued, then `finish`.

Shutting our end and reading on until the peer has shut its own keeps the last frame from being destroyed: a
close with unread input makes the kernel send RST, upon which the peer may throw away what it hasn't read
(RFC 1122, 4.2.2.13; RFC 9112, 9.6 says the same for HTTP).
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from node.hub.admission import Admission
from node.hub.connection import (
    BLOCKED,
    CLOSING,
    DRAINING,
    HANDSHAKE,
    HASTY,
    PAUSED,
    WRITE_WANTS_READ,
    Connection,
    Reason,
)
from node.hub.counters import Counters
from node.hub.listener import Listener
from node.hub.pollset import IN, OUT, PollSet
from node.hub.settings import HubSettings
from node.hub.wheel import Wheel


class Closer:
    """Takes connections from open to gone."""

    __slots__ = (
        "_admission",
        "_closed_before",
        "_counters",
        "_ending",
        "_pollset",
        "_settings",
        "_wheel",
        "blocked",
        "closed_recently",
        "pending",
        "released",
    )

    def __init__(
        self,
        settings: HubSettings,
        pollset: PollSet,
        wheel: Wheel,
        admission: Admission,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._pollset = pollset
        self._wheel = wheel
        self._admission = admission
        self._counters = counters
        self.pending: list[tuple[Connection, Reason]] = []  # the handler hasn't been told
        self._ending: list[Connection] = []  # to be looked at by `finish`
        self.blocked: dict[Connection, None] = {}  # the one longest without progress first; the writer's
        self.released = 0  # descriptors closed
        self.closed_recently = 0  # since the memory was last given back
        self._closed_before = 0  # the same, a second ago

    def adjust(self, settings: HubSettings) -> None:
        """Other limits hold from now on."""
        self._settings = settings

    def close(self, connection: Connection, reason: Reason, linger: bool) -> None:
        """Nothing more is read for the handler or queued; what is queued is written first."""
        flags = connection.flags
        if flags & CLOSING:
            if not linger:
                self.hurry(connection)
            return
        connection.flags = flags | CLOSING | (0 if linger else HASTY)
        connection.due = -1  # whatever it was to be looked at for; `finish` sets how long it may linger
        self.pending.append((connection, reason))
        hub = connection.hub
        if hub.asleep:
            hub.wake()

    def lose(self, connection: Connection, reason: Reason) -> None:
        """The socket is of no use any more: what is queued is dropped."""
        connection.outbox = None
        if connection.flags & BLOCKED:
            connection.flags &= ~(BLOCKED | PAUSED | WRITE_WANTS_READ)
            del self.blocked[connection]
        self.close(connection, reason, linger=False)

    def hurry(self, connection: Connection) -> None:
        """A closing connection has no time left, or nothing left to wait for."""
        connection.flags |= CLOSING | HASTY
        self._ending.append(connection)

    def flushed(self, connection: Connection) -> None:
        """A closing connection that was blocked has written everything."""
        self._ending.append(connection)

    def take_pending(self) -> list[tuple[Connection, Reason]]:
        """Those whose end is to be announced to the handler now; `finish` deals with them afterwards."""
        pending, self.pending = self.pending, []
        counts = self._counters.closed
        for connection, reason in pending:
            counts[reason] = counts.get(reason, 0) + 1
            self._ending.append(connection)
        return pending

    @property
    def has_work(self) -> bool:
        return bool(self.pending or self._ending)

    def finish(self) -> None:
        """Close descriptors. The last thing in a pass."""
        ending, self._ending = self._ending, []
        for connection in ending:
            if connection.fd < 0:
                continue
            flags = connection.flags
            if flags & (HASTY | HANDSHAKE):
                self._release(connection)
            elif connection.outbox is None:
                if not flags & DRAINING:
                    self._half_close(connection)
            else:  # blocked: the peer has linger_s_max to take the rest
                assert flags & BLOCKED
                self._pollset.modify(connection, OUT)
                self._wheel.place(connection, self._settings.linger_s_max)

    def trim_due(self) -> bool:
        """Once a second: whether many have gone, and the wave is over, so that memory may be given back."""
        limit = self._settings.trim_after_closes
        last_second = self.closed_recently - self._closed_before
        if self.closed_recently >= limit > last_second * 10:
            self.closed_recently = self._closed_before = 0
            return True
        self._closed_before = self.closed_recently
        return False

    def _half_close(self, connection: Connection) -> None:
        connection.flags |= DRAINING
        tls: Any = connection.tls
        try:
            if tls is None:
                handle = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=connection.fd)
                try:
                    handle.shutdown(socket.SHUT_WR)
                finally:
                    handle.detach()
            else:
                with contextlib.suppress(OSError, ValueError):
                    tls.unwrap()  # sends close_notify; the peer's own isn't waited for
                tls.shutdown(socket.SHUT_WR)
            self._pollset.modify(connection, IN)
        except OSError:  # the peer has reset
            self._release(connection)
            return
        self._wheel.place(connection, self._settings.linger_s_max)

    def drain(self, connection: Connection) -> None:
        """Input of a connection whose end is shut: thrown away, until the peer's end is shut too."""
        try:
            if os.read(connection.fd, self._settings.read_bytes_max):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.hurry(connection)

    def _release(self, connection: Connection) -> None:
        with contextlib.suppress(OSError):
            self._pollset.remove(connection)
        tls = connection.tls
        if tls is None or isinstance(tls, Listener):
            os.close(connection.fd)
        else:
            tls.close()
        connection.fd = -1
        self.blocked.pop(connection, None)
        connection.tls = connection.inbox = connection.outbox = None
        self._admission.leave(connection.address)
        if connection.flags & HANDSHAKE:
            self._counters.handshaking -= 1
        self._counters.connections -= 1
        self.closed_recently += 1
        self.released += 1
