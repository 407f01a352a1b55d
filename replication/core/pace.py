"""How many partitions stand still for planned moves at once: few at first, more while they are taken over quickly, and
fewer as soon as that takes long. What stands still waits for all the others that do, and for machines that have
something else to do; who moves many waits instead, while they are served.
"""

AT_ONCE_FIRST = 8
"""Partitions, before any was moved."""
QUICK_MS = 100
"""When as many as may stand still at once were over so soon, one more may."""
SLOW_MS = 200
"""After what stood still for longer, half as many do."""


class Pace:
    """Of one group on one node. `at_once`: partitions that may stand still now."""

    __slots__ = ("at_once", "fewer_at", "quick")

    def __init__(self) -> None:
        self.at_once = AT_ONCE_FIRST
        self.quick = 0  # that were, since it changed
        self.fewer_at = -(10**12)

    def ended(self, now: int, ms: int, most: int) -> None:
        """One stood still for so long. Those that began before the last that was slow ended don't count again."""
        if ms <= QUICK_MS:
            self.quick += 1
            if self.quick >= self.at_once:
                self.at_once, self.quick = min(most, self.at_once + 1), 0
        elif ms > SLOW_MS and now - ms >= self.fewer_at:
            self.fewer_at = now
            self.at_once, self.quick = max(1, self.at_once // 2), 0
