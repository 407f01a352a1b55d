"""Intervals against a plain set of integers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from client.intervals import IntervalSet

ranges = st.tuples(st.integers(1, 60), st.integers(0, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
steps = st.lists(st.tuples(st.booleans(), ranges), max_size=30)


def numbers(intervals: IntervalSet) -> set[int]:
    return {n for first, last in intervals for n in range(first, last + 1)}


@given(steps)
def test_it_is_a_set(history: list[tuple[bool, tuple[int, int]]]) -> None:
    intervals, model = IntervalSet(), set[int]()
    for adding, (first, last) in history:
        if adding:
            intervals.add(first, last)
            model |= set(range(first, last + 1))
        else:
            intervals.discard(first, last)
            model -= set(range(first, last + 1))
        assert numbers(intervals) == model
        assert intervals.highest == max(model, default=0)
        pairs = list(intervals)
        assert all(one[1] + 1 < two[0] for one, two in pairwise(pairs))
    assert all((n in intervals) == (n in model) for n in range(1, 80))
    assert IntervalSet.parse(str(intervals)) == intervals


@given(st.lists(ranges, max_size=8), ranges)
def test_missing_and_covers_agree(filled: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    intervals = IntervalSet(filled)
    first, last = asked
    missing = {n for one, two in intervals.missing(first, last) for n in range(one, two + 1)}
    assert missing == set(range(first, last + 1)) - numbers(intervals)
    assert intervals.covers(first, last) == (not missing)


def test_the_lowest_is_forgotten_first() -> None:
    intervals = IntervalSet([(1, 3), (7, 9)])
    intervals.drop_lowest()
    assert str(intervals) == "7-9"
