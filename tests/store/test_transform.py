"""A function over every record of a table, in transactions of bounded size."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from store import transform as transforms
from store.errors import TableReadOnly, UnknownTable, ValueNotStorable
from store.fieldindex import FieldIndex
from store.limits import TRANSFORM_ROWS, StoreSettings
from store.operations import AddIndex, SetReadOnly
from store.schema import Group, Table
from store.store import Store
from store.transform import Transformed
from store.verify import verify_group
from store.writes import DELETE, PUT

GROUP = Group("g", (Table("rows", tombstones=True), Table("bag", kind="bag"), Table("fast", storage="ram")))
ROWS, BAG, FAST = range(3)
SETTINGS = StoreSettings(map_bytes=64 * 1024 * 1024, linger_ms=0)


@pytest.fixture
async def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setattr(transforms.transform_step, "__defaults__", small(transforms.transform_step))
    with Store.open(tmp_path, [GROUP], settings=SETTINGS, committer="inline") as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            yield store.group("g")
            verify_group(store.group("g"))
            nursery.cancel_scope.cancel()


def small(fn: Any) -> tuple[Any, ...]:
    """Seven rows to a transaction."""
    return tuple(7 if default == TRANSFORM_ROWS else default for default in fn.__defaults__)


async def test_every_record_gets_its_new_value_as_an_ordinary_write(group: Any) -> None:
    rows = group.table("rows")
    await group.alter(AddIndex("rows", FieldIndex("town", (("town",),))))
    await group.commit([(PUT, ROWS, (n % 3, n), {"n": n}) for n in range(30)] + [(DELETE, ROWS, (0, 0))])
    before = group.sequence
    told: list[Transformed] = []
    with rows.subscribe() as heard:
        done = await group.transform(
            "rows", lambda key, value: value if value["n"] % 2 else {**value, "town": "Ulm"}, told=told.append
        )
        assert len(heard.take()) == 14
    assert done == Transformed(29, 14, None)
    assert [step.looked for step in told] == [7, 14, 21, 28, 29]
    assert [key[1] for key, _ in rows.index("town", ("Ulm",))] == [
        6,
        12,
        18,
        24,
        4,
        10,
        16,
        22,
        28,
        2,
        8,
        14,
        20,
        26,
    ]
    # What has the same value as before wasn't written.
    changed = [change for p in range(3) for change in group.changes(p, before)]
    assert len(changed) == 14
    assert all(change.record.value["town"] == "Ulm" for change in changed)
    assert rows.record((0, 0)).tombstone


async def test_it_can_be_taken_up_where_it_ended(group: Any) -> None:
    await group.commit([(PUT, FAST, (1, n), n) for n in range(20)])
    told: list[Transformed] = []

    def fails_at_ten(key: Any, value: Any) -> Any:
        if value == 10:
            raise LookupError("not this one")
        return value + 100

    with pytest.raises(LookupError):
        await group.transform("fast", fails_at_ten, told=told.append)
    fast = group.table("fast")
    assert [value for _, value in fast.range()] == [*range(100, 107), *range(7, 20)], (
        "a step is all or nothing"
    )
    done = await group.transform("fast", lambda key, value: value + 100, after=told[-1].after)
    assert done.looked == 13
    assert [value for _, value in fast.range()] == list(range(100, 120))


async def test_each_value_of_a_bag_is_transformed_once(group: Any) -> None:
    values = [(key, value) for key in range(3) for value in range(25)]
    await group.commit([(PUT, BAG, (1, key), value) for key, value in values])
    done = await group.transform("bag", lambda key, value: value + 1)
    assert done.looked == 75
    assert sorted(group.table("bag").get((1, 2))) == list(range(1, 26))
    await group.transform("bag", lambda key, value: 0)
    assert group.table("bag").get((1, 0)) == [0]
    assert group.table("bag").count() == 3


async def test_what_it_may_not_do_is_named(group: Any) -> None:
    await group.commit([(PUT, ROWS, (1, 1), 1)])
    with pytest.raises(UnknownTable):
        await group.transform("none", lambda key, value: value)
    with pytest.raises(ValueNotStorable):
        await group.transform("rows", lambda key, value: object())
    await group.alter(SetReadOnly("rows", True))
    with pytest.raises(TableReadOnly):
        await group.transform("rows", lambda key, value: 2)
    assert group.table("rows").get((1, 1)) == 1


async def test_others_commit_between_its_steps(group: Any) -> None:
    await group.commit([(PUT, ROWS, (1, n), n) for n in range(50)])
    written: list[int] = []

    async def write() -> None:
        for n in range(50, 60):
            await group.commit([(PUT, ROWS, (1, n), n)])
            written.append(n)

    def seen(step: Transformed) -> None:
        progress.append(len(written))

    progress: list[int] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await group.transform("rows", lambda key, value: value % 1000 + 1000, told=seen)
    assert len(set(progress)) > 1, "they went on meanwhile"
    assert {value for (_, n), value in group.table("rows").range() if n < 50} == set(range(1000, 1050))
