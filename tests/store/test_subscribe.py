"""Subscriptions: what was committed, in order, bounded, and told when something was missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from store.schema import Group, Table
from store.store import Store
from store.subscribe import Changed, Deleted, Happening, Missed
from store.writes import DELETE, MERGE, PUT, REMOVE


def add(old: Any, new: Any) -> Any:
    return (old or 0) + new


GROUPS = [
    Group(
        "g",
        (
            Table("disc", merge=add),
            Table("fast", storage="ram", tombstones=True),
            Table("bag", kind="bag"),
        ),
    )
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s", GROUPS, committer="inline") as opened:
        yield opened


def commit(store: Store, *writes: Any) -> None:
    store.group("g").submit(list(writes), lambda result: None)
    store.deliver_results()


@pytest.mark.parametrize("name", ["disc", "fast"])
def test_what_is_committed_is_told_in_order(store: Store, name: str) -> None:
    table = store.group("g").table(name)
    commit(store, (PUT, table.id, (1, 0), "before"))
    with table.subscribe() as subscription:
        store.group("g").submit([(PUT, table.id, (1, 1), [1])], lambda result: None)
        assert subscription.take() == []
        store.deliver_results()
        commit(store, (DELETE, table.id, (1, 1)), (DELETE, table.id, (1, 7)), (PUT, table.id, (1, 2), "x"))
        events = subscription.take()
        assert [(type(event), getattr(event, "key", None)) for event in events] == [
            (Changed, (1, 1)),
            (Deleted, (1, 1)),
            (Changed, (1, 2)),
        ]
        assert subscription.take() == []
    commit(store, (PUT, table.id, (1, 3), "after"))
    assert subscription.take() == []
    assert table.state.watchers == []


def test_a_merge_is_told_as_its_outcome_and_a_bag_by_its_values(store: Store) -> None:
    group = store.group("g")
    disc, bag = group.table("disc"), group.table("bag")
    with disc.subscribe() as merged, bag.subscribe() as values:
        commit(store, (MERGE, disc.id, (1, 1), 2), (MERGE, disc.id, (1, 1), 3))
        commit(
            store, (PUT, bag.id, (1, 1), "a"), (REMOVE, bag.id, (1, 1), "a"), (REMOVE, bag.id, (1, 1), "b")
        )
        assert [event.value for event in merged.take() if isinstance(event, Changed)] == [2, 5]
        assert [type(event) for event in values.take()] == [Changed, Deleted]


def test_a_failed_transaction_is_told_to_nobody(store: Store) -> None:
    group = store.group("g")

    def fn(transaction: Any) -> None:
        transaction.put("disc", (1, 1), 1)
        raise LookupError

    with group.table("disc").subscribe() as subscription:
        group.submit_transaction(lambda result: None, fn)
        store.deliver_results()
        assert subscription.take() == []


def test_who_does_not_keep_up_is_told_how_much_was_missed(store: Store) -> None:
    table = store.group("g").table("disc")
    with table.subscribe(limit=3) as slow, table.subscribe(limit=100) as fast:
        commit(store, *((PUT, table.id, (1, n), n) for n in range(8)))
        assert len(slow) == 4
        assert [type(event) for event in slow.take()] == [Changed] * 3 + [Missed]
        assert len(fast.take()) == 8
        commit(store, *((PUT, table.id, (1, n), n) for n in range(4)))
        events = slow.take()
        assert events[-1] == Missed(1)
        commit(store, (PUT, table.id, (1, 1), 1))
        assert [type(event) for event in slow.take()] == [Changed]


def test_a_copy_that_is_emptied_is_told_as_missed_and_not_as_deleted(store: Store) -> None:
    group = store.group("g")
    table, other = group.table("fast"), group.table("disc")
    commit(store, *((PUT, table.id, (1, n), n) for n in range(5)), (DELETE, table.id, (1, 0)))
    with table.subscribe(limit=100) as events, other.subscribe(limit=100) as others:
        group.submit_transaction(lambda result: None, lambda transaction: transaction.clear(1, 3))
        store.deliver_results()
        assert events.take() == [Missed(3)]
        commit(store, (PUT, table.id, (1, 9), 9))
        group.submit_transaction(lambda result: None, lambda transaction: transaction.clear(1, 100))
        store.deliver_results()
        assert [type(event) for event in events.take()] == [Changed, Missed]
        assert table.count() == 0
        assert others.take() == []


async def test_events_can_be_awaited(store: Store) -> None:
    table = store.group("g").table("disc")
    subscription = table.subscribe(limit=2)
    seen: list[Happening] = []
    remember = seen.append

    async def listen() -> None:
        async for event in subscription:
            remember(event)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await trio.testing.wait_all_tasks_blocked()
        commit(store, *((PUT, table.id, (1, n), n) for n in range(3)))
        await trio.testing.wait_all_tasks_blocked()
        assert [type(event) for event in seen] == [Changed, Changed, Missed]
        commit(store, (DELETE, table.id, (1, 1)))
        await trio.testing.wait_all_tasks_blocked()
        assert isinstance(seen[-1], Deleted)
        subscription.close()
    waiting = table.subscribe()
    commit(store, (PUT, table.id, (1, 1), 1))
    assert len(await waiting.wait_happened()) == 1
    waiting.close()
    assert await waiting.wait_happened() == []
