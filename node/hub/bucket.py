"""How often something may happen: a token bucket that is a single time.

The generic cell rate algorithm (ITU-T I.371): instead of counting tokens, it keeps the time from which on the next
one is there, so that "is one there?" and "when will one be?" are the same comparison and can't disagree. It knows no
clock and not what it counts.
"""

from __future__ import annotations

import math


class Bucket:
    """`burst` at once, `per_s` a second in the long run; 0 a second means no limit."""

    __slots__ = ("_interval", "_slack", "opens_at")

    def __init__(self, per_s: float, burst: int) -> None:
        self._interval = 1 / per_s if per_s else 0.0
        # Half an interval more than it takes: a sum of intervals mustn't miss the last token by a rounding error.
        self._slack = (burst - 0.5) / per_s if per_s else math.inf
        self.opens_at = -math.inf  # the next token is there from then on

    def spend(self, now: float) -> None:
        """One token; whoever spends has looked at `opens_at`."""
        self.opens_at = max(self.opens_at, now - self._slack) + self._interval

    def has_at(self, count: int) -> float:
        """When so many tokens, at most the burst, will be there if none is spent."""
        return self.opens_at + (count - 1) * self._interval
