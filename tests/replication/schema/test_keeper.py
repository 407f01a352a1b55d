"""A keeper on a real store, with a host that only writes down: crashes at any step, and what can't be done for now."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from replication.labels import Labels
from replication.placed import Placed
from replication.schema import changes, keeper
from replication.schema.declared import (
    APPLIED,
    DECLARED,
    NAME,
    DeclaredGroup,
    DeclaredTable,
    group_key,
    read,
    table_key,
)
from replication.schema.keeper import Keeper
from replication.tables import REPLICA, replicated
from replication.zeromq.errors import AddressInUse
from store.errors import DiskFull, SyncFailed
from store.fieldindex import FieldIndex
from store.limits import StoreSettings
from store.schema import Group
from store.store import Store
from store.writes import PUT
from tests.replication.members import table

ME = b"8 bytes "
SETTINGS = StoreSettings(map_bytes=16 << 20, linger_ms=0)


class Crash(BaseException):
    """The process is killed here."""


class Carrier:
    """What a keeper knows of one."""

    def __init__(self, labels: Labels) -> None:
        self.labels = labels


class Handle:
    """A group that takes part."""

    def __init__(self, placed: Placed, identity: bytes, labels: Labels) -> None:
        self.placed = placed
        self.identity = identity
        self.carrier = Carrier(labels)


class SchemaGroup:
    """The replicated group of the schema, as a keeper needs it. Its copy is complete, if nobody says otherwise."""

    def __init__(self, store: Store) -> None:
        self.group = store.group(NAME)
        self.live = True

    def table(self, name: str) -> Any:
        return self.group.table(name)

    def is_live(self, _: int) -> bool:
        return self.live


class Host:
    """A cluster, as a keeper needs it. `fails`: what goes wrong, by what is done, once each."""

    def __init__(self, store: Store) -> None:
        self.me = ME
        self.store: Any = store
        self.groups: dict[str, Any] = {}
        self.fails: dict[str, BaseException] = {}

    def start_group(
        self, placed: Placed, identity: bytes | None = None, tables: Mapping[str, bytes] | None = None
    ) -> Any:
        if "start" in self.fails:
            raise self.fails.pop("start")
        assert identity is not None
        one = Handle(placed, identity, Labels(tables or {}))
        self.groups[placed.group.name] = one
        return one

    def stop_group(self, name: str) -> None:
        del self.groups[name]

    def place(self, placed: Placed) -> None:
        self.groups[placed.group.name].placed = placed


@attrs.define
class Life:
    """One life of a node."""

    store: Store
    host: Host
    keeper: Keeper
    schema: SchemaGroup

    async def change(self, what: str, *arguments: Any) -> None:
        await self.schema.group.transact(changes.apply, what, arguments)

    @property
    def declared(self) -> dict[str, DeclaredGroup]:
        return read(self.schema.table(DECLARED.name).range())

    def check(self) -> None:
        """What is there is what is declared, and `applied` says so."""
        assert self.keeper.complaints == {}
        there = {one.name: one for one in self.store.groups if one.name != NAME}
        assert there.keys() == self.declared.keys() == self.host.groups.keys()
        applied = dict(self.schema.table(APPLIED.name).range())
        wanted: dict[Any, Any] = {}
        for name, group in self.declared.items():
            wanted[group_key(name)] = group.id
            tables = {one.name: one for one in there[name].declaration.tables if one.name != REPLICA.name}
            assert tables == {one.table.name: one.on(ME) for one in group.tables}
            assert self.host.groups[name].identity == group.id
            for one in group.tables:
                wanted[table_key(name, one.table.name)] = one.id
                label = self.host.groups[name].carrier.labels.label(one.table.name)
                assert label == f"{one.table.name}@{one.id.hex()}"
        assert applied == wanted


@contextlib.asynccontextmanager
async def life(data: Path, *declared: Group) -> AsyncIterator[Life]:
    with Store.open(
        data, [replicated(Group(NAME, (DECLARED, APPLIED))), *declared], settings=SETTINGS
    ) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            host, schema = Host(store), SchemaGroup(store)
            yield Life(store, host, Keeper(host, schema), schema)  # type: ignore[arg-type]
            nursery.cancel_scope.cancel()


def group(name: str, *tables: DeclaredTable, number: int = 1, **where: Any) -> list[Any]:
    row = DeclaredGroup(id=bytes([number]) * 8, name=name, **where).row()
    return [row, name, [one.row() for one in tables or (made(name, number),)]]


def made(name: str, number: int = 1, **declared: Any) -> DeclaredTable:
    return DeclaredTable(id=bytes([number]) * 8, table=table(name, **declared))


async def rows(one: Life, name: str, *keys: Any) -> None:
    opened = one.store.group(name)
    await opened.commit([(PUT, opened.table(name).id, key, 1) for key in keys])


async def test_it_makes_what_is_declared_and_drops_what_is_not(tmp_path: Path) -> None:
    async with life(tmp_path) as one:
        await one.change("create_group", *group("g", made("g"), made("h", 2)))
        await one.change("create_group", *group("solo"))
        await one.keeper.look()
        one.check()
        await one.change("delete_table", "g", "h")
        await one.change("delete_group", "solo")
        await one.change("add_index", "g", "g", {"name": "n", "version": 1, "paths": [["value", "n"]]})
        await one.change("change_storage", "g", "g", "ram", ME)
        await one.change("set_read_only", "g", "g", True)
        await one.change("set_merge", "g", "g", "max")
        await one.keeper.look()
        one.check()
        assert one.store.group("g").table("g").state.ram
        assert one.store.group("g").declaration.tables[0].indexes == (FieldIndex("n", [("n",)]),)


async def test_what_was_deleted_and_made_again_begins_empty(tmp_path: Path) -> None:
    async with life(tmp_path) as one:
        await one.change("create_group", *group("g", made("g"), made("kept", 9)))
        await one.change("create_group", *group("solo"))
        await one.keeper.look()
        for name in ("g", "solo"):
            await rows(one, name, (1,))
        await one.change("delete_table", "g", "g")
        await one.change("create_table", "g", made("g", 2).row())
        await one.change("delete_group", "solo")
        await one.change("create_group", *group("solo", number=3))
        await one.keeper.look()
        one.check()
        for name in ("g", "solo"):
            assert one.store.group(name).table(name).count() == 0


STEPS = (
    ("create_group", *group("g", made("g"), made("h", 2))),
    ("create_table", "g", made("more", 3).row()),
    ("delete_table", "g", "g"),
    ("create_table", "g", made("g", 4).row()),
    ("change_storage", "g", "h", "ram", None),
    ("add_index", "g", "more", {"name": "n", "version": 1, "paths": [["value", "n"]]}),
    ("delete_group", "g"),
    ("create_group", *group("g", made("g", 5), number=6)),
)


async def test_killed_at_any_step_it_finishes_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each change, and after two at once, the node is killed before the n-th thing that a look does, and
    after it; and is started again."""
    runs = 0
    for many in (1, 2):
        for last in range(many, len(STEPS) + 1):
            crashed, n = True, 0
            while crashed:
                data = tmp_path / f"{many}-{last}-{n}"
                async with life(data) as one:
                    for step in STEPS[: last - many]:
                        await one.change(*step)
                    await one.keeper.look()
                    for step in STEPS[last - many : last]:
                        await one.change(*step)
                    crashed = await _crash(one, n, monkeypatch)
                async with life(data) as one:
                    # What is there is what was written down, whatever was under way.
                    applied = dict(one.schema.table(APPLIED.name).range())
                    for opened in one.store.groups:
                        if opened.name != NAME:
                            assert group_key(opened.name) in applied
                            for name in (t.name for t in opened.tables if t.name != REPLICA.name):
                                assert table_key(opened.name, name) in applied
                    await one.keeper.look()
                    one.check()
                runs += 1
                n += 1
    assert runs > 60


