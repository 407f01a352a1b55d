"""Counts of whole numbers by powers of two: what a part records where a mean would hide what matters.

Recording costs an increment, so it may stand on the way of every message. Knows nothing of what it counts.
"""

from __future__ import annotations

import attrs

BUCKETS = 32
BITS_MAX = 64
"""Of a number that is recorded."""


class Histogram:
    """`record` adds to it, `picture` hands it out. Negative numbers count as 0."""

    __slots__ = ("buckets", "most", "total")

    def __init__(self) -> None:
        # bucket i: less than 2**i, and not in the one before. More than are handed out, so that `record` needs no look
        # whether there is one.
        self.buckets = [0] * (BITS_MAX + 1)
        self.most = 0
        self.total = 0

    def record(self, number: int) -> None:
        if number > self.most:
            self.most = number
        elif number < 0:
            number = 0
        self.total += number
        self.buckets[number.bit_length()] += 1

    def picture(self) -> Distribution:
        return together(self)


def together(*histograms: Histogram) -> Distribution:
    """What several have recorded, as one."""
    sums = list(map(sum, zip(*(one.buckets for one in histograms), strict=True)))
    buckets = (*sums[: BUCKETS - 1], sum(sums[BUCKETS - 1 :]))  # the last: the rest
    return Distribution(buckets, max(one.most for one in histograms), sum(one.total for one in histograms))


@attrs.frozen
class Distribution:
    """A histogram at one moment. Two of them differ by what came in between."""

    buckets: tuple[int, ...]
    most: int  # since the beginning
    total: int = 0  # the sum of all numbers

    def quantile(self, share: float) -> int:
        """An upper bound of the given quantile (0 to 1), as coarse as the buckets; 0 if nothing was recorded."""
        wanted = share * sum(self.buckets)
        seen = 0
        for index, count in enumerate(self.buckets):
            seen += count
            if count and seen >= wanted:
                return min((1 << index) - 1, self.most)
        return self.most
