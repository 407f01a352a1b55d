"""What is seen from outside while a world runs: events, the checkers that look at them, and a digest of them all.

Events are plain values. Nothing that judges a run may look anywhere else than at these, at disks, and at what clients
were told.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, NamedTuple

from ops.simulation.checkers.base import Violation
from ops.simulation.clock import Clock

Observer = Callable[[Any], None]


class Fault(NamedTuple):
    """A step of the plan was done to the world."""

    kind: str
    arguments: tuple[Any, ...]


class Up(NamedTuple):
    """A node began to run, in one more life."""

    node: int
    life: int


class Down(NamedTuple):
    """A node is gone, with all that it had in memory."""

    node: int
    why: str


class DiskLost(NamedTuple):
    """A node's disk became an older one, or an empty one."""

    node: int
    how: str


class Peace(NamedTuple):
    """From now on nothing is done to the world any more."""


class Trace:
    """Hands each event to those who asked for its type.

    Args:
        digest: make a digest of everything observed: two runs with the same one were the same.
        keep: keep the events with their times, for people.
    """

    __slots__ = ("_clock", "_hash", "_observers", "broken", "broken_at", "events", "kept")

    def __init__(self, clock: Clock, *, digest: bool = False, keep: bool = False) -> None:
        self._clock = clock
        self._observers: dict[type, list[Observer]] = {}
        self._hash = blake2b(digest_size=16) if digest else None
        self.kept: list[tuple[int, Any]] | None = [] if keep else None
        self.events = 0
        self.broken: Violation | None = None
        self.broken_at = 0

    def subscribe(self, kind: type, observer: Observer) -> None:
        """Call `observer` with every event of a type."""
        self._observers.setdefault(kind, []).append(observer)

    def observe(self, event: Any) -> None:
        """Something happened. A checker's violation is kept, not raised: the code that is judged could swallow it."""
        self.events += 1
        if self._hash is not None:
            self._hash.update(f"{self._clock.now} {type(event).__name__} {tuple(event)!r}\n".encode())
        if self.kept is not None:
            self.kept.append((self._clock.now, event))
        for observer in self._observers.get(type(event), ()):
            self.judge(observer, event)

    def judge(self, look: Callable[..., None], *arguments: Any) -> None:
        """Let a checker look at something; what it raises is kept."""
        try:
            look(*arguments)
        except Violation as violation:
            if self.broken is None:
                self.broken, self.broken_at = violation, self._clock.now

    def digest(self) -> str:
        """Of all so far; empty if none is made."""
        return "" if self._hash is None else self._hash.hexdigest()
