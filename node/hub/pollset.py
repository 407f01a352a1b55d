"""The epoll set and what stands at each descriptor number.

A list indexed by the descriptor, not a dictionary: numbers are dense, a place costs 8 bytes, and the look-up
is the first thing that happens to every event.
"""

from __future__ import annotations

import select
from typing import Any

from node.hub.connection import Entry

IN = select.EPOLLIN
OUT = select.EPOLLOUT
ONESHOT = select.EPOLLONESHOT


class PollSet:
    """`entries[fd]` is a Connection, a Listener, a Watch, or None; typed loosely because the hot path tells
    them apart by their flags."""

    __slots__ = ("entries", "epoll")

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.entries: list[Any] = []

    def add(self, entry: Entry, events: int) -> None:
        """Poll `entry.fd` for `events`.

        Raises:
            OSError: the kernel has no room for it (ENOMEM, ENOSPC: fs.epoll.max_user_watches).
        """
        fd = entry.fd
        entries = self.entries
        if fd >= len(entries):
            entries.extend([None] * (fd + 1 - len(entries)))
        assert entries[fd] is None, "two entries with one descriptor"
        self.epoll.register(fd, events)
        entries[fd] = entry

    def modify(self, entry: Entry, events: int) -> None:
        self.epoll.modify(entry.fd, events)

    def remove(self, entry: Entry) -> None:
        """Must come before the descriptor is closed: a copy of it may live in a process being started."""
        self.entries[entry.fd] = None
        self.epoll.unregister(entry.fd)

    def check(self) -> None:
        """Invariants, for tests."""
        for fd, entry in enumerate(self.entries):
            assert entry is None or entry.fd == fd

    def close(self) -> None:
        self.epoll.close()
