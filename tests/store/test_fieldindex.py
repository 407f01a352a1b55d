"""Indexes declared by paths: what they lead to, what they pass over, and their form as plain data."""

from __future__ import annotations

from typing import Any

import cbor2
import hypothesis.strategies as st
import pytest
from hypothesis import given

from store import keys
from store.errors import NotDeclarable, ValueNotStorable
from store.fieldindex import EACH, ENTRIES_MAX, FieldIndex, KeyPath, index_from_row, index_row
from tests.store.test_merges import values

steps = st.sampled_from(["a", "b", b"a", 0, 1, -1, EACH])
paths = st.lists(steps, min_size=1, max_size=3).map(tuple) | st.builds(
    KeyPath, st.integers(0, 3), st.lists(steps, max_size=2).map(tuple)
)
indexes = st.builds(
    FieldIndex, st.just("i"), st.lists(paths, min_size=1, max_size=3).map(tuple), st.integers(1, 9)
)
elements = st.integers(0, 9) | st.text("ab", max_size=2) | st.tuples(st.integers(0, 3), st.text("a"))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("town",), ["Ulm"]),
        (("address", 0), ["street"]),
        (("address", -1), [7]),
        (("address", 9), []),
        (("address", EACH), ["street", 7]),
        (("orders", EACH, "sum"), [3, 4]),
        (("none",), [None]),
        (("missing",), []),
        (("flag",), []),
        (("half",), []),
        (("town", "deeper"), []),
        (("address",), [("street", 7)]),
        (("orders",), []),
        ((5,), ["five"]),
        (KeyPath(1), ["ada"]),
        (KeyPath(2, (0,)), [9]),
        (KeyPath(3), []),
    ],
)
def test_what_a_path_leads_to(path: Any, found: list[Any]) -> None:
    value = {
        "town": "Ulm",
        "address": ["street", 7],
        "orders": [{"sum": 3}, {"sum": 4}, {}],
        "none": None,
        "flag": True,
        "half": 0.5,
        5: "five",
    }
    index = FieldIndex("i", (path,))
    assert index.fn((0, "ada", (9, 8)), value) == [(one,) for one in found]


def test_several_paths_give_every_combination_and_none_if_one_leads_nowhere() -> None:
    index = FieldIndex("i", (("tags", EACH), KeyPath(0)))
    assert index.fn((7,), {"tags": ["x", "y"]}) == [("x", 7), ("y", 7)]
    assert index.fn((7,), {"tags": []}) == []
    assert index.fn((7,), "no dict") == []


@given(index=indexes, key=st.lists(elements, max_size=3).map(tuple), value=values)
def test_no_value_can_break_it_and_what_it_gives_can_be_a_key(
    index: FieldIndex, key: Any, value: Any
) -> None:
    for entry in index.fn(key, cbor2.loads(cbor2.dumps(value))):
        assert len(entry) == len(index.paths)
        assert keys.decode(keys.encode(entry)) == entry


@given(index=indexes)
def test_it_is_plain_data_and_back(index: FieldIndex) -> None:
    row = index_row(index)
    assert index_from_row(cbor2.loads(cbor2.dumps(row))) == index


@pytest.mark.parametrize(
    "row",
    [
        None,
        {},
        {"name": "i", "version": 1, "paths": []},
        {"name": "i", "version": 1, "paths": [["key"]]},
        {"name": "i", "version": 1, "paths": [["elsewhere", "a"]]},
        {"name": "i", "version": 1, "paths": [["value", 0.5]]},
        {"name": "i", "version": 1, "paths": [["value"]]},
        {"name": "not a name", "version": 1, "paths": [["value", "a"]]},
        {"name": "i", "version": "x", "paths": [["value", "a"]]},
    ],
)
def test_other_data_is_refused(row: Any) -> None:
    with pytest.raises(NotDeclarable):
        index_from_row(row)


def test_the_entries_of_a_row_have_a_limit() -> None:
    index = FieldIndex("i", (("a", EACH), ("b", EACH)))
    wide = list(range(ENTRIES_MAX // 10))
    assert len(index.fn((), {"a": wide, "b": list(range(10))})) == ENTRIES_MAX
    with pytest.raises(ValueNotStorable):
        index.fn((), {"a": wide, "b": list(range(11))})
