"""What connections queued in a pass goes out here, gathered, with one write for each of them.

A socket that takes less than it was given is *blocked*: its rest is a `Backlog`, and only now the poll set is
asked to say when it may be written. While its backlog is above the high-water mark it isn't read from.
"""

from __future__ import annotations

import os
import ssl

from node.hub.closing import Closer
from node.hub.connection import (
    BLOCKED,
    CLOSING,
    HANDSHAKE,
    HELD,
    PAUSED,
    READ_WANTS_WRITE,
    WRITE_WANTS_READ,
    Backlog,
    Connection,
)
from node.hub.counters import Counters
from node.hub.pollset import IN, OUT, PollSet
from node.hub.settings import HubSettings
from node.hub.tls import RECORD_BYTES_MAX
from node.hub.wheel import Wheel

PLAIN_PIECE_BYTES = 262_144


class Writer:
    """Writes what is `dirty`, and keeps the blocked ones."""

    __slots__ = ("_closer", "_counters", "_pollset", "_settings", "_wheel", "dirty")

    def __init__(
        self, settings: HubSettings, pollset: PollSet, wheel: Wheel, closer: Closer, counters: Counters
    ) -> None:
        self._settings = settings
        self._pollset = pollset
        self._wheel = wheel
        self._closer = closer
        self._counters = counters
        self.dirty: list[Connection] = []  # wrote in this pass; shared with the hub

    def adjust(self, settings: HubSettings) -> None:
        """Other limits hold from now on."""
        self._settings = settings

    def flush(self) -> None:
        """Write what the pass queued."""
        dirty = self.dirty
        if not dirty:
            return
        write = os.write
        out = 0
        for connection in dirty:
            outbox = connection.outbox
            if outbox is None or connection.flags & (BLOCKED | HANDSHAKE):
                continue
            data = outbox[0] if len(outbox) == 1 else b"".join(outbox)  # type: ignore[arg-type, index]
            try:
                if connection.tls is None:
                    count = write(connection.fd, data)
                elif len(data) <= RECORD_BYTES_MAX:
                    count = connection.tls.write(data)  # type: ignore[union-attr]
                else:
                    count = 0
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                count = 0
            except OSError:
                self._closer.lose(connection, "reset")
                continue
            if count == len(data):
                connection.outbox = None
                out += count
            else:
                self._counters.bytes_out += count
                self._block(connection, data[count:])
        dirty.clear()
        self._counters.bytes_out += out

    def _block(self, connection: Connection, rest: bytes) -> None:
        """`rest` begins with what the kernel or OpenSSL refused."""
        backlog = Backlog(rest, self._wheel.tick)
        connection.outbox = backlog
        connection.flags |= BLOCKED
        self._closer.blocked[connection] = None
        self._counters.writes_blocked += 1
        self.drain(connection)

    def drain(self, connection: Connection) -> None:
        """A blocked connection may be written: write until it blocks again or nothing is left."""
        backlog = connection.outbox
        assert isinstance(backlog, Backlog)
        tls = connection.tls
        piece_max = PLAIN_PIECE_BYTES if tls is None else RECORD_BYTES_MAX
        connection.flags &= ~WRITE_WANTS_READ
        written = 0
        try:
            while piece := backlog.next_piece(piece_max):
                count: int = (
                    os.write(connection.fd, piece) if tls is None else tls.write(piece)  # type: ignore[union-attr]
                )
                backlog.wrote(count)
                written += count
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass
        except ssl.SSLWantReadError:
            connection.flags |= WRITE_WANTS_READ
        except OSError:
            self._closer.lose(connection, "reset")
            return
        self._counters.bytes_out += written
        if written:
            backlog.tick = self._wheel.tick
            del self._closer.blocked[connection]
            self._closer.blocked[connection] = None
        if not backlog.size:
            self._unblock(connection)
        self.set_interest(connection)

    def _unblock(self, connection: Connection) -> None:
        connection.outbox = None
        connection.flags &= ~(BLOCKED | PAUSED)
        self._closer.blocked.pop(connection, None)
        if connection.flags & CLOSING:
            self._closer.flushed(connection)

    def pause(self, connection: Connection) -> bool:
        """Whether a blocked connection is not to be read from now; if so, it isn't polled for input either."""
        backlog = connection.outbox
        if isinstance(backlog, Backlog) and backlog.size > self._settings.outbox_high_bytes:
            connection.flags |= PAUSED
            self._counters.pauses += 1
            self.set_interest(connection)
            return True
        return False

    def set_interest(self, connection: Connection) -> None:
        """Ask the poll set for what the state of an established connection calls for."""
        flags = connection.flags
        backlog = connection.outbox
        if (
            flags & PAUSED
            and isinstance(backlog, Backlog)
            and backlog.size <= self._settings.outbox_low_bytes
        ):
            flags &= ~PAUSED
            connection.flags = flags
        events = 0 if flags & (PAUSED | CLOSING | READ_WANTS_WRITE | HELD) else IN
        if flags & READ_WANTS_WRITE:
            events |= OUT
        if flags & WRITE_WANTS_READ:
            events |= IN
        elif flags & BLOCKED:
            events |= OUT
        self._pollset.modify(connection, events)

    def stalled(self) -> list[Connection]:
        """Those that took nothing for stall_s_max seconds."""
        limit = self._wheel.tick - self._settings.stall_s_max
        found: list[Connection] = []
        for connection in self._closer.blocked:
            backlog = connection.outbox
            if isinstance(backlog, Backlog):
                if backlog.tick > limit:
                    break
                found.append(connection)
        return found
