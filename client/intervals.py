"""Sets of positive numbers kept as closed intervals, for counters that are nearly gapless.

A set of a million numbers received in order is one pair of integers. This module must never know what the
numbers count.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class IntervalSet:
    """A mutable set of integers ≥ 1; `add` and `discard` take whole ranges.

    Kept as two sorted lists, the first and the last number of each interval. Intervals never touch.
    """

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in intervals:
            self.add(first, last)

    @classmethod
    def parse(cls, text: str) -> "IntervalSet":
        """The set that `str()` wrote: "1-5,7"."""
        parts = (part.partition("-") for part in text.split(",") if part)
        return cls((int(first), int(last or first)) for first, _, last in parts)

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self)

    def __repr__(self) -> str:
        return f"IntervalSet({str(self)!r})"

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def __len__(self) -> int:
        """How many intervals, not how many numbers."""
        return len(self._firsts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._firsts == other._firsts and self._lasts == other._lasts

    __hash__ = None  # type: ignore[assignment]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._lasts[at]

    @property
    def highest(self) -> int:
        """The largest number in the set; 0 when it is empty."""
        return self._lasts[-1] if self._lasts else 0

    def covers(self, first: int, last: int) -> bool:
        """Whether every number of `first..last` is in the set."""
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and last <= self._lasts[at]

    def add(self, first: int, last: int) -> None:
        """Put `first..last` in."""
        assert 1 <= first <= last
        firsts, lasts = self._firsts, self._lasts
        if lasts and first == lasts[-1] + 1:
            lasts[-1] = last
            return
        start = bisect_left(lasts, first - 1)
        end = bisect_right(firsts, last + 1)
        if start < end:
            first = min(first, firsts[start])
            last = max(last, lasts[end - 1])
        firsts[start:end] = [first]
        lasts[start:end] = [last]

    def discard(self, first: int, last: int) -> None:
        """Take `first..last` out, as far as it is in."""
        assert 1 <= first <= last
        firsts, lasts = self._firsts, self._lasts
        start = bisect_left(lasts, first)
        end = bisect_right(firsts, last)
        if start >= end:
            return
        kept: list[tuple[int, int]] = []
        if firsts[start] < first:
            kept.append((firsts[start], first - 1))
        if lasts[end - 1] > last:
            kept.append((last + 1, lasts[end - 1]))
        firsts[start:end] = [pair[0] for pair in kept]
        lasts[start:end] = [pair[1] for pair in kept]

    def missing(self, first: int, last: int) -> list[tuple[int, int]]:
        """The parts of `first..last` that are not in the set, as intervals."""
        found: list[tuple[int, int]] = []
        at = bisect_left(self._lasts, first)
        while first <= last:
            if at == len(self._firsts) or self._firsts[at] > last:
                found.append((first, last))
                break
            if first < self._firsts[at]:
                found.append((first, self._firsts[at] - 1))
            first = self._lasts[at] + 1
            at += 1
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._firsts.clear()
        self._lasts.clear()

    def drop_lowest(self) -> None:
        """Forget the lowest interval."""
        del self._firsts[0], self._lasts[0]
