"""Connections on their way to a login: from many loopback addresses, a bounded number at once, again when put off.

This module must never know how a login looks; it hands over a connection that is ready for the first byte.
"""

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ops.bench.plan import Plan
from ops.bench.session import CONNECTING, LOGGING_IN, READY, SHAKING, LoadError, source_of

_LOGIN_SECONDS_MAX: Final = 30.0
_LATE_SECONDS_MAX: Final = 2.0
"""Beyond, it was this process that didn't get on, which says nothing of the server."""
_RETRY_SECONDS: Final = 0.25


class Dialer:
    """Keeps `sessions` (descriptor → session) and their registration with the epoll set.

    Args:
        make: a new session for a user.
        greet: called when a connection is ready for the first byte.
        later: calls a function after so many seconds.
    """

    def __init__(
        self,
        plan: Plan,
        epoll: select.epoll,
        make: Callable[[int], Any],
        greet: Callable[[Any], None],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self.sessions: dict[int, Any] = {}
        self.retries = 0
        self._plan = plan
        self._epoll = epoll
        self._make = make
        self._greet = greet
        self._later = later
        self._waiting: list[int] = []
        self._under_way = 0
        self._tls: ssl.SSLContext | None = None
        if plan.tls:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE

    @property
    def idle(self) -> bool:
        """Nobody waits for a connection or a login."""
        return not self._waiting and not self._under_way

    def want(self, first: int, last: int) -> None:
        """Log in users first … last - 1, in this order."""
        self._waiting = [*range(last - 1, first - 1, -1), *self._waiting]

    def dial(self) -> None:
        """Begin as many connections as are allowed at once."""
        while self._waiting and self._under_way < self._plan.logins_parallel:
            self._connect(self._waiting.pop())

    def advance(self, session: Any) -> None:
        """The connection stands, or the TLS handshake can go one step further."""
        sock = session.sock
        if session.state == CONNECTING:
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                if code not in (errno.ECONNRESET, errno.ECONNREFUSED):
                    raise LoadError(f"user {session.index}: connect: {os.strerror(code)}")
                self.put_off(session, _RETRY_SECONDS)
                return
            if self._tls is not None:
                sock = session.sock = self._tls.wrap_socket(
                    sock, do_handshake_on_connect=False, suppress_ragged_eofs=False
                )
                session.state = SHAKING
        if session.state == SHAKING:
            try:
                sock.do_handshake()
            except ssl.SSLWantReadError:
                self._epoll.modify(sock.fileno(), select.EPOLLIN)
                return
            except ssl.SSLWantWriteError:
                self._epoll.modify(sock.fileno(), select.EPOLLOUT)
                return
            except OSError:
                self.put_off(session, _RETRY_SECONDS)
                return
        self._epoll.modify(sock.fileno(), select.EPOLLIN)
        session.state = LOGGING_IN
        self._greet(session)

    def ready(self, session: Any) -> None:
        """This session is logged in."""
        session.state = READY
        self._under_way -= 1

    def put_off(self, session: Any, seconds: float) -> None:
        """Drop a connection that isn't logged in, and try again later."""
        if session.state == READY:
            raise LoadError(f"user {session.index}: the server closed the session")
        self.retries += 1
        descriptor = session.sock.fileno()
        self._epoll.unregister(descriptor)
        del self.sessions[descriptor]
        session.sock.close()
        self._under_way -= 1
        self._later(max(seconds, _RETRY_SECONDS), lambda: self._waiting.append(session.index))

    def close(self) -> None:
        """Close every connection."""
        for session in self.sessions.values():
            session.sock.close()
        self.sessions.clear()

    def _connect(self, index: int) -> None:
        session = self._make(index)
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._plan.host.startswith("127."):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source_of(index), 0))
        ports = self._plan.ports or (self._plan.port,)
        code = sock.connect_ex((self._plan.host, ports[index % len(ports)]))
        if code not in (0, errno.EINPROGRESS):
            raise LoadError(f"user {index}: connect: {os.strerror(code)}")
        session.sock = sock
        self.sessions[sock.fileno()] = session
        self._epoll.register(sock.fileno(), select.EPOLLOUT)
        self._under_way += 1
        began = time.monotonic()

        self._later(_LOGIN_SECONDS_MAX, partial(self._check, session, began, began + _LOGIN_SECONDS_MAX))

    def _check(self, session: Any, began: float, due: float) -> None:
        descriptor = session.sock.fileno()  # -1: it was put off
        if (
            session.state == READY
            or descriptor not in self.sessions
            or self.sessions[descriptor] is not session
        ):
            return
        now = time.monotonic()
        if now - due < _LATE_SECONDS_MAX:
            raise LoadError(f"user {session.index}: no login after {now - began:.0f} s")
        again = partial(self._check, session, began, now + _LOGIN_SECONDS_MAX)
        self._later(_LOGIN_SECONDS_MAX, again)
