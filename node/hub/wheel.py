"""A lazy timer wheel of one-second slots: when is a connection to be looked at next?

Activity only writes `connection.tick`; the wheel learns of it when the slot comes. A slot holds descriptor
numbers, so that the wheel keeps no closed connection alive: an entry counts only if the connection that has
the number now is due in this very slot. (The idea is Varghese and Lauck's, 1987, hashed wheels, scheme 6.)

The wheel knows no clock: whoever owns it says when a second is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, Protocol

SLOTS = 256  # CPython shares the integers up to 256: a connection's slot costs no object of its own
SECONDS_MAX = SLOTS - 1  # of one wait; who waits longer is placed again when that is over


class Placed(Protocol):
    """What the wheel needs of a connection."""

    fd: int
    due: int


class Wheel:
    """`place` puts a connection into a slot, `advance` makes the next slot due, `take` hands out what is due."""

    __slots__ = ("_due", "_slots", "tick")

    def __init__(self) -> None:
        self.tick = 0
        self._slots: list[list[int]] = [[] for _ in range(SLOTS)]
        self._due: deque[tuple[int, list[int]]] = deque()  # (slot, descriptors) whose second has come

    def place(self, connection: Placed, seconds: int) -> None:
        """Look at it in `seconds` (1 to SECONDS_MAX), and not when an earlier call said."""
        slot = (self.tick + max(1, min(seconds, SECONDS_MAX))) % SLOTS
        connection.due = slot
        self._slots[slot].append(connection.fd)

    def advance(self) -> None:
        """One second is over."""
        self.tick += 1
        slot = self.tick % SLOTS
        if self._slots[slot]:
            self._due.append((slot, self._slots[slot]))
            self._slots[slot] = []

    @property
    def has_due(self) -> bool:
        return bool(self._due)

    def take(self, entries: Sequence[Any], count_max: int) -> list[Any]:
        """Up to `count_max` entries off what is due, without those that were closed or placed anew.

        Args:
            entries: what stands at each descriptor number.
        """
        taken: list[Any] = []
        while self._due and count_max > 0:
            slot, fds = self._due[0]
            part = fds[-count_max:]
            del fds[-count_max:]
            count_max -= len(part)
            for fd in part:
                entry = entries[fd]
                if entry is not None and getattr(entry, "due", -1) == slot:
                    entry.due = -1  # a second entry for the same slot doesn't count
                    taken.append(entry)
            if not fds:
                self._due.popleft()
        return taken

    def __len__(self) -> int:
        """Entries held, outdated ones included."""
        return sum(map(len, self._slots)) + sum(len(fds) for _, fds in islice(self._due, None))
