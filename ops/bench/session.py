"""One user's connection to the server under load, as every dialect needs it.

This module must never know a protocol.
"""

import socket
import time
from typing import Final

_USERS_PER_ADDRESS: Final = 100

CONNECTING, SHAKING, LOGGING_IN, READY = range(4)


class LoadError(Exception):
    """The server did what makes the measurement worthless, such as closing a connection. The text says what."""


def now_us() -> int:
    """Microseconds of a clock that all processes of this machine share."""
    return time.monotonic_ns() // 1000


def source_of(index: int) -> str:
    """The loopback address that a user connects from: 100 users share one, so that none stands out."""
    group = index // _USERS_PER_ADDRESS
    return f"127.{1 + (group >> 16) % 250}.{(group >> 8) & 255}.{group & 255}"


class Session:
    """One user's connection. Dialects add slots."""

    __slots__ = ("flight", "index", "partners", "pending", "remainder", "sock", "state", "turn")

    def __init__(self, index: int, partners: int) -> None:
        self.index = index
        self.partners = partners
        self.sock: socket.socket = None  # type: ignore[assignment]  # set by connect
        self.state = CONNECTING
        self.remainder = b""
        self.pending = b""
        self.flight = 0
        self.turn = 0
