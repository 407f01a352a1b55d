"""A phone's connection in a storm: a socket that is opened, watched, lost and, by the client library's own rule, opened
again at any node that takes it.

What is said over it is a dialect's business, which derives from `Line`. This module must never know a protocol.
"""

import errno
import socket
from collections.abc import Sequence
from random import Random
from typing import Final, Protocol

from attrs import frozen

from client.returning import Returning
from client.settings import Settings
from ops.bench.session import source_of

_READ_SIZE: Final = 65_536
AWAY, CONNECTING, OPEN = range(3)
NEXT_S: Final = 0.25
"""Until the next address of a name is tried beside one that doesn't answer, as the client library does (RFC 8305)."""


class Watch(Protocol):
    """What a phone tells."""

    def opened(self, phone: "Line") -> None:
        """It has a socket, which is to be watched."""

    def connected(self, phone: "Line") -> None:
        """It stands: only what comes matters."""

    def closed(self, phone: "Line") -> None:
        """It closes its socket now."""

    def blocked(self, phone: "Line") -> None:
        """Its socket takes no more for now: `flush`."""

    def timed(self, phone: "Line") -> None:
        """Its `due` is another one."""

    def online(self, phone: "Line") -> None:
        """It is logged in."""

    def lost(self, phone: "Line") -> None:
        """Its connection has ended."""

    def unanswered(self, phone: "Line") -> None:
        """Nobody took the connection within its time."""

    def put_off(self, phone: "Line", why: str, retry: float) -> None:
        """The connection is to end, and the next to wait."""

    def arrived(self, phone: "Line", sender: int, number: int) -> None:
        """A message of this user is the app's."""

    def accepted(self, phone: "Line", number: int) -> None:
        """What it sent was taken."""

    def returned(self, phone: "Line", number: int) -> None:
        """What it sent came back as an error."""


@frozen
class Place:
    """Whose a phone is, and where. port: of the node that it connects to at first; ports: of all nodes."""

    user: int
    port: int
    ports: Sequence[int]
    settings: Settings
    random: Random
    watch: Watch


class Line:
    """One device. Derive and implement `send`, `begin`, `take`, `tick` and `forget`.

    Attributes:
        due: when `advance` is to be called, by the monotonic clock; None: never.
        silent: ports of nodes that don't answer whoever wants to connect. The kernel of this machine would: it takes
            connections for a process that stands still.
    """

    __slots__ = (
        "_ask",
        "_places",
        "_random",
        "_returning",
        "_settings",
        "_watch",
        "due",
        "pending",
        "port",
        "silent",
        "sock",
        "state",
        "user",
    )

    def __init__(self, place: Place) -> None:
        self.user = place.user
        self.sock: socket.socket | None = None
        self.state = AWAY
        self.pending = b""
        self.port = place.port
        self.due: float | None = None
        self.silent: frozenset[int] = frozenset()
        self._places = [place.port]
        self._returning = Returning(place.settings, place.random)
        self._settings = place.settings
        self._random = place.random
        self._ask = tuple(place.ports)
        self._watch = place.watch

    # ---- what a dialect implements -----------------------------------------------------------------------

    def send(self, to: int, body: bytes, now: float) -> int:
        """Send this user a message, or keep it until it can be sent; gives its number among those of this phone."""
        raise NotImplementedError

    def begin(self, now: float) -> None:
        """The connection stands."""
        raise NotImplementedError

    def take(self, now: float, data: bytes) -> None:
        """Bytes have come."""
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """`due` has come, while the connection stands; or the socket can be written again."""
        raise NotImplementedError

    def forget(self) -> None:
        """The connection is gone."""
        raise NotImplementedError

    # ---- connecting ------------------------------------------------------------------------------------

    def connect(self, now: float) -> None:
        """Begin a connection, to the first node that takes one."""
        while self._places:
            self.port = self._places.pop()
            if self.port in self.silent:
                self.due = now + NEXT_S
                self._watch.timed(self)
                return
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
        """Its time has come: to come back, to give a connection up, or whatever its dialect waits for."""
        if self.state == AWAY:
            if not self._places:
                self._places = self._random.sample(self._ask, len(self._ask))
            self.connect(now)
        elif self.state == CONNECTING:
            self._watch.unanswered(self)
            self._close()
            self._ended(now, 0.0)
        else:
            self.tick(now)

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
        self.tick(now)

    def open(self, now: float) -> None:
        """The connection stands."""
        self.state = OPEN
        self._places.clear()
        self.begin(now)

    def _read(self, now: float) -> bool:
        assert self.sock is not None
        try:
            data = self.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self.hang_up(now, 0.0, cut=True)
            return False
        self.take(now, data)
        return self.state == OPEN

    def hang_up(self, now: float, asked: float, *, cut: bool = False) -> None:
        """The connection is over."""
        self._watch.lost(self)
        self._close()
        self.forget()
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

    # ---- writing ---------------------------------------------------------------------------------------

    def flush(self) -> None:
        """The socket takes more."""
        data, self.pending = self.pending, b""
        self.write(data)

    def write(self, data: bytes) -> None:
        """Now, or when the socket takes it."""
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
