"""How late this process comes to its turn while a run goes on: what nodes did on a machine that had no time for them
says nothing of what they do.

    with Lateness() as lateness:
        …
    lateness.is_busy
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Final

from ops.faults.looking import Looking

STEP_S: Final = 0.05
LATE_S: Final = 0.025
BUSY_SHARE: Final = 0.10
"""So many turns that are late by more than LATE_S: the machine was too busy for times to be judged."""
KEPT_MAX: Final = 100_000
"""Late turns that are remembered with their times: of hours."""


class Lateness(Looking):
    """Context manager. turns: how many were looked at. late: those that came late."""

    def __init__(self) -> None:
        super().__init__(STEP_S)
        self.turns = 0
        self.late = 0
        self.most_s = 0.0
        self._ends: list[float] = []  # of late turns, when they came, and how late
        self._lates: list[float] = []

    def look(self, due: float) -> None:
        """A turn has come."""
        now = time.monotonic()
        self.note(now - due, now)

    def note(self, late_s: float, now: float = 0.0) -> None:
        """A turn came so late, now."""
        self.turns += 1
        self.most_s = max(self.most_s, late_s)
        if late_s > LATE_S:
            self.late += 1
            if len(self._ends) < KEPT_MAX:
                self._ends.append(now)
                self._lates.append(late_s)

    def lost_s(self, begin: float, end: float) -> float:
        """How much of a span of the monotonic clock nobody here had: turns that came late in it, as far as they lie
        in it. Where a machine is stopped, or every process of a run, that is all of it."""
        lost = 0.0
        for at in range(bisect_left(self._ends, begin), len(self._ends)):
            late_from = self._ends[at] - self._lates[at]
            if late_from >= end:
                break
            lost += min(end, self._ends[at]) - max(begin, late_from)
        return lost

    @property
    def share(self) -> float:
        """Of the turns, those that came late."""
        return self.late / self.turns if self.turns else 0.0

    @property
    def is_busy(self) -> bool:
        """Whether times of this run say nothing."""
        return self.share > BUSY_SHARE
