"""TLS handshakes, a few steps a pass, so that a burst of logins doesn't hold up the connections there are.

Until its first bytes arrive a TLS connection costs no more than a plain one: the socket is wrapped then.
Each connection is polled one event at a time (EPOLLONESHOT) and waits in a queue for its step.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

from node.hub.closing import Closer
from node.hub.connection import CLOSING, HANDSHAKE, Connection
from node.hub.counters import Counters
from node.hub.listener import Listener
from node.hub.pollset import IN, ONESHOT, OUT, PollSet
from node.hub.settings import HubSettings


class Handshakes:
    """The queue of connections that wait for a step of their handshake."""

    __slots__ = ("_closer", "_counters", "_established", "_pollset", "_settings", "pending", "queue")

    def __init__(
        self,
        settings: HubSettings,
        pollset: PollSet,
        closer: Closer,
        counters: Counters,
        established: Callable[[Connection], None],
    ) -> None:
        self._settings = settings
        self._pollset = pollset
        self._closer = closer
        self._counters = counters
        self._established = established
        self.queue: deque[Connection] = deque()

    @property
    def is_full(self) -> bool:
        return len(self.queue) >= self._settings.handshake_queue_max

    def advance(self) -> None:
        """A pass's share of steps."""
        steps = self._settings.handshakes_per_pass_max
        while self.queue and steps > 0:
            connection = self.queue.popleft()
            if not connection.flags & CLOSING:
                steps -= 1
                self._step(connection)

    def _step(self, connection: Connection) -> None:
        try:
            tls: Any = connection.tls
            if isinstance(tls, Listener):
                tls = connection.tls = self._wrap(connection, tls)
            tls.do_handshake()
        except ssl.SSLWantReadError:
            self._pollset.modify(connection, IN | ONESHOT)
        except ssl.SSLWantWriteError:
            self._pollset.modify(connection, OUT | ONESHOT)
        except (OSError, ValueError):  # SSLError is an OSError
            self._counters.handshakes_failed += 1
            self._closer.lose(connection, "handshake_failed")
        else:
            self._counters.handshakes_done += 1
            self._counters.handshaking -= 1
            connection.flags &= ~HANDSHAKE
            self._pollset.modify(connection, IN)
            self._established(connection)

    @staticmethod
    def _wrap(connection: Connection, listener: Listener) -> ssl.SSLSocket:
        assert listener.settings.tls is not None
        sock = socket.socket(listener.family, socket.SOCK_STREAM, 0, fileno=connection.fd)
        try:
            sock.setblocking(False)
            return listener.settings.tls.context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            )
        finally:
            sock.detach()
