"""Tables, indexes and storage altered on an open group, with the committer on a thread and inline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import trio

from store.backup import backup, restore
from store.environment import Environment
from store.errors import (
    AlterationUnderWay,
    DiskFull,
    IndexExists,
    KeyNotStorable,
    MergeUndeclared,
    NotDeclarable,
    StoreClosed,
    TableExists,
    TableNotEmpty,
    TableReadOnly,
    UnknownIndex,
    UnknownMerge,
    UnknownTable,
)
from store.fieldindex import FieldIndex
from store.limits import StoreSettings
from store.match import ANY, Match
from store.operations import (
    AddIndex,
    ChangeStorage,
    CreateTable,
    DropIndex,
    DropTable,
    SetInsertOnly,
    SetMerge,
    SetReadOnly,
)
from store.results import Result
from store.schema import Group, Index, Table
from store.store import Store
from store.verify import verify_group
from store.writes import DELETE, MERGE, PUT
from tests.store.worlds import union

TOWN = FieldIndex("town", (("town",),))
CODED = Group("g", (Table("coded", merge=union),))
SETTINGS = StoreSettings(map_bytes=64 * 1024 * 1024, alter_rows=10, linger_ms=0)


@pytest.fixture(params=["thread", "inline"])
def committer(request: pytest.FixtureRequest) -> Any:
    return request.param


@asynccontextmanager
async def running(path: Path, committer: Any, **options: Any) -> AsyncIterator[Any]:
    """An open group, with its results delivered; closed at the end."""
    options = {"settings": SETTINGS, "groups": [CODED], **options}
    with Store.open(path, options.pop("groups"), committer=committer, **options) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            yield store.group("g")
            verify_group(store.group("g"))
            nursery.cancel_scope.cancel()


def rows(
    group: Any, table: str, numbers: Any, town: Callable[[int], str] = lambda n: f"t{n % 3}"
) -> list[Any]:
    handle = group.table(table)
    return [(PUT, handle.id, (n % 5, n), {"town": town(n)}) for n in numbers]


async def test_a_table_made_at_run_time_is_there_at_once_and_after_every_open(
    tmp_path: Path, committer: Any
) -> None:
    made = Table("made", kind="bag", tombstones=True, partitioned=False, indexes=(TOWN,))
    async with running(tmp_path, committer) as group:
        with pytest.raises(UnknownTable):
            group.table("made")
        await group.alter(CreateTable(made))
        table = group.table("made")
        await group.commit(
            [(PUT, table.id, ("a",), {"town": "Ulm"}), (PUT, table.id, ("a",), {"town": "Bonn"})]
        )
        assert [key for key, _ in table.index("town", ("Ulm",))] == [("a",)]
        with pytest.raises(TableExists):
            await group.alter(CreateTable(Table("made")))
        with pytest.raises(TableExists):
            await group.alter(CreateTable(Table("coded")))
        with pytest.raises(NotDeclarable):
            await group.alter(CreateTable(Table("other", merge=union)))
    async with running(tmp_path, committer) as group:
        assert group.table("made").state.declaration == made
        assert len(group.table("made").get(("a",))) == 2
        assert group.table("made").count() == 2


async def test_a_dropped_table_is_gone_at_once_and_cleared_in_steps(tmp_path: Path, committer: Any) -> None:
    async with running(tmp_path, committer) as group:
        await group.alter(CreateTable(Table("made", tombstones=True, indexes=(TOWN,))))
        table = group.table("made")
        await group.commit([*rows(group, "made", range(100)), (DELETE, table.id, (1, 1))])
        with pytest.raises(TableNotEmpty):
            await group.alter(DropTable("made", only_empty=True))
        await group.alter(DropTable("made"))
        uses: tuple[Callable[[], object], ...] = (
            lambda: table.get((0, 0)),
            lambda: table.count(),
            lambda: table.index("town", ()),
            lambda: group.table("made"),
            lambda: group.submit([(PUT, table.id, (1, 1), 1)], lambda result: None),
        )
        for use in uses:
            with pytest.raises(UnknownTable):
                use()
        verify_group(group)
        assert group.alterations()[0].what == "clear made"
        # The name can be used again while the rows are still being cleared, and under another id.
        await group.alter(CreateTable(Table("made")))
        assert group.table("made").id not in (table.id, group.table("coded").id)
        await group.commit(rows(group, "made", range(3)))
        await group.wait_altered()
        assert not group.alterations()
        assert not group.state.catalog.residues
        assert group.state.catalog.vacant
        assert group.table("made").count() == 3
        assert [change.table for change in group.changes(1)] == ["made"]
        await group.alter(DropTable("made"))
    with Store.open(tmp_path, [CODED], committer="inline") as store:
        group = store.group("g")
        while group.alterations():
            store.deliver_results()
        assert [table.name for table in group.tables] == ["coded"]
        verify_group(group)
    with Store.open(tmp_path, [CODED], committer="inline") as store:
        assert not store.group("g").state.catalog.vacant, "the next open takes empty maps away"


async def test_a_snapshot_sees_one_schema_throughout(tmp_path: Path, committer: Any) -> None:
    async with running(tmp_path, committer) as group:
        await group.alter(CreateTable(Table("made", tombstones=True, indexes=(TOWN,))))
        await group.commit(rows(group, "made", range(60)))
        old = group.table("made")
        with group.snapshot() as before:
            await group.alter(DropIndex("made", "town"))
            await group.alter(DropTable("made"))
            await group.wait_altered()
            # Its maps are empty now, and these take them over.
            for name in ("one", "two", "three"):
                await group.alter(CreateTable(Table(name)))
                await group.commit(rows(group, name, range(5)))
            assert len(before.range("made")) == 60
            assert len(before.index("made", "town", ("t1",))) == 20
            assert len(before.range(old)) == 60
            assert len(before.select("made", Match(key=(3, ANY)))) == 12
            assert len(before.changes(3)) == 12
            for handle in ("one", group.table("one")):
                with pytest.raises(UnknownTable):
                    before.range(handle)
        with group.snapshot() as after:
            assert len(after.range("one")) == 5
            with pytest.raises(UnknownTable):
                after.range(old)


async def test_an_index_is_built_while_writes_go_on_and_read_when_it_is_complete(
    tmp_path: Path, committer: Any
) -> None:
    seen: list[str] = []
    async with running(tmp_path, committer) as group:
        coded = group.table("coded")
        await group.commit(rows(group, "coded", range(200)))

        async def write() -> None:
            for n in range(0, 200, 7):
                await group.commit([(PUT, coded.id, (n % 5, n), {"town": "moved"})])
                await group.commit([(DELETE, coded.id, ((n + 1) % 5, n + 1))])
                await group.commit(rows(group, "coded", [500 + n]))
                if group.alterations():
                    progress = group.alterations()[0]
                    assert 0 <= progress.done <= progress.total
                    seen.append(progress.what)
                    with pytest.raises(UnknownIndex):
                        coded.index("town", ("moved",))
                    verify_group(group)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            await group.alter(AddIndex("coded", TOWN))
            assert "town" not in coded.state.unusable
        assert set(seen) == {"build index town of coded"}
        assert len(coded.index("town", ("moved",))) == 29
        with pytest.raises(IndexExists):
            await group.alter(AddIndex("coded", TOWN))
        wanted = coded.index("town", ())
        assert len(wanted) == coded.count()
    async with running(tmp_path, committer) as group:
        assert group.table("coded").index("town", ()) == wanted
        await group.alter(DropIndex("coded", "town"))
        with pytest.raises(UnknownIndex):
            group.table("coded").index("town", ())
        with pytest.raises(UnknownIndex):
            await group.alter(DropIndex("coded", "town"))
    async with running(tmp_path, committer) as group:
        assert group.table("coded").state.indexes == ()


async def test_an_index_that_a_row_does_not_fit_into_is_given_up(tmp_path: Path, committer: Any) -> None:
    async with running(tmp_path, committer) as group:
        await group.commit(rows(group, "coded", range(30)))
        await group.commit([(PUT, 0, (4, 99), {"town": "x" * 510})])
        with pytest.raises(KeyNotStorable):
            await group.alter(AddIndex("coded", TOWN))
        await group.wait_altered()
        assert group.table("coded").state.indexes == ()
        assert not group.state.catalog.residues
        await group.commit([(DELETE, 0, (4, 99))])
        await group.alter(AddIndex("coded", TOWN))
        assert len(group.table("coded").index("town", ())) == 30


async def test_what_is_dropped_as_it_is_altered_tells_whoever_waits(tmp_path: Path, committer: Any) -> None:
    async with running(tmp_path, committer) as group:
        await group.commit(rows(group, "coded", range(300)))
        await group.alter(CreateTable(Table("made", storage="ram")))
        await group.commit(rows(group, "made", range(300)))
        told: list[BaseException | None] = []

        def tell(result: Result) -> None:
            told.append(result.error)

        group.submit_alter(tell, AddIndex("coded", TOWN))
        group.submit_alter(tell, ChangeStorage("made", "disc"))
        await group.alter(SetReadOnly("coded", False))  # so both have begun
        with pytest.raises(AlterationUnderWay):
            await group.alter(ChangeStorage("made", "ram"))
        with pytest.raises(AlterationUnderWay):
            await group.alter(AddIndex("made", TOWN))
        with pytest.raises(AlterationUnderWay):
            await group.alter(ChangeStorage("coded", "ram"))
        await group.alter(DropIndex("coded", "town"))
        await group.alter(DropTable("made"))
        await group.wait_altered()
        assert sorted(type(error).__name__ for error in told) == ["UnknownIndex", "UnknownTable"]
        assert not group.state.catalog.residues
        assert not group.state.places.mirrors


@pytest.mark.parametrize("tombstones", [True, False])
async def test_a_table_moves_to_memory_and_back_while_writes_go_on(
    tmp_path: Path, committer: Any, tombstones: bool
) -> None:
    async with running(tmp_path, committer) as group:
        await group.alter(CreateTable(Table("made", tombstones=tombstones, indexes=(TOWN,))))
        await group.commit(rows(group, "made", range(150)) + rows(group, "coded", range(40)))
        table = group.table("made")
        wanted = {n: f"t{n % 3}" for n in range(150)}

        async def write(start: int) -> None:
            for n in range(start, 150, 5):
                await group.commit(rows(group, "made", [n], lambda n: "moved"))
                await group.commit([(DELETE, table.id, ((n + 1) % 5, n + 1))])
                await group.commit(rows(group, "made", [1000 + n]) + rows(group, "coded", [n]))
                wanted[n] = "moved"
                wanted.pop(n + 1, None)
                wanted[1000 + n] = f"t{(1000 + n) % 3}"
                assert {key[1]: value["town"] for key, value in table.range(limit=2000)} == wanted
                assert sorted(
                    one.key for one in group.changes(1) if one.table == "made" and not one.record.tombstone
                ) == [(1, n) for n in sorted(wanted) if n % 5 == 1]
                verify_group(group)

        storages: tuple[tuple[int, Literal["ram", "disc"]], ...] = ((0, "ram"), (3, "disc"), (2, "ram"))
        for start, storage in storages:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(write, start)
                await group.alter(ChangeStorage("made", storage))
                assert table.state.declaration.storage == storage
                assert table.state.ram == (storage == "ram")
            assert len(table.index("town", ("moved",))) == sum(town == "moved" for town in wanted.values())
            await group.wait_altered()
            assert not group.state.by_id.unsettled
            if storage == "disc":
                assert not group.state.places.ram_changes
        await group.alter(ChangeStorage("coded", "disc"))  # it is there already
    async with running(tmp_path, committer) as group:
        assert group.table("made").state.ram
        assert group.table("made").count() == 0
        assert group.table("coded").count() == len(
            {*range(40), *(n for n in range(150) if n % 5 in (0, 2, 3))}
        )
        await group.commit(rows(group, "made", range(10)))
        await group.alter(ChangeStorage("made", "disc"))
    async with running(tmp_path, committer) as group:
        assert group.table("made").count() == 10


async def test_flags_and_merges_outlive_an_open(tmp_path: Path, committer: Any) -> None:
    async with running(tmp_path, committer) as group:
        await group.commit([(PUT, 0, (1, 1), [1])])
        await group.alter(SetReadOnly("coded", True))
        with pytest.raises(TableReadOnly):
            group.submit([(PUT, 0, (1, 1), [2])], lambda result: None)
        with pytest.raises(UnknownMerge):
            await group.alter(SetMerge("coded", "newest"))
        await group.alter(SetMerge("coded", "max"))
    async with running(tmp_path, committer) as group:
        with pytest.raises(TableReadOnly):
            await group.transact(lambda transaction: transaction.put("coded", (1, 1), [2]))
        await group.alter(SetReadOnly("coded", False))
        await group.commit([(MERGE, 0, (1, 1), [0, 5])])
        assert group.table("coded").get((1, 1)) == [1]
        await group.alter(SetMerge("coded", None))
    async with running(tmp_path, committer) as group:
        with pytest.raises(MergeUndeclared):
            group.submit([(MERGE, 0, (1, 1), [2])], lambda result: None)
        await group.alter(SetMerge("coded", "union"))
        await group.alter(SetInsertOnly("coded", True))
        with pytest.raises(NotDeclarable):  # insert-only, a merge and an index: not together
            await group.alter(AddIndex("coded", TOWN))
        await group.commit([(PUT, 0, (1, 1), [9])])
        assert group.table("coded").get((1, 1)) == [9]


@pytest.mark.parametrize(
    "operation",
    [
        DropTable("none"),
        AddIndex("none", TOWN),
        DropIndex("none", "town"),
        ChangeStorage("none", "ram"),
        SetReadOnly("none", True),
        SetMerge("none", "max"),
        SetInsertOnly("none", True),
    ],
    ids=lambda operation: type(operation).__name__,
)
async def test_a_table_that_is_not_there_is_named(tmp_path: Path, committer: Any, operation: Any) -> None:
    async with running(tmp_path, committer) as group:
        with pytest.raises(UnknownTable) as caught:
            await group.alter(operation)
        assert "'none'" in str(caught.value)


async def test_what_was_queued_before_an_alteration_is_committed_under_it(tmp_path: Path) -> None:
    async with running(tmp_path, "inline") as group:
        await group.alter(CreateTable(Table("made", merge="max", indexes=(TOWN,))))
        table = group.table("made")
        results: list[Result] = []
        group.submit_alter(results.append, DropIndex("made", "town"))
        group.submit_alter(results.append, AddIndex("made", FieldIndex("size", (("size",),))))
        group.submit([(PUT, table.id, (1, 1), {"town": "Ulm", "size": 3})], results.append)
        group.submit_alter(results.append, SetMerge("made", None))
        group.submit([(PUT, 0, (1, 1), [1]), (MERGE, table.id, (1, 1), {})], results.append)
        group.submit_alter(results.append, DropTable("made"))
        group.submit([(PUT, 0, (1, 1), [2]), (DELETE, table.id, (1, 1))], results.append)
        group.submit([(PUT, 0, (2, 2), [3])], results.append)
        await group.wait_altered()
        assert sorted(type(result.error).__name__ for result in results if result.error) == [
            "MergeUndeclared",
            "UnknownTable",
            "UnknownTable",
        ]
        assert group.table("coded").get((1, 1)) is None, "all of a submit or nothing"
        assert group.table("coded").get((2, 2)) == [3]


class Full(Environment):
    """A disk that is full for some commits."""

    __slots__ = ()
    refuse = 0

    def commit(self, transaction: Any) -> None:
        if Full.refuse:
            Full.refuse -= 1
            transaction.abort()
            raise DiskFull("the test says so")
        super().commit(transaction)


async def test_on_a_full_disk_an_alteration_stalls_and_goes_on_later(tmp_path: Path, committer: Any) -> None:
    Full.refuse = 0
    async with running(tmp_path, committer, environments=Full) as group:
        await group.commit(rows(group, "coded", range(40)))
        Full.refuse = 1
        with pytest.raises(DiskFull):
            await group.alter(CreateTable(Table("made")))
        assert [table.name for table in group.tables] == ["coded"]
        await group.alter(CreateTable(Table("made")))
        told: list[Result] = []
        group.submit_alter(told.append, AddIndex("coded", TOWN))
        while not group.alterations():
            await trio.lowlevel.checkpoint()
        Full.refuse = 1
        with pytest.raises(DiskFull):
            await group.wait_altered()
        assert isinstance(told[0].error, DiskFull)
        assert isinstance(group.alterations()[0].stalled, DiskFull)
        with pytest.raises(UnknownIndex):
            group.table("coded").index("town", ())
        await group.commit(rows(group, "coded", [99]))
        await group.wait_altered()
        assert len(group.table("coded").index("town", ())) == 41


def test_what_a_closed_store_had_begun_the_next_one_goes_on_with(tmp_path: Path) -> None:
    told: list[Result] = []
    with Store.open(tmp_path, [CODED], committer="inline", settings=SETTINGS) as store:
        group = store.group("g")
        group.submit(rows(group, "coded", range(100)), told.append)
        group.submit_alter(told.append, AddIndex("coded", TOWN))
        store.deliver_results()
    assert told[0].error is None
    assert isinstance(told[1].error, StoreClosed)
    with Store.open(tmp_path, [CODED], committer="inline", read_only=True) as store:
        with pytest.raises(UnknownIndex):
            store.group("g").table("coded").index("town", ())
        verify_group(store.group("g"))
    with Store.open(tmp_path, [CODED], committer="inline", settings=SETTINGS) as store:
        group = store.group("g")
        assert [progress.what for progress in group.alterations()] == ["build index town of coded"]
        while group.alterations():
            store.deliver_results()
        assert len(group.table("coded").index("town", ())) == 100
        verify_group(group)


def test_names_may_come_and_go_without_end(tmp_path: Path) -> None:
    """LMDB's handles stay open until the store is closed, and there are 2,048 of them."""
    with Store.open(tmp_path, [CODED], committer="inline", settings=SETTINGS) as store:
        group = store.group("g")
        for n in range(690):
            told: list[Result] = []
            group.submit_alter(told.append, CreateTable(Table(f"t{n}", tombstones=True, indexes=(TOWN,))))
            group.submit_alter(told.append, DropTable(f"t{n}"))
            while group.alterations() or len(told) < 2:
                store.deliver_results()
            assert [result.error for result in told] == [None, None]
        assert len(group.state.catalog.vacant) == 3


