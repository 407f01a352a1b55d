"""Sets of numbers against a plain set, and the laws of the merges: commutative, associative, idempotent."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.mail.intervals import Intervals
from node.mail.pair import Pair, merge_rows
from node.mail.state import Box
from node.mail.tables import merge_pairs

NUMBERS = st.integers(1, 40)
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair)))


def intervals_of(numbers: set[int]) -> Intervals:
    found = Intervals()
    for n in numbers:
        found.add(n)
    return found


INTERVALS = st.sets(NUMBERS).map(intervals_of)
ROWS = st.builds(
    lambda high, gone, expired, read, day, given_up: [high, gone.spans, expired.spans, read, day, *given_up],
    NUMBERS, INTERVALS, INTERVALS, NUMBERS, NUMBERS, st.lists(INTERVALS.map(lambda one: one.spans), max_size=1),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["add", "add_range", "remove_range"]), RANGES)))
def test_intervals_are_a_set(steps: list[tuple[str, tuple[int, int]]]) -> None:
    found, model = Intervals(), set[int]()
    for step, (first, last) in steps:
        if step == "add":
            found.add(first)
            model.add(first)
        elif step == "add_range":
            found.add_range(first, last)
            model |= set(range(first, last + 1))
        else:
            found.remove_range(first, last)
            model -= set(range(first, last + 1))
        found.check()
    assert [n for n in range(45) if n in found] == sorted(model)
    assert len(found) == len(model)
    assert found.highest() == max(model, default=0)
    for n in range(1, 45):
        end = n - 1
        while end + 1 in model:
            end += 1
        assert found.end_of(n) == end
    assert found == intervals_of(model)


@given(INTERVALS, INTERVALS)
def test_update_is_union(ours: Intervals, theirs: Intervals) -> None:
    union = {n for n in range(45) if n in ours or n in theirs}
    ours.update(theirs)
    assert {n for n in range(45) if n in ours} == union


@pytest.mark.parametrize("spans", [[1], [2, 1], [1, 2, 3, 4], [1, 3, 2, 5], [5, 6, 1, 2]])
def test_spans_that_no_set_has_are_refused(spans: list[int]) -> None:
    with pytest.raises(ValueError):
        Intervals(spans)


@pytest.mark.parametrize("merge", [merge_rows, merge_pairs])
def test_merges_are_unions(merge: Any) -> None:
    @given(ROWS, ROWS, ROWS)
    def laws(a: Any, b: Any, c: Any) -> None:
        assert merge(a, b) == merge(b, a)
        assert merge(merge(a, b), c) == merge(a, merge(b, c))
        assert merge(a, a) == a
        assert merge(merge(a, b), b) == merge(a, b)

    laws()


@given(ROWS, ROWS)
def test_a_merge_is_never_less_than_either(a: list[Any], b: list[Any]) -> None:
    merged = merge_rows(a, b)
    for row in (a, b):
        assert merged[0] >= row[0]
        assert merged[3] >= row[3]
        assert merged[4] >= row[4]
        for at in (1, 2, 5):
            whole = Intervals(*merged[at : at + 1])
            assert all(whole.covers(*span) for span in Intervals(*row[at : at + 1]).ranges())


def test_the_merge_with_nothing_is_the_row() -> None:
    assert merge_pairs(None, (3, [1, 2], [], 0, 9)) == [3, [1, 2], [], 0, 9]


@given(ROWS)
def test_a_pair_comes_back_from_its_row(row: list[Any]) -> None:
    pair = Pair(Box(1, 0, 0, 0, known=True), 2, b"s" * 8)
    pair.restore(row)
    assert pair.row() == row
