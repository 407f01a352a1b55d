"""How late this process comes to its turn while a run goes on: what nodes did on a machine that had no time for them
says nothing of what they do.

    with Lateness() as lateness:
        …
    lateness.is_busy
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Self

STEP_S: Final = 0.05
LATE_S: Final = 0.025
BUSY_SHARE: Final = 0.10
"""So many turns that are late by more than LATE_S: the machine was too busy for times to be judged."""


class Lateness:
    """Context manager. turns: how many were looked at. late: those that came late."""

    def __init__(self) -> None:
        self.turns = 0
        self.late = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        due = time.monotonic() + STEP_S
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            self.note(time.monotonic() - due)
            due = time.monotonic() + STEP_S

    def note(self, late_s: float) -> None:
        """A turn came so late."""
        self.turns += 1
        self.late += late_s > LATE_S

    @property
    def share(self) -> float:
        """Of the turns, those that came late."""
        return self.late / self.turns if self.turns else 0.0

    @property
    def is_busy(self) -> bool:
        """Whether times of this run say nothing."""
        return self.share > BUSY_SHARE
