"""A phone of a storm: the client library's own core, and its own rule of when to come back, on a socket without more.

What the library keeps in a database stays in memory here, where nothing crashes. This module must never know what is
measured.
"""

import errno
import socket
from collections.abc import Sequence
from random import Random
from typing import Final, Protocol

from client.core import Core
from client.events import Accepted, Arrived, Close, News, Online, Refused, Stopped
from client.identity import Identity
from client.records import CURRENT, Snapshot
from client.returning import Returning
from client.settings import Settings
from node.wire.codec import Decoder, decode_server, encode
from node.wire.limits import FRAME_MAX
from ops.bench.identities import number_of, seed_of, stream_of
from ops.bench.session import LoadError, source_of

_READ_SIZE: Final = 65_536
AWAY, CONNECTING, OPEN = range(3)


class Watch(Protocol):
    """What a phone tells."""

    def opened(self, phone: "StormPhone") -> None:
        """It has a socket, which is to be watched."""

    def connected(self, phone: "StormPhone") -> None:
        """It stands: only what comes matters."""

    def closed(self, phone: "StormPhone") -> None:
        """It closes its socket now."""

    def blocked(self, phone: "StormPhone") -> None:
        """Its socket takes no more for now: `flush`."""

    def timed(self, phone: "StormPhone") -> None:
        """Its `due` is another one."""

    def online(self, phone: "StormPhone") -> None:
        """It is logged in."""

    def lost(self, phone: "StormPhone") -> None:
        """Its connection has ended."""

    def unanswered(self, phone: "StormPhone") -> None:
        """Nobody took the connection within its time."""

    def put_off(self, phone: "StormPhone", why: str, retry: float) -> None:
        """The connection is to end, and the next to wait."""

    def arrived(self, phone: "StormPhone", sender: int, number: int) -> None:
        """A message is the app's."""

    def accepted(self, phone: "StormPhone", number: int) -> None:
        """What it sent was taken."""


class StormPhone:
    """One device.

    Attributes:
        due: when `advance` is to be called, by the monotonic clock; None: never.
    """

    __slots__ = (
        "_ask",
        "_decoder",
        "_places",
        "_random",
        "_returning",
        "_settings",
        "_watch",
        "core",
        "due",
        "pending",
        "port",
        "sock",
        "state",
        "user",
    )

    def __init__(
        self,
        user: int,
        port: int,
        ports: Sequence[int],
        settings: Settings,
        random: Random,
        watch: Watch,
    ) -> None:
        identity = Identity(number_of(user), seed_of(user), stream_of(user), 1)
        key, row = identity.write(CURRENT)[1:]
        assert row is not None
        self.user = user
        self.core = Core(Snapshot(identity=((key, row),)), settings, random)
        self.sock: socket.socket | None = None
        self.state = AWAY
        self.pending = b""
        self.port = port
        self.due: float | None = None
        self._places = [port]
        self._returning = Returning(settings, random)
        self._settings = settings
        self._random = random
        self._decoder: Decoder | None = None
        self._ask = tuple(ports)
        self._watch = watch

    # ---- connecting ------------------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Begin a connection, to the first node that takes one."""
        while self._places:
            self.port = self._places.pop()
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source_of(self.user), 0))
            code = sock.connect_ex(("127.0.0.1", self.port))
            if code in (0, errno.EINPROGRESS):
                self.sock, self.state = sock, CONNECTING
                self.due = now + self._settings.connect_timeout
                self._watch.opened(self)
                return
            sock.close()
        self._ended(now, 0.0)

    def advance(self, now: float) -> None:
        """Its time has come: to come back, to give a connection up, or whatever its core waits for."""
        if self.state == AWAY:
            self._places = self._random.sample(self._ask, len(self._ask))
            self.connect(now)
        elif self.state == CONNECTING:
            self._watch.unanswered(self)
            self._close()
            self._ended(now, 0.0)
        else:
            self.core.advance(now)
            self.pump(now)

    def ready(self, now: float, *, readable: bool) -> None:
        """The socket can be read or written."""
        assert self.sock is not None
        if self.state == CONNECTING:
            if self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._close()
                self.connect(now)  # the next address of the name, at once
                return
            self._watch.connected(self)
            self.open(now)
            return
        if readable and not self._read(now):
            return
        self.pump(now)

    def open(self, now: float) -> None:
        """The connection stands."""
        self.state = OPEN
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self.core.connect(now, b"")
        self.pump(now)

    def _read(self, now: float) -> bool:
        assert self.sock is not None
        assert self._decoder is not None
        try:
            data = self.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self.hang_up(now, 0.0, cut=True)
            return False
        for frame in self._decoder.feed(data):
            self.core.receive(now, frame)
        return True

    def hang_up(self, now: float, asked: float, *, cut: bool = False) -> None:
        """The connection is over."""
        self._watch.lost(self)
        self._close()
        self.core.disconnect()
        self._ended(now, asked, cut=cut)

    def _close(self) -> None:
        assert self.sock is not None
        self._watch.closed(self)
        self.sock.close()
        self.sock, self.state, self.pending = None, AWAY, b""

    def _ended(self, now: float, asked: float, *, cut: bool = False) -> None:
        self._returning.ended(now, cut=cut)
        self.due = now + self._returning.wait(asked)
        self._watch.timed(self)

    # ---- talking ---------------------------------------------------------------------------------------

    def pump(self, now: float) -> None:
        """Do what the core wants done."""
        while True:
            ready = self.core.ready(now, flush=True)
            if not ready:
                break
            if ready.frames and self.state == OPEN:
                self._write(b"".join(encode(frame) for frame in ready.frames))
            for event in ready.events:
                if isinstance(event, Close):
                    if event.retry or event.why:
                        self._watch.put_off(self, event.why, event.retry)
                    if self.state == OPEN:
                        self.hang_up(now, event.retry)
                    return
                self._react(event, now)
        self.due = self.core.deadline()
        self._watch.timed(self)

    def _react(self, event: object, now: float) -> None:
        if isinstance(event, Arrived):
            self.core.take(event.message.id)
            self._watch.arrived(self, event.message.sender, event.message.number)
        elif isinstance(event, Accepted):
            for number in event.numbers:
                self._watch.accepted(self, number)
        elif isinstance(event, Online):
            self._returning.online(now)
            self._watch.online(self)
        elif isinstance(event, News):
            while (receipt := self.core.sending.next_news()) is not None:
                self.core.sending.take_news(receipt)
        elif isinstance(event, Stopped | Refused):
            raise LoadError(f"user {self.user}: {event}")

    def flush(self) -> None:
        """The socket takes more."""
        data, self.pending = self.pending, b""
        self._write(data)

    def _write(self, data: bytes) -> None:
        assert self.sock is not None
        if self.pending:
            self.pending += data
            return
        try:
            done = self.sock.send(data)
        except BlockingIOError:
            done = 0
        except OSError:
            return  # the next read says so, too
        if done < len(data):
            self.pending = data[done:]
            self._watch.blocked(self)
