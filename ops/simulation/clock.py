"""Virtual time: a queue of what happens when, and the clocks that nodes see.

One clock drives a world; nothing in it reads the real one. Events of the same millisecond happen in the order in which
they were queued, so a run is a function of its seed.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

EPOCH_MS: Final = 1_700_000_000_000
"""What the wall clocks show when a world begins (Unix ms)."""


EVENTS_MAX: Final = 300_000
"""Events of one run. A world that has more is one in which messages breed."""


class TooManyEventsError(Exception):
    """Nothing comes to an end."""


class Clock:
    """Milliseconds since the world began, and what is to happen."""

    __slots__ = ("_count", "_queue", "events", "now")

    def __init__(self) -> None:
        self.now = 0
        self.events = 0
        self._count = 0
        self._queue: list[tuple[int, int, Callable[..., Any], tuple[Any, ...]]] = []

    def after(self, delay_ms: int, call: Callable[..., Any], *arguments: Any) -> None:
        """Call something in so many milliseconds."""
        self._count += 1
        heappush(self._queue, (self.now + delay_ms, self._count, call, arguments))

    def run_until(self, when: int) -> None:
        """Let everything happen up to a time, and what that brings about until then."""
        queue = self._queue
        while queue and queue[0][0] <= when:
            self.now, _, call, arguments = heappop(queue)
            self.events += 1
            if self.events > EVENTS_MAX:
                raise TooManyEventsError(f"{self.events} events, and no end")
            call(*arguments)
        self.now = max(self.now, when)


class NodeClock:
    """What one node believes the time to be. Its wall clock jumps; its monotonic one doesn't, as Linux's don't."""

    __slots__ = ("_clock", "_since", "_wall_offset")

    def __init__(self, clock: Clock, since_ms: int) -> None:
        self._clock = clock
        self._since = since_ms
        self._wall_offset = 0

    def monotonic_ms(self) -> int:
        """Milliseconds since some moment of its own."""
        return self._clock.now + self._since

    def wall(self) -> float:
        """Unix seconds, as `time.time`."""
        return (EPOCH_MS + self._clock.now + self._wall_offset) / 1000

    def jump(self, by_ms: int) -> None:
        """Somebody sets the wall clock."""
        self._wall_offset += by_ms
