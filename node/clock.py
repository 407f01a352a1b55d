"""The time that mail counts by: Unix milliseconds that never go back and never leap.

Delays are counted with it, so it follows the monotonic clock (whose rate NTP corrects) from the wall clock's time at
the start; a wall clock that is set while the node runs changes nothing until the next start.
"""

import time
from collections.abc import Callable


class SteadyClock:
    """Call it for Unix milliseconds."""

    __slots__ = ("_monotonic", "_offset")

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._offset = wall() - monotonic()

    def __call__(self) -> int:
        return int((self._offset + self._monotonic()) * 1000)
