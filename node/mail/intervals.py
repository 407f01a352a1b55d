"""Sets of positive integers kept as sorted, disjoint, non-adjacent closed intervals.

A device's numbers for one recipient are gapless, so what is gone is nearly always one interval; the set is a flat
list ``[first, last, first, last, ...]`` that is also its stored form. It knows nothing of mail.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator


class Intervals:
    """A mutable set of integers. Adding the number after the last one costs one comparison and one assignment."""

    __slots__ = ("spans",)

    def __init__(self, spans: Iterable[int] = ()) -> None:
        """``spans``: the stored form, ``[first, last, ...]``, sorted, disjoint and not adjacent.

        Raises ValueError if it is not.
        """
        self.spans = list(spans)
        self.check()

    def check(self) -> None:
        """Raise ValueError unless the spans are whole, sorted, disjoint and not adjacent."""
        spans = self.spans
        if len(spans) % 2:
            raise ValueError("an interval without an end")
        last = -1
        for i in range(0, len(spans), 2):
            if spans[i] <= last + 1 or spans[i + 1] < spans[i]:
                raise ValueError(f"intervals out of order at {spans[i]}..{spans[i + 1]}")
            last = spans[i + 1]

    def __contains__(self, n: int) -> bool:
        spans = self.spans
        if len(spans) == 2:
            return spans[0] <= n <= spans[1]
        i = bisect_left(spans, n)
        return i < len(spans) and (i % 2 == 1 or spans[i] == n)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Intervals) and self.spans == other.spans

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Intervals({', '.join(f'{a}..{b}' for a, b in self.ranges())})"

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The intervals as (first, last), ascending."""
        spans = self.spans
        for i in range(0, len(spans), 2):
            yield spans[i], spans[i + 1]

    def __len__(self) -> int:
        """How many numbers, not how many intervals."""
        spans = self.spans
        return sum(spans[1::2]) - sum(spans[::2]) + len(spans) // 2

    def highest(self) -> int:
        """The highest number, 0 if there is none."""
        return self.spans[-1] if self.spans else 0

    def end_of(self, n: int) -> int:
        """The last number of the interval that holds ``n``, or ``n - 1`` if none does."""
        i = bisect_left(self.spans, n)
        if i < len(self.spans) and (i % 2 == 1 or self.spans[i] == n):
            return self.spans[i | 1]
        return n - 1

    def add(self, n: int) -> None:
        """Put one number in."""
        spans = self.spans
        if spans and spans[-1] == n - 1:
            spans[-1] = n
        else:
            self.add_range(n, n)

    def add_range(self, first: int, last: int) -> None:
        """Put first..last in."""
        assert first <= last
        spans = self.spans
        if spans and spans[-1] == first - 1:
            spans[-1] = last
            return
        # Everything that touches or neighbours first..last melts into one interval.
        low = bisect_left(spans, first - 1)
        high = bisect_left(spans, last + 2)
        if low % 2:
            low -= 1
            first = spans[low]
        if high % 2:
            last = max(last, spans[high])
            high += 1
        elif high > low:
            last = max(last, spans[high - 1])
        if high > low:
            first = min(first, spans[low])
        spans[low:high] = [first, last]

    def remove_range(self, first: int, last: int) -> None:
        """Take first..last out."""
        kept: list[int] = []
        for a, b in self.ranges():
            if b < first or a > last:
                kept += (a, b)
                continue
            if a < first:
                kept += (a, first - 1)
            if b > last:
                kept += (last + 1, b)
        self.spans = kept

    def update(self, other: "Intervals") -> None:
        """Put all of ``other`` in."""
        for first, last in other.ranges():
            self.add_range(first, last)

    def clear(self) -> None:
        """Take all out."""
        self.spans.clear()

    def trim(self, most: int) -> None:
        """Forget the lowest intervals, so that ``most`` are left."""
        if len(self.spans) > 2 * most:
            del self.spans[: -2 * most]

    def covers(self, first: int, last: int) -> bool:
        """Whether all of first..last is in."""
        return self.end_of(first) >= last
