"""A set of message numbers as sorted, disjoint intervals: the checker's memory for millions of messages.

Written apart from the node's own interval sets on purpose: the checker shares no code with what it checks.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence


class IntervalSet:
    """Integers ≥ 0. `_first[i].._last[i]` are the intervals: sorted, disjoint and never adjacent."""

    __slots__ = ("_first", "_last")

    def __init__(self) -> None:
        self._first: list[int] = []
        self._last: list[int] = []

    def add(self, first: int, last: int | None = None) -> None:
        """Add first..last (one number without `last`)."""
        if last is None:
            last = first
        firsts, lasts = self._first, self._last
        if lasts and lasts[-1] == first - 1:  # nearly always: the next number
            lasts[-1] = last
            return
        low = bisect_left(lasts, first - 1)  # the first interval that touches or follows
        high = bisect_right(firsts, last + 1)  # one after the last interval that touches
        if low < high:
            first = min(first, firsts[low])
            last = max(last, lasts[high - 1])
        firsts[low:high] = [first]
        lasts[low:high] = [last]

    def discard(self, n: int) -> None:
        """Take one number out, if it is in."""
        at = bisect_left(self._last, n)
        if at == len(self._first) or self._first[at] > n:
            return
        first, last = self._first[at], self._last[at]
        parts = [(a, b) for a, b in ((first, n - 1), (n + 1, last)) if a <= b]
        self._first[at : at + 1] = [a for a, _ in parts]
        self._last[at : at + 1] = [b for _, b in parts]

    def __contains__(self, n: int) -> bool:
        at = bisect_left(self._last, n)
        return at < len(self._first) and self._first[at] <= n

    def covers(self, first: int, last: int) -> bool:
        """Whether every number of first..last is in the set."""
        at = bisect_left(self._last, first)
        return at < len(self._first) and self._first[at] <= first and last <= self._last[at]

    def missing(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The intervals of first..last that are not in the set."""
        at = bisect_left(self._last, first)
        while first <= last:
            if at == len(self._first) or self._first[at] > last:
                yield first, last
                return
            if self._first[at] > first:
                yield first, self._first[at] - 1
            first = self._last[at] + 1
            at += 1

    def intervals(self) -> Iterator[tuple[int, int]]:
        return zip(self._first, self._last, strict=True)

    def missing_from(self, others: Sequence[IntervalSet]) -> Iterator[tuple[int, int]]:
        """The intervals of this set that are in none of the others."""
        for first, last in self.intervals():
            yield from _missing(first, last, others)

    def count(self) -> int:
        """How many numbers are in the set."""
        return sum(self._last) - sum(self._first) + len(self._first)

    def clear(self) -> None:
        self._first.clear()
        self._last.clear()

    @property
    def high(self) -> int:
        """The highest number, or 0."""
        return self._last[-1] if self._last else 0

    def check(self) -> None:
        """Assert the invariant."""
        for i, (first, last) in enumerate(self.intervals()):
            assert first <= last, (first, last)
            assert i == 0 or self._last[i - 1] + 1 < first, (self._last[i - 1], first)


def _missing(first: int, last: int, others: Sequence[IntervalSet]) -> Iterator[tuple[int, int]]:
    if not others:
        yield first, last
        return
    for a, b in others[0].missing(first, last):
        yield from _missing(a, b, others[1:])