async def _crash(one: Life, at: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Look, and be killed at the n-th thing that changes anything: even numbers before it, odd ones after it."""
    left = [at]

    def killing(fn: Any) -> Any:
        async def does(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise Crash
            result = await fn(*arguments, **named)
            left[0] -= 1
            if left[0] == -1:
                raise Crash
            return result

        return does

    with monkeypatch.context() as patch:
        patch.setattr(type(one.store.groups[0]), "alter", _method(killing, type(one.store.groups[0]).alter))
        patch.setattr(Store, "add_group", _method(killing, Store.add_group))
        patch.setattr(Store, "drop_group", _method(killing, Store.drop_group))
        patch.setattr(Keeper, "_note", _method(killing, Keeper._note))
        try:
            await one.keeper.look()
        except Crash:
            return True
    return False


def _method(wrap: Any, fn: Any) -> Any:
    wrapped = wrap(fn)

    async def method(self: Any, *arguments: Any, **named: Any) -> Any:
        return await wrapped(self, *arguments, **named)

    return method


async def test_cancelled_at_any_wait_it_goes_on_later(tmp_path: Path) -> None:
    async with life(tmp_path) as one:
        for step in STEPS:
            await one.change(*step)
            for rounds in range(200):  # cancelled one round of the scheduler later each time
                looked = False
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_cancel_after, rounds, nursery.cancel_scope)
                    await one.keeper.look()
                    looked = True
                    nursery.cancel_scope.cancel()
                if looked:
                    break
            await _look_until_quiet(one.keeper)
            one.check()


async def _look_until_quiet(keeper: Keeper) -> None:
    """As `run` does: what a cancelled look had begun may be still under way, and is a complaint until it is done."""
    with trio.fail_after(60):
        while True:
            await keeper.look()
            if not keeper.complaints:
                return
            await trio.sleep(0.01)


async def _cancel_after(rounds: int, scope: trio.CancelScope) -> None:
    for _ in range(rounds):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def test_what_fails_is_a_complaint_until_it_is_done_and_holds_up_nothing_else(tmp_path: Path) -> None:
    async with life(tmp_path) as one:
        await one.change("create_group", *group("bad", made("bad"), made("good", 2), load_order=5))
        await one.change("create_group", *group("other"))
        await one.keeper.look()
        await one.change("set_read_only", "bad", "bad", True)
        await one.change("set_read_only", "bad", "good", True)
        await one.change("create_group", *group("late"))
        alter = type(one.store.group("bad")).alter
        full = {"bad"}

        async def fails(self: Any, operation: Any) -> None:
            if operation.table in full:
                raise DiskFull("no room")
            await alter(self, operation)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(one.store.group("bad")), "alter", fails)
            one.host.fails["start"] = AddressInUse("every port is in use")
            await one.keeper.look()
            assert list(one.keeper.complaints) == ["table bad.bad", "group late"]
            assert "no room" in one.keeper.complaints["table bad.bad"]
            assert one.store.group("bad").table("good").state.read_only
            full.clear()
            await one.keeper.look()
        one.check()


async def test_a_store_that_is_dead_is_no_complaint(tmp_path: Path) -> None:
    async with life(tmp_path) as one:
        await one.change("create_group", *group("g"))
        one.host.fails["start"] = SyncFailed("the disk is gone")
        with pytest.raises(SyncFailed):
            await one.keeper.look()


async def test_what_the_program_declares_is_its_own(tmp_path: Path) -> None:
    async with life(tmp_path, replicated(Group("g", (table("g"),)))) as one:
        await rows(one, "g", (1,))
        await one.change("create_group", *group("g"))
        await one.keeper.look()
        assert list(one.keeper.complaints) == ["group g"]
        assert "by the program" in one.keeper.complaints["group g"]
        await one.change("delete_group", "g")
        await one.keeper.look()
        assert one.keeper.complaints == {}
        assert one.store.group("g").table("g").count() == 1


async def test_a_schema_that_cannot_be_read_drops_nothing(tmp_path: Path) -> None:
    async with life(tmp_path) as one:
        await one.change("create_group", *group("g"))
        await one.keeper.look()
        await rows(one, "g", (1,))
        # As a later release may declare it.
        number = one.schema.table(DECLARED.name).id
        row = {**made("g").row(), "merge": "of another release"}
        await one.schema.group.commit([(PUT, number, table_key("g", "g"), row)])
        await one.keeper.look()
        assert "no merge" in one.keeper.complaints["the schema"]
        assert one.store.group("g").table("g").count() == 1


async def test_it_looks_at_nothing_before_its_copy_of_the_schema_is_complete(tmp_path: Path) -> None:
    async with life(tmp_path) as one:
        await one.change("create_group", *group("g"))
        one.schema.live = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.keeper.run)
            await one.keeper.wait_looked()
            assert one.host.groups == {}
            one.schema.live = True
            await one.change("create_group", *group("h"))
            with trio.fail_after(30):
                while set(one.host.groups) != {"g", "h"}:
                    await one.keeper.wait_looked()
            nursery.cancel_scope.cancel()
        one.check()


async def test_a_long_alteration_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "PATIENCE_S", 0.05)
    async with life(tmp_path) as one:
        await one.change("create_group", *group("g"))
        await one.change("create_group", *group("h"))
        await one.keeper.look()
        alter = type(one.store.group("g")).alter
        going_on = trio.Event()

        async def slow(self: Any, operation: Any) -> None:
            if self.name == "g":
                await going_on.wait()
            await alter(self, operation)

        await one.change("set_read_only", "g", "g", True)
        await one.change("set_read_only", "h", "h", True)
        with monkeypatch.context() as patch:
            patch.setattr(type(one.store.group("g")), "alter", slow)
            await one.keeper.look()
            assert one.store.group("h").table("h").state.read_only
            assert not one.store.group("g").table("g").state.read_only
            going_on.set()
            await one.keeper.look()
        one.check()
