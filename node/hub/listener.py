"""Listening sockets: a few accepts a pass and not too many a second, limits asked first, and polite refusals.

Out of descriptors, `accept` fails and the connection stays in the kernel's queue, so that the listener is
readable for ever. One descriptor is therefore kept in reserve: given up, it lets the connection be accepted,
told so, and closed. (libev's documentation, "The special problem of accept()ing when you can't".)
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from node.hub.admission import NO_DESCRIPTOR, STOPPING, Admission, network_of
from node.hub.bucket import Bucket
from node.hub.connection import OTHER, Entry
from node.hub.counters import Counters
from node.hub.pollset import IN, PollSet
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.wheel import Wheel

# accept(2): these concern the connection that was to be accepted, not the listener
PASSING = frozenset(
    (
        errno.ECONNABORTED,
        errno.EINTR,
        errno.EPERM,
        errno.EPROTO,
        errno.ENETDOWN,
        errno.ENOPROTOOPT,
        errno.EHOSTDOWN,
        errno.ENONET,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.ENETUNREACH,
    )
)
REFUSALS_AT_STOP_MAX = 4_096  # connections still in the kernel's queue that are told so
READ_AT_REFUSAL_BYTES = 65_536
FOREVER_S = 1 << 40
REST_MS = 20  # with no accepts left, listeners rest until so much time's worth of them is back: one wake-up for many


class Listener(Entry):
    """A listening socket. `settings` says whether it speaks TLS; `address` is where it really listens; `opened`: here,
    and not there before."""

    __slots__ = ("_acceptor", "address", "family", "opened", "settings", "socket")

    def __init__(
        self, settings: ListenerSettings, listening: socket.socket, acceptor: Acceptor, opened: bool = True
    ) -> None:
        self._acceptor = acceptor
        self.opened = opened
        self.settings = settings
        self.socket = listening
        self.fd = listening.fileno()
        self.flags = OTHER
        self.family = listening.family
        self.address: tuple[str, int] = listening.getsockname()[:2]

    def ready(self) -> None:
        self._acceptor.accept(self)

    def accept(self) -> tuple[int, str]:
        """A new descriptor and the host it comes from; `socket.accept` would cost twice as much."""
        fd, peer = self.socket._accept()  # type: ignore[attr-defined]
        return fd, peer[0]

    def __repr__(self) -> str:
        return f"<Listener {self.settings.name} {self.address[0]}:{self.address[1]}>"


def open_socket(settings: ListenerSettings) -> socket.socket:
    """A non-blocking listening socket; TCP_NODELAY and the buffers are inherited by what it accepts.

    Raises:
        OSError: the address is in use, isn't ours, or may not be bound; names the address.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((settings.host, settings.port))
        prepare(listening, settings)
    except OSError as error:
        listening.close()
        raise OSError(
            error.errno,
            f"can't listen on {settings.host}:{settings.port}: {error.strerror}; stop what uses it, or choose"
            " another address or port under [listen]",
        ) from None
    return listening


