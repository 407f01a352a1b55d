"""Descriptors in the hub's poll set that aren't connections: those of other parts, and the hub's own bell."""

from __future__ import annotations

import os
from collections.abc import Callable

from node.hub.connection import OTHER, Entry


class Watch(Entry):
    """Calls `callback` when `fd` is readable. Whoever asked for it owns the descriptor."""

    __slots__ = ("_callback",)

    def __init__(self, fd: int, callback: Callable[[], None]) -> None:
        self.fd = fd
        self.flags = OTHER
        self._callback = callback

    def ready(self) -> None:
        self._callback()


class Waker(Watch):
    """An eventfd that ends the hub's sleep. Any thread may ring it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC), self._clear)

    def ring(self) -> None:
        os.eventfd_write(self.fd, 1)

    def _clear(self) -> None:
        os.eventfd_read(self.fd)

    def close(self) -> None:
        os.close(self.fd)
        self.fd = -1
