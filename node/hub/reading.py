"""One batch of events: read from what is ready and hand it to the handler. The hub's hottest code.

The loop in `receive` is the short way: an established connection, readable, nothing unusual about it. All
else goes through `_rare`, so that the short way stays short.
"""

from __future__ import annotations

import os
import select
import ssl
from collections.abc import Callable
from typing import Any

from node.hub.closing import Closer
from node.hub.connection import (
    BLOCKED,
    CLOSING,
    DRAINING,
    HANDSHAKE,
    HELD,
    OTHER,
    PAUSED,
    READ_WANTS_WRITE,
    STRICT,
    WRITE_WANTS_READ,
    Connection,
)
from node.hub.counters import Counters
from node.hub.handler import Handler
from node.hub.handshake import Handshakes
from node.hub.pollset import IN, OUT, PollSet
from node.hub.settings import HubSettings
from node.hub.tls import RECORD_BYTES_MAX
from node.hub.wheel import Wheel
from node.hub.writing import Writer

LARGE_BYTES = 4_096  # of input from one connection; after such the time is looked at
BROKEN = select.EPOLLERR | select.EPOLLHUP


class Reader:
    """Reads; owns the one buffer that TLS input is decrypted into."""

    __slots__ = (
        "_buffer",
        "_clock",
        "_closer",
        "_counters",
        "_failed",
        "_handler",
        "_handshakes",
        "_pollset",
        "_settings",
        "_view",
        "_wheel",
        "_writer",
    )

    def __init__(
        self,
        settings: HubSettings,
        handler: Handler[Any],
        pollset: PollSet,
        wheel: Wheel,
        writer: Writer,
        closer: Closer,
        handshakes: Handshakes,
        counters: Counters,
        failed: Callable[[Connection, Exception], None],
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._handler = handler
        self._pollset = pollset
        self._wheel = wheel
        self._writer = writer
        self._closer = closer
        self._handshakes = handshakes
        self._counters = counters
        self._failed = failed
        self._buffer = bytearray(settings.read_bytes_max)
        self._view = memoryview(self._buffer)

    def adjust(self, settings: HubSettings) -> None:
        """Other limits hold from now on."""
        self._settings = settings

    def receive(self, events: list[tuple[int, int]], until: float) -> None:
        """Deal with a batch. Descriptors stay open until the batch is over, so no event is another's.

        Args:
            until: once large inputs have taken so long, the rest of the batch is left to the next pass.
        """
        entries = self._pollset.entries
        received = self._handler.received
        read = os.read
        bytes_max = self._settings.read_bytes_max
        tick = self._wheel.tick
        taken = 0
        index = 0
        for fd, event in events:
            index += 1
            connection = entries[fd]
            if connection is None:
                self._counters.stale_events += 1
                continue
            if event != IN or connection.flags > STRICT:
                self._rare(connection, event)
                continue
            if connection.tls is not None or connection.inbox is not None:
                if self._read(connection) > LARGE_BYTES and self._clock() > until:
                    self._leave(events[index:])
                    break
                continue
            try:
                data = read(fd, bytes_max)
            except BlockingIOError:
                continue
            except OSError:
                self._closer.lose(connection, "reset")
                continue
            if not data:
                self._end(connection)
                continue
            taken += len(data)
            connection.tick = tick
            try:
                used = received(connection, data)
            except Exception as error:  # noqa: BLE001 - whatever it is, it ends this connection only
                self._failed(connection, error)
                continue
            if used != len(data):
                self._keep(connection, data, used)
            if len(data) > LARGE_BYTES and self._clock() > until:
                self._leave(events[index:])
                break
        self._counters.bytes_in += taken

    def _leave(self, events: list[tuple[int, int]]) -> None:
        """The kernel will say all this again, except what it was asked to say once."""
        for fd, _ in events:
            entry = self._pollset.entries[fd]
            if entry is not None and entry.flags & HANDSHAKE:
                self._rare(entry, 0)

    def _read(self, connection: Connection) -> int:
        """The same for any established connection: TLS, or in the middle of a frame. Returns the bytes read."""
        try:
            if connection.tls is None:
                data = os.read(connection.fd, self._settings.read_bytes_max)
            else:
                data = self._decrypt(connection.tls)
        except (BlockingIOError, ssl.SSLWantReadError):
            return 0
        except ssl.SSLWantWriteError:  # an answer to a key update can't be sent
            connection.flags |= READ_WANTS_WRITE
            self._writer.set_interest(connection)
            return 0
        except ssl.SSLError:
            self._closer.lose(connection, "tls_error")
            return 0
        except OSError:
            self._closer.lose(connection, "reset")
            return 0
        if not data:
            self._end(connection)
            return 0
        self._counters.bytes_in += len(data)
        connection.tick = self._wheel.tick
        if connection.inbox is not None:
            data = connection.inbox + data
            connection.inbox = None
        try:
            used = self._handler.received(connection, data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this connection only
            self._failed(connection, error)
            return len(data)
        if used != len(data):
            self._keep(connection, data, used)
        return len(data)

    def _decrypt(self, tls: Any) -> bytes:
        """Plaintext of one record, or of several if they are full ones."""
        buffer = self._buffer
        count: int = tls.read(len(buffer), buffer)
        data = bytes(self._view[:count])
        if count < RECORD_BYTES_MAX:
            return data
        gathered = [data]
        room = len(buffer) - count
        try:
            while count == RECORD_BYTES_MAX <= room:
                count = tls.read(len(buffer), buffer)
                gathered.append(bytes(self._view[:count]))
                room -= count
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass  # the next event, or the next read, says so again
        return b"".join(gathered)

    def _keep(self, connection: Connection, data: bytes, used: int) -> None:
        """The end of `data` is the beginning of a frame."""
        if connection.flags & CLOSING:
            return
        if not 0 <= used < len(data):
            self._failed(connection, ValueError(f"received() took {used} of {len(data)} bytes"))
            return
        if len(data) - used > self._handler.remainder_max:
            self._closer.close(connection, "remainder", linger=False)
            return
        connection.inbox = data[used:]

    def _end(self, connection: Connection) -> None:
        """The peer has shut its end. What is queued still goes out."""
        self._closer.close(connection, "eof", linger=connection.outbox is not None)

    def _rare(self, entry: Any, event: int) -> None:
        flags = entry.flags
        if flags & OTHER:
            entry.ready()
        elif flags & CLOSING:
            if flags & DRAINING:
                self._closer.drain(entry)
            elif flags & BLOCKED:
                self._writer.drain(entry)
        elif flags & HANDSHAKE:
            self._handshakes.add(entry)
        else:
            self._unusual(entry, event)

    def _unusual(self, connection: Connection, event: int) -> None:
        """An established connection that is blocked, or broken, or in one of TLS's knots."""
        if connection.flags & READ_WANTS_WRITE:
            connection.flags &= ~READ_WANTS_WRITE
            self._read(connection)
            self._writer.set_interest(connection)
        if connection.flags & BLOCKED and event & OUT:
            self._writer.drain(connection)
        if not event & (IN | BROKEN) or connection.flags & CLOSING:
            return
        if connection.flags & (PAUSED | HELD) or (
            connection.flags & BLOCKED and self._writer.pause(connection)
        ):
            if event & BROKEN:
                self._closer.lose(connection, "reset")
            return
        self._read(connection)
        if connection.flags & WRITE_WANTS_READ and not connection.flags & CLOSING:
            self._writer.drain(connection)
