"""What tables do: the same suite on disc, in memory and in a dictionary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from store.errors import UnknownIndex
from store.match import ANY, Match
from store.writes import DELETE, MERGE, PUT, REMOVE
from tests.store.worlds import Crashing, World, plain_world, store_world, tables

NAMES = [table.name for table in tables("disc")]
ID = {name: at for at, name in enumerate(NAMES)}
SETS = ["simple", "inserted", "buried", "whole", "local"]
BAGS = ["bag", "tomb_bag"]


@pytest.fixture(params=["disc", "ram", "plain"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "plain":
        yield plain_world(tables("disc"))
        return
    crashing = Crashing(request.param)
    try:
        yield store_world(crashing.store)
    finally:
        crashing.end()


def get(world: World, table: str, key: Any) -> Any:
    return world.read(lambda reader: reader.get(table, key))


@pytest.mark.parametrize("table", SETS)
def test_a_key_has_the_value_put_last_and_none_after_its_delete(world: World, table: str) -> None:
    assert get(world, table, (1, "a")) is None
    world.commit([(PUT, ID[table], (1, "a"), [1])])
    world.commit([(PUT, ID[table], (1, "a"), {"x": b"2", "y": None, "z": 1.5})])
    assert get(world, table, (1, "a")) == {"x": b"2", "y": None, "z": 1.5}
    world.commit([(DELETE, ID[table], (1, "a"))])
    world.commit([(DELETE, ID[table], (1, "a"))])
    assert get(world, table, (1, "a")) is None
    world.commit([(PUT, ID[table], (1, "a"), "again")])
    assert get(world, table, (1, "a")) == "again"


@pytest.mark.parametrize("table", SETS)
def test_writes_of_one_submit_happen_in_order(world: World, table: str) -> None:
    world.commit(
        [
            (PUT, ID[table], (1, 1), "a"),
            (DELETE, ID[table], (1, 1)),
            (PUT, ID[table], (1, 2), "b"),
            (PUT, ID[table], (1, 2), "c"),
            (DELETE, ID[table], (1, 3)),
        ]
    )
    assert world.read(lambda reader: reader.range(table, (0,), (9,))) == [((1, 2), "c")]


@pytest.mark.parametrize("table", SETS)
@pytest.mark.parametrize("reverse", [False, True])
def test_range_is_half_open_ordered_and_limited(world: World, table: str, reverse: bool) -> None:
    world.commit([(PUT, ID[table], (1, n), n) for n in (5, 1, 300, 3, -2)])
    found = world.read(lambda reader: reader.range(table, (1, 1), (1, 300), 2, reverse=reverse))
    assert found == ([((1, 5), 5), ((1, 3), 3)] if reverse else [((1, 1), 1), ((1, 3), 3)])
    everything = world.read(lambda reader: reader.range(table, (1,), (2,), reverse=reverse))
    assert [value for _, value in everything] == sorted([5, 1, 300, 3, -2], reverse=reverse)


@pytest.mark.parametrize("table", SETS)
def test_prefix_goes_on_after_a_key_without_gap_or_repeat(world: World, table: str) -> None:
    keys = [(1, 7, b"s", n) for n in (1, 2, 3, 255, 256)] + [(1, 8, b"s", 1), (1, 7, b"s\0", 1), (1, 7)]
    world.commit([(PUT, ID[table], key, repr(key)) for key in keys])
    seen: list[Any] = []
    after = None
    while True:
        page = world.read(
            lambda reader, after=after: reader.prefix(table, (1, 7, b"s"), after, 2)  # type: ignore[misc]
        )
        if not page:
            break
        seen += [key for key, _ in page]
        after = page[-1][0]
    assert seen == keys[:5]
    back = world.read(lambda reader: reader.prefix(table, (1, 7), (1, 7, b"s", 255), 3, reverse=True))
    assert [key for key, _ in back] == [(1, 7, b"s", 3), (1, 7, b"s", 2), (1, 7, b"s", 1)]


@pytest.mark.parametrize("table", BAGS)
def test_a_bag_holds_each_value_once(world: World, table: str) -> None:
    world.commit([(PUT, ID[table], (1, "k"), value) for value in (1, [2], 1, "x")])
    assert sorted(get(world, table, (1, "k")), key=repr) == ["x", 1, [2]]
    assert world.read(lambda reader: reader.count(table)) == 3
    world.commit([(REMOVE, ID[table], (1, "k"), [2]), (REMOVE, ID[table], (1, "k"), "never there")])
    assert sorted(get(world, table, (1, "k")), key=repr) == ["x", 1]
    world.commit([(PUT, ID[table], (1, "k", 0), "longer key"), (DELETE, ID[table], (1, "k"))])
    assert get(world, table, (1, "k")) == []
    assert world.read(lambda reader: reader.range(table, (0,), (9,))) == [((1, "k", 0), "longer key")]


@pytest.mark.parametrize("table", BAGS)
def test_a_bag_is_ordered_by_key(world: World, table: str) -> None:
    keys = [(1,), (1, None), (1, b"\0"), (1, 5), (1, 5, 6), (2, "x")]
    world.commit([(PUT, ID[table], key, "v") for key in reversed(keys)])
    assert [key for key, _ in world.read(lambda reader: reader.range(table, (0,), (9,)))] == keys
    assert [key for key, _ in world.read(lambda reader: reader.prefix(table, (1, 5)))] == [(1, 5), (1, 5, 6)]
    assert [key for key, _ in world.read(lambda reader: reader.prefix(table, (1,), (1,)))] == keys[1:5]


def test_an_index_follows_its_rows(world: World) -> None:
    table = ID["coloured"]
    world.commit(
        [
            (PUT, table, (1, "a"), {"colours": ["red", "blue"], "size": 3}),
            (PUT, table, (1, "b"), {"colours": ["red"], "size": 1}),
            (PUT, table, (2, "c"), {"colours": []}),
        ]
    )

    def find(index: str, prefix: Any, after: Any = None, limit: int = 100) -> list[Any]:
        found = world.read(lambda reader: reader.index("coloured", index, prefix, after, limit))
        return [key for key, _ in found]

    assert find("colour", ("red",)) == [(1, "a"), (1, "b")]
    assert find("colour", ("blue",)) == [(1, "a")]
    assert find("size", ()) == [(1, "b"), (1, "a")]
    assert find("size", (), after=(1, "b")) == [(1, "a")]
    assert find("size", (), limit=1) == [(1, "b")]
    world.commit([(PUT, table, (1, "a"), {"colours": ["green"], "size": 0}), (DELETE, table, (1, "b"))])
    assert find("colour", ("red",)) == []
    assert find("colour", ("green",)) == [(1, "a")]
    assert find("size", ()) == [(1, "a")]


def test_merge_meets_the_old_value(world: World) -> None:
    table = ID["merged"]
    world.commit([(MERGE, table, (1, 1), [3, 1])])
    world.commit([(MERGE, table, (1, 1), [2]), (MERGE, table, (1, 1), [5, 1])])
    assert get(world, "merged", (1, 1)) == [1, 2, 3, 5]


def test_select_matches_keys_and_values(world: World) -> None:
    table = ID["simple"]
    world.commit(
        [
            (PUT, table, (1, 7, "x"), {"state": "open", "n": 1}),
            (PUT, table, (1, 7, "y"), {"state": "shut", "n": 2}),
            (PUT, table, (1, 8, "x"), {"state": "open", "n": 3}),
            (PUT, table, (2, 7, "x"), [1, {"deep": True}]),
        ]
    )

    def find(match: Match, limit: int = 100) -> list[Any]:
        return [key for key, _ in world.read(lambda reader: reader.select("simple", match, limit))]

    assert find(Match()) == [(1, 7, "x"), (1, 7, "y"), (1, 8, "x"), (2, 7, "x")]
    assert find(Match(key=(1, ANY, "x"))) == [(1, 7, "x"), (1, 8, "x")]
    assert find(Match(key=(ANY, 7, ANY), value={"state": "open"})) == [(1, 7, "x")]
    assert find(Match(value={"state": ANY}, where=lambda key, value: value["n"] >= 2)) == [
        (1, 7, "y"),
        (1, 8, "x"),
    ]
    assert find(Match(value=[ANY, {"deep": True}])) == [(2, 7, "x")]
    assert find(Match(key=(1, 7, ANY)), limit=1) == [(1, 7, "x")]
    assert find(Match(key=(1, 7))) == []


def test_a_transaction_sees_its_own_writes_and_returns_a_value(world: World) -> None:
    world.commit([(PUT, ID["simple"], (1, 1), "old"), (PUT, ID["bag"], (1, 1), 1)])

    def fn(transaction: Any) -> Any:
        transaction.put("simple", (1, 2), "new")
        transaction.delete("simple", (1, 1))
        transaction.remove("bag", (1, 1), 1)
        transaction.put("bag", (1, 1), 2)
        transaction.merge("merged", (1, 1), [4])
        transaction.put("coloured", (1, 1), {"colours": ["red"]})
        return (
            transaction.range("simple", (0,), (9,)),
            transaction.get("bag", (1, 1)),
            transaction.get("merged", (1, 1)),
            transaction.index("coloured", "colour", ("red",)),
            transaction.count("simple"),
        )

    seen = ([((1, 2), "new")], [2], [4], [((1, 1), {"colours": ["red"]})], 1)
    assert world.transact(fn) == seen
    assert world.transact(lambda transaction: transaction.get("simple", (1, 2))) == "new"
    assert get(world, "bag", (1, 1)) == [2]


def test_a_transaction_that_raises_leaves_nothing(world: World) -> None:
    world.commit([(PUT, ID["simple"], (1, 1), "old")])

    def fn(transaction: Any) -> None:
        transaction.delete("simple", (1, 1))
        transaction.put("coloured", (1, 1), {"colours": ["red"]})
        transaction.put("bag", (1, 1), 2)
        raise LookupError("no")

    with pytest.raises(LookupError):
        world.transact(fn)
    assert get(world, "simple", (1, 1)) == "old"
    assert get(world, "bag", (1, 1)) == []
    assert world.read(lambda reader: reader.index("coloured", "colour", ("red",))) == []
    assert world.read(lambda reader: reader.count("coloured")) == 0


@pytest.mark.parametrize("table", SETS)
def test_bounds_that_are_keys(world: World, table: str) -> None:
    world.commit([(PUT, ID[table], (1, n), n) for n in range(6)])
    both = [
        world.read(
            lambda reader, reverse=reverse: reader.range(table, (1, 2), (1, 4), reverse=reverse)  # type: ignore[misc]
        )
        for reverse in (False, True)
    ]
    assert both == [[((1, 2), 2), ((1, 3), 3)], [((1, 3), 3), ((1, 2), 2)]]
    assert world.read(lambda reader: reader.range(table, (1, 4), (1, 2))) == []


@pytest.mark.parametrize("table", ["simple", "buried"])
def test_a_limited_range_inside_a_transaction_sees_deletes_and_puts(world: World, table: str) -> None:
    world.commit([(PUT, ID[table], (1, n), n) for n in range(10)])

    def fn(transaction: Any) -> Any:
        for n in (0, 1, 2, 5):
            transaction.delete(table, (1, n))
        transaction.put(table, (1, 4, "x"), "new")
        return transaction.range(table, (1,), (2,), 4), transaction.range(
            table, (1,), (1, 8), 4, reverse=True
        )

    forward, backward = world.transact(fn)
    assert [key for key, _ in forward] == [(1, 3), (1, 4), (1, 4, "x"), (1, 6)]
    assert [key for key, _ in backward] == [(1, 7), (1, 6), (1, 4, "x"), (1, 4)]


def test_select_goes_by_an_index() -> None:
    crashing = Crashing("disc")
    world = store_world(crashing.store)
    try:
        rows = [(PUT, ID["coloured"], (1, n), {"colours": ["red"], "size": n % 5}) for n in range(600)]
        world.commit(rows)
        match = Match(key=(3, ANY), index="size", where=lambda key, value: key[1] % 2 == 0)
        found = world.read(lambda reader: reader.select("coloured", match, limit=20))
        assert [key for key, _ in found] == [(1, n) for n in range(600) if n % 5 == 3 and n % 2 == 0][:20]
        everything = Match(index="size", key=(ANY, ANY))
        assert len(world.read(lambda reader: reader.select("coloured", everything))) == 600
        assert len(world.read(lambda reader: reader.select("coloured", everything, scan_max=100))) == 100
        with pytest.raises(UnknownIndex):
            world.read(lambda reader: reader.select("coloured", Match(index="nothing")))
    finally:
        crashing.end()
