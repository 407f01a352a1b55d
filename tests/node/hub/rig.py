"""A hub that a test drives by hand, with real loopback sockets and a clock that only moves when told.

Nothing here sleeps: `pump` runs turns of the hub, waiting on its poll set in between, until what is hoped for
has come about.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from node.hub.hub import Hub
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.tls import ServerTls
from tests.node.hub.echo import Echo, EchoHandler

GIVE_UP_S = 20.0


class FakeClock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A hub, its handler, one listener."""

    def __init__(
        self,
        tls: ServerTls | None = None,
        handler: EchoHandler | None = None,
        settings: HubSettings | None = None,
        listening: socket.socket | None = None,
        **listener: Any,
    ) -> None:
        self.clock = FakeClock()
        self.handler = handler or EchoHandler()
        self.settings = settings or HubSettings()
        self.hub: Hub[Echo] = Hub(self.settings, self.handler, self.clock)
        self.listener = self.hub.listen(ListenerSettings(tls=tls, **listener), listening)
        self.peers: list[Peer] = []

    def turn(self) -> None:
        self.hub.turn()
        self.hub.check()

    def pump(self, done: Callable[[], Any]) -> None:
        """Turns until `done()`."""
        give_up_at = time.monotonic() + GIVE_UP_S
        while not done():
            assert time.monotonic() < give_up_at, "it didn't come about"
            self.turn()
            if not done():
                select.select([self.hub._pollset.epoll.fileno()], [], [], 0.001)

    def seconds(self, count: int) -> None:
        """So much time passes, with a turn in each second."""
        for _ in range(count):
            self.clock.now += 1.0
            self.turn()

    def peer(self, **options: Any) -> Peer:
        """A TCP connection, not yet accepted."""
        made = Peer(self, **options)
        self.peers.append(made)
        return made

    def connect(self, **options: Any) -> Peer:
        """An established connection; over TLS if that is what the listener speaks."""
        peer = self.peer(**options)
        known = len(self.handler.made)
        if self.listener.settings.tls is not None:
            peer.handshake()
        self.pump(lambda: any(made.opened for made in self.handler.made[known:]))
        peer.connection = next(made for made in self.handler.made[known:] if made.opened)
        return peer

    def ends(self) -> list[int | str]:
        """Why connections have ended, in order."""
        return [reason for _, reason in self.handler.ends]

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.hub.close()


class Peer:
    """The other end, in the same thread: whatever would block lets the hub have a turn instead."""

    def __init__(
        self, rig: Rig, *, receive_buffer: int = 0, send_buffer: int = 0, source: str = "", to: Any = None
    ) -> None:
        self.rig = rig
        self.connection: Echo = None  # type: ignore[assignment]
        listener = to or rig.listener
        self.sock = socket.socket(listener.family, socket.SOCK_STREAM)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if send_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(listener.address)
        self.sock.setblocking(False)

    def wrap(self, context: ssl.SSLContext | None = None) -> None:
        """Speak TLS from here on; the handshake is the caller's."""
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, do_handshake_on_connect=False)

    def handshake(self) -> None:
        self.wrap()
        for _ in self._tries():
            with self._blocked():
                self.sock.do_handshake()  # type: ignore[attr-defined]
                return

    def _tries(self) -> Iterator[None]:
        give_up_at = time.monotonic() + GIVE_UP_S
        while True:
            assert time.monotonic() < give_up_at, "the hub doesn't answer"
            yield
            self.rig.turn()

    @staticmethod
    def _blocked() -> contextlib.suppress:
        return contextlib.suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def send(self, data: bytes) -> None:
        """All of it, however many turns that takes."""
        rest = memoryview(data)
        for _ in self._tries():
            with self._blocked():
                while rest:
                    rest = rest[self.sock.send(rest[:16_384]) :]
                return

    def send_some(self, data: bytes) -> int:
        """What the kernel takes now."""
        sent = 0
        with self._blocked():
            while sent < len(data):
                sent += self.sock.send(data[sent : sent + 16_384])
        return sent

    def read(self, count: int) -> bytes:
        """Exactly so many bytes."""
        data = bytearray()
        for _ in self._tries():
            with self._blocked():
                while len(data) < count:
                    part = self.sock.recv(count - len(data))
                    assert part, f"the end after {bytes(data[-100:])!r}"
                    data += part
            if len(data) == count:
                break
        return bytes(data)

    def rest(self) -> bytes:
        """Everything until the hub shuts its end."""
        data = bytearray()
        for _ in self._tries():
            with self._blocked():
                while part := self.sock.recv(65_536):
                    data += part
                break
        return bytes(data)

    def nothing(self) -> bool:
        """Whether there is nothing to read, and no end either."""
        self.rig.turn()
        try:
            self.sock.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        return False

    def shut(self) -> None:
        """No more from this end."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Vanish with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()
