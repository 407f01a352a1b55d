"""How long partitions stood still for planned moves, counted by those who gave them (see `giving`): from the last thing
that was served until another node serves, or until it went on here.
"""

from typing import Final

HOLDS_MS: Final = (25, 50, 100, 250, 500, 1_000, 2_000)
"""A histogram's bounds. What phones notice begins somewhere in the middle."""
LONG_MS: Final = 500
"""No planned move is to hold a partition up for longer: a node that had no time is told of."""


class Holds:
    """`over`: how many lasted longer than each of `HOLDS_MS`."""

    __slots__ = ("count", "most_ms", "over")

    def __init__(self) -> None:
        self.count = 0
        self.most_ms = 0
        self.over = [0] * len(HOLDS_MS)

    def record(self, ms: int) -> None:
        """One is over."""
        self.count += 1
        self.most_ms = max(self.most_ms, ms)
        for place, bound in enumerate(HOLDS_MS):
            if ms > bound:
                self.over[place] += 1
