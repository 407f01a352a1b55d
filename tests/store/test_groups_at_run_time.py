"""Groups made and dropped on an open store, and what a crash between any two steps of it leaves."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import trio

from store.backup import backup, restore, verify
from store.directory import Directory, Marker, read_marker
from store.errors import (
    DamagedStore,
    DiskFull,
    GroupInUse,
    NotConfirmed,
    NotDeclarable,
    StoreClosed,
    TableExists,
    TableReadOnly,
    UnknownTable,
)
from store.limits import StoreSettings
from store.operations import CreateTable
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.verify import verify_group
from store.writes import PUT
from tests.store.worlds import union

CODED = Group("coded", (Table("rows"),))
EXTRA = Group("extra", (Table("rows", tombstones=True),))
SETTINGS = StoreSettings(map_bytes=64 * 1024 * 1024, linger_ms=0)


def open_store(path: Path, **options: Any) -> Store:
    return Store.open(path, [CODED], **{"committer": "inline", "settings": SETTINGS, **options})


def put(store: Store, group: str, number: int) -> None:
    told: list[Result] = []
    store.group(group).submit([(PUT, 0, (1, number), number)], told.append)
    store.deliver_results()
    assert told[0].error is None


@pytest.mark.parametrize("committer", ["thread", "inline"])
async def test_a_group_is_made_beside_others_and_opened_by_every_open(tmp_path: Path, committer: Any) -> None:
    with open_store(tmp_path, committer=committer) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            extra = await store.add_group(EXTRA)
            assert store.group("extra") is extra
            assert [group.name for group in store.groups] == ["coded", "extra"]
            await extra.commit([(PUT, 0, (1, 1), "here")])
            await extra.alter(CreateTable(Table("more")))
            await store.group("coded").commit([(PUT, 0, (1, 1), "here too")])
            for group in (EXTRA, CODED):
                with pytest.raises(TableExists):
                    await store.add_group(group)
            with pytest.raises(NotDeclarable):
                await store.add_group(Group("functions", (Table("rows", merge=union),)))
            nursery.cancel_scope.cancel()
    assert not (tmp_path / "functions").exists()
    with open_store(tmp_path, committer=committer) as store:
        assert [table.name for table in store.group("extra").tables] == ["rows", "more"]
        assert store.group("extra").table("rows").get((1, 1)) == "here"
        assert store.added == {"extra"}


@pytest.mark.parametrize("committer", ["thread", "inline"])
async def test_a_group_is_dropped_with_all_that_is_in_it(tmp_path: Path, committer: Any) -> None:
    with open_store(tmp_path, committer=committer) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            extra = await store.add_group(EXTRA)
            await extra.commit([(PUT, 0, (1, 1), "first")])
            told: list[Result] = []
            with pytest.raises(NotConfirmed):
                await store.drop_group("extra", confirm="coded")
            with pytest.raises(UnknownTable):
                await store.drop_group("none", confirm="none")
            with extra.snapshot() as reader:
                extra.submit([(PUT, 0, (1, 1), "last")], told.append)
                with pytest.raises(GroupInUse):
                    await store.drop_group("extra", confirm="extra")
                assert reader.get("rows", (1, 1)) == "first"
            await store.drop_group("extra", confirm="extra")
            while not told:
                await trio.lowlevel.checkpoint()
            assert told[0].error is None
            with pytest.raises(UnknownTable):
                store.group("extra")
            with pytest.raises(StoreClosed):
                extra.submit([(PUT, 0, (1, 1), 1)], told.append)
            assert not (tmp_path / "extra").exists()
            await store.group("coded").commit([(PUT, 0, (1, 1), 1)])
            # The name is free again.
            again = await store.add_group(EXTRA)
            assert again.table("rows").count() == 0
            nursery.cancel_scope.cancel()


class Died(Exception):
    """The process is gone."""


def dying(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """The directory's n-th durable step is the last that happens: the one after it doesn't."""
    left = [step]

    def wrap(name: str) -> None:
        real = getattr(Directory, name)

        def wrapped(self: Directory, *args: Any) -> None:
            if not left[0]:
                raise Died
            left[0] -= 1
            real(self, *args)

        monkeypatch.setattr(Directory, name, wrapped)

    wrap("write")
    wrap("remove")


@pytest.mark.parametrize("step", range(3))
def test_a_crash_while_a_group_is_made_leaves_all_of_it_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with open_store(tmp_path / "s") as store:
        put(store, "coded", 1)
        dying(monkeypatch, step)
        if step < 2:
            with pytest.raises(Died):
                store.add_group_now(EXTRA)
        else:
            store.add_group_now(EXTRA)
        shutil.copytree(tmp_path / "s", tmp_path / "crashed")
        monkeypatch.undo()
    with open_store(tmp_path / "crashed") as store:
        assert {group.name for group in store.groups} == ({"coded", "extra"} if step == 2 else {"coded"})
        assert (tmp_path / "crashed" / "extra").exists() == (step == 2)
        assert read_marker(tmp_path / "crashed").unfinished == frozenset()
        if step < 2:
            store.add_group_now(EXTRA)
        put(store, "extra", 5)
        verify_group(store.group("extra"))


@pytest.mark.parametrize("step", range(4))
def test_a_crash_while_a_group_is_dropped_leaves_all_of_it_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with open_store(tmp_path / "s") as store:
        put(store, "coded", 1)
        store.add_group_now(EXTRA)
        put(store, "extra", 7)
        dying(monkeypatch, step)
        if step < 3:
            with pytest.raises(Died):
                store.drop_group_now("extra", confirm="extra")
        else:
            store.drop_group_now("extra", confirm="extra")
        shutil.copytree(tmp_path / "s", tmp_path / "crashed")
        monkeypatch.undo()
    with open_store(tmp_path / "crashed") as store:
        if step == 0:
            assert store.group("extra").table("rows").get((1, 7)) == 7
            verify_group(store.group("extra"))
        else:
            assert [group.name for group in store.groups] == ["coded"]
            assert not (tmp_path / "crashed" / "extra").exists()
        assert store.group("coded").table("rows").get((1, 1)) == 1
        assert read_marker(tmp_path / "crashed").unfinished == frozenset()


def test_a_group_that_could_not_be_made_can_be_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(tmp_path) as store:
        real = Directory.write

        def full(self: Directory, marker: Marker) -> None:
            raise DiskFull("the test says so")

        monkeypatch.setattr(Directory, "finish", lambda self, group: full(self, Marker()))
        with pytest.raises(DiskFull):
            store.add_group_now(EXTRA)
        monkeypatch.undo()
        assert Directory.write is real
        with pytest.raises(UnknownTable):
            store.group("extra")
        store.add_group_now(EXTRA)
        put(store, "extra", 1)


def test_a_read_only_store_takes_no_group_and_leaves_unfinished_ones(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        put(store, "coded", 1)
        store.add_group_now(EXTRA)
    directory = Directory(tmp_path)
    directory.begin("half")
    directory.close()
    with open_store(tmp_path, read_only=True) as store:
        assert [group.name for group in store.groups] == ["coded", "extra"]
        with pytest.raises(TableReadOnly):
            store.add_group_now(Group("other", ()))
    assert read_marker(tmp_path) == Marker(("coded", "extra"), ("extra",), ("half",))


def test_a_backup_has_the_groups_that_were_made_at_run_time(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        store.add_group_now(EXTRA)
        put(store, "extra", 3)
        backup(store, tmp_path / "b")
    assert verify(tmp_path / "b", [CODED]) == 1
    restore(tmp_path / "b", [CODED], tmp_path / "r")
    with open_store(tmp_path / "r") as store:
        assert store.group("extra").table("rows").get((1, 3)) == 3
        assert store.added == {"extra"}


def test_without_a_marker_no_group_is_overlooked(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        put(store, "coded", 1)
        store.add_group_now(EXTRA)
        put(store, "extra", 3)
    (tmp_path / "waystation-store").unlink()
    with pytest.raises(DamagedStore) as caught:
        open_store(tmp_path)
    assert "extra" in str(caught.value)
