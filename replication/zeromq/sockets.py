"""ZeroMQ sockets as links need them: encrypted, bounded, impatient. Knows no peers and no tasks.

Why the options are as they are:

- LINGER 0: what wasn't sent when a link ends is lost; replication sends it again.
- IMMEDIATE, RECONNECT_IVL -1: a socket has one connection in its life. Nothing is queued for a peer that isn't there,
  nothing is sent to its successor, and libzmq's own reconnecting is out of the way: it gives up for good after a
  protocol error (a port that something else listens on), and aborts the process if input was stopped by a full
  queue when the connection went (github.com/zeromq/libzmq issues 3937 and 4767, pull request 4830).
- no HEARTBEAT_IVL, for it ends healthy connections whose reader is slow, or while one large message is on its way
  (libzmq issues 2709, 4830). Links have a heartbeat of their own; TCP's keepalive clears up what vanished peers left.
- SNDHWM, RCVHWM: a few batches. They count messages, not bytes; what is bounded by bytes is the `Outbox` before them.
- MAXMSGSIZE: a larger message ends its connection.
"""

from __future__ import annotations

import itertools
import sys

import zmq

from replication.zeromq.adapter import Socket
from replication.zeromq.address import Address
from replication.zeromq.keys import Keys
from replication.zeromq.settings import OVERHEAD_BYTES, REPLIES_MAX, SOCKETS_MAX, LinkSettings
from replication.zeromq.zap import DOMAIN

Context = zmq.Context[zmq.Socket[bytes]]

ENDS = int(zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
"""Events of a connecting socket after which nothing comes any more."""

FAILED_HANDSHAKES = int(
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)

UNTOLD = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
"""The one of these that tells no reason: the other side ended it, or said nothing in time."""


def make_context() -> Context:
    """One for each node: who may connect is asked within a context."""
    context: Context = zmq.Context(io_threads=1)
    context.set(zmq.MAX_SOCKETS, SOCKETS_MAX)
    return context


class Sockets:
    """Makes the sockets of one node."""

    __slots__ = ("_context", "_monitors", "_settings", "keys")

    def __init__(self, keys: Keys, settings: LinkSettings) -> None:
        self._context: Context | None = None
        self.keys = keys
        self._settings = settings
        self._monitors = itertools.count()

    def start(self) -> Context:
        """Before anything else."""
        self._context = make_context()
        return self._context

    def end(self) -> None:
        """Close everything at once."""
        if self._context is not None:
            self._context.destroy(linger=0)

    def router(self) -> zmq.Socket[bytes]:
        """What peers connect to; to be bound."""
        raw = self._make(zmq.ROUTER)
        raw.setsockopt(zmq.SNDHWM, REPLIES_MAX)
        raw.setsockopt(zmq.BACKLOG, self._settings.backlog)
        raw.curve_server = True
        raw.zap_domain = DOMAIN.encode("ascii")
        return raw

    def dealer(self, address: Address, server_key: str) -> zmq.Socket[bytes]:
        """What connects to a peer's ROUTER; to be connected. `address` is numeric."""
        settings = self._settings
        raw = self._make(zmq.DEALER)
        raw.setsockopt(zmq.SNDHWM, settings.batches_max)
        raw.setsockopt(zmq.IMMEDIATE, 1)
        raw.setsockopt(zmq.RECONNECT_IVL, -1)
        raw.setsockopt(zmq.CONNECT_TIMEOUT, settings.connect_ms_max)
        raw.setsockopt(zmq.IPV6, int(address.is_ipv6))
        raw.curve_serverkey = server_key.encode("ascii")
        return raw

    def monitor(self, raw: zmq.Socket[bytes], events: int) -> Socket:
        """A socket that tells what becomes of the connections of another. To be closed with `end_monitor`."""
        # An address of its own for each: by pyzmq's default it is made of the descriptor's number, which may be
        # used again before the last one's end is known.
        return Socket(raw.get_monitor_socket(events, f"inproc://monitor-{next(self._monitors)}"))

    def _make(self, kind: int) -> zmq.Socket[bytes]:
        settings = self._settings
        assert self._context is not None, "started"
        raw = self._context.socket(kind)
        raw.setsockopt(zmq.LINGER, 0)
        raw.setsockopt(zmq.RCVHWM, settings.batches_max)
        raw.setsockopt(zmq.MAXMSGSIZE, settings.message_bytes_max + OVERHEAD_BYTES)
        raw.setsockopt(zmq.HANDSHAKE_IVL, settings.handshake_ms_max)
        raw.setsockopt(zmq.TCP_KEEPALIVE, 1)
        raw.setsockopt(zmq.TCP_KEEPALIVE_IDLE, settings.keepalive_idle_s)
        raw.setsockopt(zmq.TCP_KEEPALIVE_INTVL, settings.keepalive_interval_s)
        raw.setsockopt(zmq.TCP_KEEPALIVE_CNT, settings.keepalive_probes)
        self.put_keys(raw)
        return raw

    def put_keys(self, raw: zmq.Socket[bytes]) -> None:
        """What this socket binds or connects from now on has the keys of this node."""
        raw.curve_publickey = self.keys.public.encode("ascii")
        raw.curve_secretkey = self.keys.secret.encode("ascii")


def end_monitor(raw: zmq.Socket[bytes], monitor: Socket) -> None:
    """In this order: libzmq's I/O thread would wait forever to tell a monitor that is gone (libzmq issue 3575)."""
    if not raw.closed:
        raw.disable_monitor()
    monitor.close()


def value_of(first_frame: bytes) -> int:
    """What is told with an event."""
    return int.from_bytes(first_frame[2:6], sys.byteorder)


def event_of(first_frame: bytes) -> int:
    """Which event a monitor tells of (zmq_socket_monitor(3))."""
    return int.from_bytes(first_frame[:2], sys.byteorder)
