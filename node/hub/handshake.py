"""TLS handshakes: a few steps a pass, so that a burst of logins doesn't hold up the connections there are, and not
too many a second, so that there is time left for them.

Until its first bytes arrive a TLS connection costs no more than a plain one: the socket is wrapped then.
Each connection is polled one event at a time (EPOLLONESHOT) and waits in a queue for its step. What is dear is
our answer to its hello (key exchange and signature), so that is what is counted; the steps before it and after it
are cheap, and those after it don't wait for the next second.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any

from node.hub.bucket import Bucket
from node.hub.closing import Closer
from node.hub.connection import CLOSING, HANDSHAKE, Connection
from node.hub.counters import Counters
from node.hub.listener import Listener
from node.hub.pollset import IN, ONESHOT, OUT, PollSet
from node.hub.settings import HubSettings

BURST_MS = 100  # handshakes of so much time may come at once


class Handshakes:
    """The queues of connections that wait for a step of their handshake: before our answer, and after it."""

    __slots__ = (
        "_answered",
        "_answered_next",
        "_bucket",
        "_closer",
        "_counters",
        "_established",
        "_pollset",
        "_settings",
        "_unanswered",
    )

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
        self._set_rate(settings.handshakes_per_s_max)
        self._unanswered: deque[Connection] = deque()
        self._answered: deque[Connection] = deque()
        self._answered_next = True

    def _set_rate(self, per_s: int) -> None:
        self._bucket = Bucket(per_s, max(1, per_s * BURST_MS // 1000))

    def adjust(self, settings: HubSettings) -> None:
        """Other limits hold from now on."""
        before, self._settings = self._settings, settings
        if settings.handshakes_per_s_max != before.handshakes_per_s_max:
            self._set_rate(settings.handshakes_per_s_max)

    @property
    def waiting(self) -> int:
        return len(self._unanswered) + len(self._answered)

    @property
    def is_full(self) -> bool:
        return self.waiting >= self._settings.handshake_queue_max

    def has_work(self, now: float) -> bool:
        """Whether a step can be made now."""
        return bool(self._answered) or (bool(self._unanswered) and now >= self._bucket.opens_at)

    def wake_at(self) -> float | None:
        """When the next step can be made; None: nobody waits."""
        return self._bucket.opens_at if self._unanswered else None

    def add(self, connection: Connection) -> None:
        """Its next event has come."""
        (self._answered if _is_answered(connection) else self._unanswered).append(connection)

    def advance(self, now: float) -> None:
        """A pass's share of steps."""
        steps = self._settings.handshakes_per_pass_max
        while steps > 0 and self.has_work(now):
            # In turn, so that neither kind can keep the other waiting.
            is_open = self._unanswered and now >= self._bucket.opens_at
            answered = bool(self._answered) and (self._answered_next or not is_open)
            self._answered_next = not answered
            connection = (self._answered if answered else self._unanswered).popleft()
            if not connection.flags & CLOSING:
                steps -= 1
                self._step(connection)
                if not answered and _is_answered(connection):
                    self._bucket.spend(now)

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


def _is_answered(connection: Connection) -> bool:
    """Whether we have answered its hello: OpenSSL has then chosen the cipher."""
    tls: Any = connection.tls
    return not isinstance(tls, Listener) and tls.cipher() is not None