@pytest.mark.parametrize("read_only", [True, False])
def test_a_schema_can_be_discovered(tmp_path: Path, read_only: bool) -> None:
    def by_town(key: Any, value: Any) -> list[tuple[Any, ...]]:
        return [(value["town"],)]

    groups = [
        Group("plain", (Table("one", indexes=(TOWN,), merge="max"),)),
        Group("coded", (Table("two", indexes=(Index("town", by_town),)), Table("three"))),
    ]
    told: list[Result] = []
    with Store.open(tmp_path, groups, committer="inline") as store:
        for group, table in (("plain", 0), ("coded", 0), ("coded", 1)):
            store.group(group).submit([(PUT, table, (1, 1), {"town": "Ulm"})], told.append)
        store.deliver_results()
    assert [result.error for result in told] == [None] * 3
    if not read_only:
        with pytest.raises(UnknownTable) as caught:
            Store.open(tmp_path, [], discover=True, committer="inline")
        assert "'two'" in str(caught.value)
        with Store.open(tmp_path, [groups[1]], discover=True, committer="inline") as store:
            assert store.group("plain").declaration == groups[0]
            assert store.group("coded").declaration == groups[1]
        return
    with Store.open(tmp_path, [], discover=True, read_only=True, committer="inline") as store:
        assert store.group("plain").declaration == groups[0]
        assert store.group("plain").table("one").index("town", ("Ulm",)) == [((1, 1), {"town": "Ulm"})]
        assert store.group("coded").table("two").get((1, 1)) == {"town": "Ulm"}
        assert store.group("coded").table("three").get((1, 1)) == {"town": "Ulm"}
        for opened in store.groups:
            verify_group(opened)
    with pytest.raises(UnknownTable):
        Store.open(tmp_path, [groups[0], Group("coded", (Table("three"),))], committer="inline")


