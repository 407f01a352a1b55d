"""The laws of every registered merge, for all values that can be stored, and what each is for."""

from __future__ import annotations

from typing import Any

import cbor2
import hypothesis.strategies as st
import pytest
from hypothesis import given

from store.errors import UnknownMerge
from store.merges import MERGES, add_wins_map, added, maxima, merge_named, normal, present, removed, union
from store.schema import Table
from store.state import TableState

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf"), float("-inf")])
    | st.floats()
    | st.text(max_size=3)
    | st.binary(max_size=3)
)
names = st.text("ab", max_size=1) | st.integers(0, 2) | st.binary(max_size=1)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)
entries = st.tuples(st.integers(0, 3), st.none() | st.integers(0, 2)).map(list)
alike = (
    values
    | st.lists(st.integers(0, 4), max_size=5)
    | st.dictionaries(names, st.integers(0, 5), max_size=4)
    | st.dictionaries(names, entries, max_size=4)
)
every_merge = pytest.mark.parametrize("merge", MERGES.values(), ids=MERGES)


def stored(value: Any) -> Any:
    """As it comes back from a table."""
    return cbor2.loads(cbor2.dumps(value))


@every_merge
@given(a=alike, b=alike)
def test_order_does_not_matter(merge: Any, a: Any, b: Any) -> None:
    a, b = stored(a), stored(b)
    assert cbor2.dumps(merge(a, b)) == cbor2.dumps(merge(b, a))


@every_merge
@given(a=alike, b=alike, c=alike)
def test_grouping_does_not_matter(merge: Any, a: Any, b: Any, c: Any) -> None:
    a, b, c = stored(a), stored(b), stored(c)
    assert cbor2.dumps(merge(stored(merge(a, b)), c)) == cbor2.dumps(merge(a, stored(merge(b, c))))


@every_merge
@given(a=alike, b=alike)
def test_once_is_as_good_as_twice(merge: Any, a: Any, b: Any) -> None:
    a, b = stored(a), stored(b)
    both = stored(merge(a, b))
    assert cbor2.dumps(merge(both, b)) == cbor2.dumps(both)
    assert cbor2.dumps(merge(both, both)) == cbor2.dumps(both)


@every_merge
@given(a=alike)
def test_no_value_changes_nothing_but_the_form(merge: Any, a: Any) -> None:
    a = stored(a)
    alone = merge(None, a)
    assert cbor2.dumps(alone) == cbor2.dumps(merge(a, None)) == cbor2.dumps(merge(a, a))
    assert cbor2.dumps(normal(alone)) == cbor2.dumps(alone)


def test_max_and_min_follow_one_order_of_all_values() -> None:
    rising = [None, False, True, -1, 0, 0.5, 1, b"", b"a", "", "a", "b", [], [1], [2, 0], {}, {"a": 1}]
    for at, low in enumerate(rising):
        for high in rising[at + 1 :]:
            assert MERGES["max"](low, high) == high
            assert MERGES["min"](high, low) == (high if low is None else low)


def test_union_keeps_each_element_once_in_order() -> None:
    assert union([3, 1], [2, 3]) == [1, 2, 3]
    assert union(None, ["b", "a", "b"]) == ["a", "b"]
    assert [type(one) for one in union([1], [True, 1.0])] == [bool, int, float]


def test_maxima_count_apart_for_each_name() -> None:
    assert maxima({"a": 3, "b": 1}, {"b": 2, "c": 0}) == {"a": 3, "b": 2, "c": 0}


def test_in_an_add_wins_map_the_later_change_wins_and_of_two_at_once_the_addition() -> None:
    start = add_wins_map(None, added(None, "x", "first"))
    gone = add_wins_map(start, removed(start, "x"))
    assert present(gone) == {}
    again = add_wins_map(gone, added(gone, "x", "second"))
    assert present(again) == {"x": "second"}
    # Two sides of a split: one adds, one removes.
    one, other = added(again, "x", "third"), removed(again, "x")
    assert present(add_wins_map(add_wins_map(again, one), other)) == {"x": "third"}
    assert present(add_wins_map(add_wins_map(again, other), one)) == {"x": "third"}
    assert present(None) == {}


def test_a_table_may_name_its_merge() -> None:
    assert TableState(Table("t", merge="union"), 0).merge is union
    with pytest.raises(UnknownMerge) as caught:
        merge_named("nonsense")
    assert "add_wins_map" in caught.value.remedy
