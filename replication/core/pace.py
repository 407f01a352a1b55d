"""How many partitions stand still for planned moves at once: few at first, more while they are taken over quickly, and
fewer as soon as that takes long. What stands still waits for all the others that do, and for machines that have
something else to do; who moves many waits instead, while they are served.

As with TCP's window (RFC 5681): twice as many from round to round until it took long for the first time, then one more.
Twice as many that wait for one another wait twice as long: from QUICK_MS that is SLOW_MS, and no round before the first
slow one comes near a hold that is too long.
"""

AT_ONCE_FIRST = 8
"""Partitions, before any was moved."""
QUICK_MS = 100
"""Each that was over so soon makes room for one more; after the first slow one, as many as may stand still at once."""
SLOW_MS = 200
"""After what stood still for longer, half as many do."""
REST_MS = 10_000
"""Nothing was moved for so long: the machine may have something else to do by now."""


class Pace:
    """Of one group on one node. `at_once`: partitions that may stand still now."""

    __slots__ = ("at_once", "ended_at", "fewer_at", "quick", "was_slow")

    def __init__(self) -> None:
        self.at_once = AT_ONCE_FIRST
        self.was_slow = False
        self.quick = 0  # that were, since it changed
        self.fewer_at = self.ended_at = -(10**12)

    def begins(self, now: int) -> None:
        """Nothing stands still, and something is about to."""
        if now - self.ended_at >= REST_MS:
            self.at_once, self.quick, self.was_slow = min(self.at_once, AT_ONCE_FIRST), 0, False

    def ended(self, now: int, ms: int, most: int) -> None:
        """One stood still for so long. Those that began before the last that was slow ended don't count again."""
        self.ended_at = now
        if ms <= QUICK_MS:
            self.quick += 1
            if not self.was_slow or self.quick >= self.at_once:
                self.at_once, self.quick = min(most, self.at_once + 1), 0
        elif ms > SLOW_MS and now - ms >= self.fewer_at:
            self.fewer_at, self.was_slow = now, True
            self.at_once, self.quick = max(1, self.at_once // 2), 0
