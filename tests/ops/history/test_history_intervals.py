"""Interval sets of the checker, against a plain set of numbers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.history.intervals import IntervalSet


@settings(max_examples=200, deadline=None)
@given(
    adds=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=30),
    ask=st.tuples(st.integers(1, 45), st.integers(0, 10)),
)
def test_an_interval_set_is_a_set(adds: list[tuple[int, int]], ask: tuple[int, int]) -> None:
    intervals, plain = IntervalSet(), set[int]()
    for first, more in adds:
        intervals.add(first, first + more)
        plain.update(range(first, first + more + 1))
        intervals.check()
    assert intervals.count() == len(plain)
    assert intervals.high == max(plain, default=0)
    assert [n for n in range(50) if n in intervals] == sorted(plain)
    for n in (ask[0], ask[0] + ask[1]):
        intervals.discard(n)
        plain.discard(n)
        intervals.check()
    assert [n for n in range(50) if n in intervals] == sorted(plain)
    asked = range(ask[0], ask[0] + ask[1] + 1)
    missing = [n for first, last in intervals.missing(asked[0], asked[-1]) for n in range(first, last + 1)]
    assert missing == [n for n in asked if n not in plain]
    assert intervals.covers(asked[0], asked[-1]) == (not missing)
