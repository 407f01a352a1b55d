"""A table that merges and has tombstones: what a delete means there, in whatever order records come.

One record of a key stands for all that was merged into it, under the highest version. So a delete can't take out of it
what is older: it wins over the whole, or not at all.
"""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from ops.simulation.disk import VirtualDisk
from store.record import Version
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.writes import APPLY

KEY = (1,)
NODES = 3
Record = tuple[Version, list[int] | None]


def opened(node: int) -> Store:
    disk = VirtualDisk(str(node), lambda event: None)
    group = Group("g", (Table("sets", partitioned=False, tombstones=True, merge="union"),))
    return Store.open(
        "/node", [group], committer="inline", environments=disk.environment, directories=disk.directory
    )


def take(store: Store, record: Record) -> None:
    version, value = record
    results: list[Result] = []
    table = store.group("g").table("sets").id
    store.group("g").submit([(APPLY, table, KEY, value, version, value is None)], results.append)
    store.deliver_results()
    assert results[0].error is None


def held(store: Store) -> Record:
    record = store.group("g").table("sets").record(KEY)
    assert record is not None
    return record.version, None if record.tombstone else record.value


def exchange(stores: list[Store]) -> None:
    for one in stores:
        for other in stores:
            take(other, held(one))


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Record], list[list[int]]]:
    """Records of one key, each with a version of its own, and the order in which each node gets them."""
    values = draw(st.lists(st.none() | st.integers(0, 9).map(lambda one: [one]), min_size=1, max_size=6))
    records = [(Version(1, at, 7), value) for at, value in enumerate(values, 1)]
    places = list(range(len(records)))
    return records, [draw(st.permutations(places)) for _ in range(NODES)]


@settings(max_examples=150, deadline=None)
@given(histories())
def test_what_does_not_depend_on_the_order(history: tuple[list[Record], list[list[int]]]) -> None:
    records, orders = history
    last, value = records[-1]
    buried = max((version for version, value in records if value is None), default=Version(0, 0, 0))
    newer = {one for version, value in records if version > buried for one in value or ()}
    ever = {one for _, value in records for one in value or ()}
    stores = [opened(node) for node in range(NODES)]
    for store, order in zip(stores, orders, strict=True):
        for at in order:
            take(store, records[at])
        version, found = held(store)
        assert version == last
        assert (found is None) == (value is None), "there or not is what the highest version says"
        if found is not None:
            assert newer <= set(found) <= ever, "whatever is newer than the newest delete"
    exchange(stores)
    once = [held(store) for store in stores]
    exchange(stores)
    assert [held(store) for store in stores] == once == [once[0]] * NODES, "copies that compare are the same"
    for store in stores:
        store.abandon()


def test_a_delete_may_be_overtaken_by_what_is_merged_with_what_it_would_have_deleted() -> None:
    """The one thing that depends on the order, until copies compare: then it is there on all of them."""
    old, gone, new = (Version(1, 1, 7), [1]), (Version(1, 2, 7), None), (Version(1, 3, 7), [3])
    first, second = opened(0), opened(1)
    for record in (old, gone, new):
        take(first, record)
    for record in (old, new, gone):
        take(second, record)
    found: list[Any] = [held(first)[1], held(second)[1]]
    assert found == [[3], [1, 3]]
    exchange([first, second])
    assert held(first) == held(second) == (Version(1, 3, 7), [1, 3])