def prepare(listening: socket.socket, settings: ListenerSettings) -> None:
    """Make a bound socket listen as the settings say, or one that listens already listen so from now on.

    Raises:
        OSError
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if settings.send_buffer_bytes:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)
    if settings.receive_buffer_bytes:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer_bytes)
    listening.listen(settings.backlog)
    listening.setblocking(False)


class Acceptor:
    """All listeners of a hub."""

    __slots__ = (
        "_admission",
        "_bucket",
        "_budget",
        "_counters",
        "_now",
        "_paused",
        "_pollset",
        "_refusal",
        "_rest_accepts",
        "_settings",
        "_spare",
        "_take",
        "_wheel",
        "listeners",
        "resumes_at",
    )

    def __init__(
        self,
        settings: HubSettings,
        pollset: PollSet,
        wheel: Wheel,
        admission: Admission,
        counters: Counters,
        refusal: Callable[[str], bytes],
        take: Callable[[int, str, Listener], None],
    ) -> None:
        self._settings = settings
        self._pollset = pollset
        self._wheel = wheel
        self._admission = admission
        self._counters = counters
        self._refusal = refusal
        self._take = take
        self._budget = settings.accepts_per_pass_max
        self._set_rate(settings.accepts_per_s_max)
        self._now = 0.0
        self.resumes_at: float | None = None  # until then no listener is polled; None: they are
        self._paused: dict[Listener, int] = {}  # → the tick at which it is polled again
        self._spare = _spare_descriptor()
        self.listeners: list[Listener] = []

    def _set_rate(self, per_s: int) -> None:
        self._bucket = Bucket(per_s, per_s)
        self._rest_accepts = max(1, per_s * REST_MS // 1000)

    def adjust(self, settings: HubSettings) -> None:
        """Other limits hold from now on. A rest that runs ends by itself."""
        before, self._settings = self._settings, settings
        if settings.accepts_per_s_max != before.accepts_per_s_max:
            self._set_rate(settings.accepts_per_s_max)

    def open(self, settings: ListenerSettings, listening: socket.socket | None = None) -> Listener:
        listener = Listener(settings, listening or open_socket(settings), self, listening is None)
        self._pollset.add(listener, IN if self.resumes_at is None else 0)
        self.listeners.append(listener)
        return listener

    def begin_pass(self, now: float) -> None:
        self._budget = self._settings.accepts_per_pass_max
        self._now = now
        if self.resumes_at is not None and now >= self.resumes_at:
            self.resumes_at = None
            for listener in self.listeners:
                if listener not in self._paused:
                    self._pollset.modify(listener, IN)

    def _rest(self) -> None:
        """Too many a second: what comes waits in the kernel's backlog, and wakes nobody."""
        self.resumes_at = self._bucket.has_at(self._rest_accepts)
        for listener in self.listeners:
            if listener not in self._paused:
                self._pollset.modify(listener, 0)

    def accept(self, listener: Listener) -> None:
        """Take what waits, within what is left of this pass's share and of the second's."""
        now = self._now
        while self._budget > 0 and self.resumes_at is None and listener not in self._paused:
            if now < self._bucket.opens_at:
                self._rest()
                return
            self._budget -= 1
            try:
                fd, host = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._bucket.spend(now)
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    if not self._refuse_without_descriptor(listener):
                        return
                    continue
                self._counters.accept_errors += 1
                if error.errno in PASSING:
                    continue
                self._pause(listener, self._settings.accept_pause_s)  # ENOBUFS, ENOMEM, and whatever else
                return
            self._bucket.spend(now)
            os.set_blocking(fd, False)
            address = network_of(host)
            reason = self._admission.refuse(address, self._wheel.tick)
            if reason is None:
                self._take(fd, address, listener)
            else:
                self._refuse(fd, listener, reason)

    def _refuse(self, fd: int, listener: Listener, reason: str) -> None:
        """Say why, if it is plain TCP, and close. TLS would first take a handshake: it is just closed."""
        refused = self._counters.refused
        refused[reason] = refused.get(reason, 0) + 1
        handle = socket.socket(listener.family, socket.SOCK_STREAM, 0, fileno=fd)
        try:
            handle.setblocking(False)
            if listener.settings.tls is None:
                handle.send(self._refusal(reason))
                handle.shutdown(socket.SHUT_WR)
                handle.recv(READ_AT_REFUSAL_BYTES)  # unread, it would turn the close into a reset
        except OSError:
            pass
        finally:
            handle.close()

    def _refuse_without_descriptor(self, listener: Listener) -> bool:
        """Whether it could be refused; if not, the listener rests for a while."""
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1
            try:
                fd, _ = listener.accept()
            except BlockingIOError:
                self._spare = _spare_descriptor()
                return False
            except OSError:  # another thread took the descriptor
                self._counters.accept_errors += 1
            else:
                self._refuse(fd, listener, NO_DESCRIPTOR)
                self._spare = _spare_descriptor()
                if self._spare >= 0:
                    return True
        self._pause(listener, self._settings.accept_pause_s)
        return False

    def _pause(self, listener: Listener, seconds: int) -> None:
        if listener not in self._paused and self.resumes_at is None:
            self._pollset.modify(listener, 0)
        self._paused[listener] = max(self._wheel.tick + seconds, self._paused.get(listener, 0))

    def pause(self, listener: Listener) -> None:
        """Take nobody more, until `resume`."""
        self._pause(listener, FOREVER_S)

    def resume(self, listener: Listener) -> None:
        if self._paused.pop(listener, None) is not None and self.resumes_at is None:
            self._pollset.modify(listener, IN)

    def hold(self) -> None:
        """Too many handshakes wait: take no more TLS connections until the next second."""
        for listener in self.listeners:
            if listener.settings.tls is not None:
                self._pause(listener, 1)

    def tick(self) -> None:
        """A second is over."""
        if self._spare < 0:
            self._spare = _spare_descriptor()
        for listener, until in list(self._paused.items()):
            if until <= self._wheel.tick:
                del self._paused[listener]
                if self.resumes_at is None:
                    self._pollset.modify(listener, IN)

    def take_out(self) -> list[Listener]:
        """Let go of the listeners without closing them."""
        taken, self.listeners = self.listeners, []
        for listener in taken:
            self._pollset.remove(listener)
        self._paused.clear()
        self.resumes_at = None
        return taken

    def stop(self) -> None:
        """Close the listeners; those who wait to be accepted are refused politely."""
        for listener in self.listeners:
            self._pollset.remove(listener)
            for _ in range(REFUSALS_AT_STOP_MAX):
                try:
                    fd, _host = listener.accept()
                except OSError:
                    break
                self._refuse(fd, listener, STOPPING)
            listener.socket.close()
        self.listeners.clear()
        self._paused.clear()
        self.resumes_at = None

    def close(self) -> None:
        """Let go of everything, without a word."""
        for listener in self.listeners:
            listener.socket.close()
        self.listeners.clear()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1


def _spare_descriptor() -> int:
    try:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