@pytest.mark.parametrize(
    "operation", [AddIndex("coded", TOWN), DropTable("made"), ChangeStorage("made", "ram")]
)
def test_a_backup_in_the_middle_of_an_alteration_is_whole(tmp_path: Path, operation: Any) -> None:
    told: list[Result] = []
    with Store.open(tmp_path / "s", [CODED], committer="inline", settings=SETTINGS) as store:
        group = store.group("g")
        group.submit_alter(told.append, CreateTable(Table("made", tombstones=True, indexes=(TOWN,))))
        store.deliver_results()
        for name in ("coded", "made"):
            group.submit(rows(group, name, range(60)), told.append)
        store.deliver_results()
        group.submit_alter(told.append, operation)
        store.deliver_results()
        store.deliver_results()
        assert group.alterations(), "it is in the middle"
        backup(store, tmp_path / "b")
    assert [result.error for result in told[:3]] == [None] * 3
    with Store.open(tmp_path / "b", [CODED], committer="inline", read_only=True) as store:
        verify_group(store.group("g"))
        dropped = operation == DropTable("made")
        assert ("made" in {table.name for table in store.group("g").tables}) != dropped
        assert bool(store.info()["groups"]["g"]["clearing"]) == dropped
    restore(tmp_path / "b", [CODED], tmp_path / "r")
    with Store.open(tmp_path / "r", [CODED], committer="inline", settings=SETTINGS) as store:
        group = store.group("g")
        while group.alterations():
            store.deliver_results()
        verify_group(group)
        assert group.table("coded").count() == 60
        if isinstance(operation, AddIndex):
            assert len(group.table("coded").index("town", ())) == 60
        assert ("made" in {table.name for table in group.tables}) == (operation != DropTable("made"))
        if isinstance(operation, ChangeStorage):
            assert group.table("made").count() == 60
