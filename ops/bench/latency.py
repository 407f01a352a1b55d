"""A histogram of latencies with a relative error of at most 0.2 %, as HdrHistogram keeps them.

Microseconds below 1,024 have a bucket each; above, every octave has 512 of them. Histograms of several
processes add up. This module must never know what is measured.
"""

from collections.abc import Iterable
from typing import Final

_LINEAR_BITS: Final = 10
_HALF: Final = 1 << (_LINEAR_BITS - 1)
_OCTAVES_MAX: Final = 27
LATENCY_US_MAX: Final = (1 << (_LINEAR_BITS + _OCTAVES_MAX)) - 1
"""A day and a half. What took longer is counted as this."""


def bucket_of(us: int) -> int:
    """The number of the bucket for a latency of `us` microseconds."""
    if us < 1 << _LINEAR_BITS:
        return us if us > 0 else 0
    if us > LATENCY_US_MAX:
        us = LATENCY_US_MAX
    shift = us.bit_length() - _LINEAR_BITS
    return _HALF * shift + (us >> shift)


def highest_of(bucket: int) -> int:
    """The highest latency in microseconds that is counted in `bucket`."""
    if bucket < 1 << _LINEAR_BITS:
        return bucket
    shift = bucket // _HALF - 1
    return ((bucket - _HALF * shift + 1) << shift) - 1


class Latencies:
    """Counted latencies. `counts` is open, so that a hot loop may count without a call."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def add(self, us: int) -> None:
        """Count one latency in microseconds; a negative one counts as 0."""
        bucket = us if 0 <= us < 1024 else bucket_of(us)
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1

    def merge(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Add (bucket, count) pairs of another histogram."""
        for bucket, count in pairs:
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def pairs(self) -> list[tuple[int, int]]:
        """(bucket, count) for every bucket in use, lowest first."""
        return sorted(self.counts.items())

    def clear(self) -> None:
        """Forget everything."""
        self.counts.clear()

    @property
    def count(self) -> int:
        """How many latencies were counted."""
        return sum(self.counts.values())

    def percentile_us(self, percent: float) -> int | None:
        """The latency in microseconds that `percent` of all stay at or below; None if nothing was counted."""
        total = self.count
        if not total:
            return None
        assert 0 < percent <= 100
        rank = max(1, -int(-total * percent // 100))
        seen = 0
        for bucket, count in self.pairs():
            seen += count
            if seen >= rank:
                return highest_of(bucket)
        raise AssertionError("the counts changed while they were read")

    def summary_ms(self) -> dict[str, float | None]:
        """p50, p99, p99.9 and the maximum, in milliseconds."""
        wanted = (("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9), ("max", 100.0))
        return {
            name: None if (us := self.percentile_us(percent)) is None else us / 1000
            for name, percent in wanted
        }
