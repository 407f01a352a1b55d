"""Letting the committer work alone for a moment.

LMDB's binding gives up the interpreter around every operation. While the loop's thread is busy, the committer then
waits for it again and again, at the price of two context switches a row (measured: three times the CPU of an
overwrite). So when it has noticed that it waits, the committer asks for the floor: the loop, in `deliver_results`,
lets it work alone for about a millisecond, and goes on. The commit itself, with its fsync, never holds the floor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

SLICE_SECONDS: Final = 0.001
"""How long the committer holds the floor before it gives it back and asks again."""

SLICE_ROWS: Final = 128
"""Rows between two looks at the clock."""

FOREIGN_SLICE_ROWS: Final = 256
"""The same of other nodes' records, which cost less each."""

PATIENCE_SECONDS: Final = 0.005
"""How long the committer waits for the floor before it goes on without."""

ROWS_PER_SWITCH: Final = 8
"""One context switch for so many rows, in a batch that didn't ask, and the committer asks from then on. Alone it has
none; CPU time tells nothing, for most of what is lost goes into waking up in vain."""

SWITCHES_MIN: Final = 4
"""Fewer in one batch are no reason."""

PROBE_EVERY: Final = 16
"""Batches after which it tries again whether it still has to ask."""

SULK_BATCHES: Final = 64
"""Batches for which it doesn't ask again after the loop didn't come: then the machine is short of CPU, not of turns."""


class Floor:
    """Who may run: the loop (normally everybody), or the committer alone."""

    __slots__ = ("_asking", "_granted", "_mutex", "_returned", "grants", "sulking", "until_probe")

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._granted = threading.Lock()
        self._returned = threading.Lock()
        self._granted.acquire()
        self._returned.acquire()
        self._asking = False
        self.until_probe = 0
        self.sulking = 0
        self.grants = 0

    # ---- the committer's side -----------------------------------------------------------------------

    @property
    def wanted(self) -> bool:
        """Whether the next batch should ask."""
        return self.until_probe > 0

    def learn(self, switches: int, rows: int) -> None:
        """Take in how often the thread had to wait in a batch that didn't ask."""
        if self.sulking:
            self.sulking -= 1
        elif switches >= SWITCHES_MIN and switches * ROWS_PER_SWITCH > rows:
            self.until_probe = PROBE_EVERY

    def take(self) -> bool:
        """Wait until the loop lets this thread work alone; False if it doesn't come. After True, `give` it back."""
        self._asking = True
        granted: bool = self._granted.acquire(timeout=PATIENCE_SECONDS)
        if not granted and self._withdraw():
            self.until_probe = 0
            self.sulking = SULK_BATCHES
            return False
        if not granted:
            self._granted.acquire()  # granted in this very moment: the loop is waiting
        return True

    def _withdraw(self) -> bool:
        # Either side may answer the request; this says whether the caller was the one.
        with self._mutex:
            asking = self._asking
            self._asking = False
        return asking

    def give(self) -> None:
        """Let the loop go on."""
        self._returned.release()

    # ---- the loop's side ----------------------------------------------------------------------------

    def grant(self) -> None:
        """If the committer asks, let it work alone until it gives the floor back."""
        if not self._asking or not self._withdraw():
            return
        self._granted.release()
        self.grants += 1
        self._returned.acquire()


class Slices:
    """The floor during one batch: taken, given back each millisecond, and given back at the end for sure."""

    __slots__ = ("_floor", "_held", "_until", "_wake")

    def __init__(self, floor: Floor, wake: Callable[[], None]) -> None:
        self._floor = floor
        self._wake = wake
        self._held = False
        self._until = 0.0

    def step(self) -> None:
        """Between some rows and the next."""
        if self._held:
            if time.perf_counter() < self._until:
                return
            self.end()
        if self._floor.wanted:
            self._wake()
            self._held = self._floor.take()
            self._until = time.perf_counter() + SLICE_SECONDS

    def end(self) -> None:
        """Give the floor back, if it is held."""
        if self._held:
            self._held = False
            self._floor.give()
