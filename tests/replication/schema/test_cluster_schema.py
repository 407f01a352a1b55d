"""Every operation on the schema of a live cluster, from a node that isn't its primary, while others write."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from replication.core.errors import ClaimLost
from replication.errors import GroupGone
from replication.forwarding import Refused
from replication.schema.errors import SchemaRefused, TablesNotReady, TransformFailed
from store.errors import TableReadOnly
from store.fieldindex import FieldIndex
from store.writes import MERGE, PUT
from tests.replication.members import Members, members_of, table
from tests.replication.zeromq.cluster import until


def double(key: Any, value: Any) -> Any:
    return {**value, "n": value["n"] * 2, "doubled": value.get("doubled", 0) + 1}


def stumble(key: Any, value: Any) -> Any:
    if key == (1_500,):
        raise ValueError("no such thing")
    return double(key, value)


PROCEDURES = {"double": double, "stumble": stumble}


def asker(members: Members) -> Any:
    """The schema, as a node sees it that isn't its primary."""
    return members[members.other("schema")].schema


class Writer:
    """Writes rows one after the other through all members, until it is told to stop; `settled` are there for good."""

    def __init__(self, members: Members, group: str, name: str) -> None:
        self._members = members
        self._group = group
        self._table = name
        self.settled: dict[Any, Any] = {}
        self.stopped = False

    async def run(self) -> None:
        i = 0
        while not self.stopped:
            for cluster in tuple(self._members.up.values()):
                i += 1
                group = cluster.group(self._group)
                value = {"n": i, "third": i % 3}
                await group.commit([(PUT, group.table(self._table).id, (i,), value)], timeout=60)
                self.settled[(i,)] = value

    async def some(self, more: int = 20) -> None:
        """Until so many more are settled."""
        wanted = len(self.settled) + more
        await until(lambda: len(self.settled) >= wanted)


@contextlib.asynccontextmanager
async def writing(members: Members, group: str, name: str) -> AsyncIterator[Writer]:
    writer = Writer(members, group, name)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run)
        await writer.some()
        yield writer
        await writer.some()
        writer.stopped = True


async def test_tables_come_and_go_on_every_node(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        await schema.create_table(table("note"), copies=3)
        await members.ready("note")
        async with writing(members, "note", "note") as writer:
            await schema.create_table(table("second", kind="bag"), group="note")
            for cluster in members.up.values():
                await cluster.schema.wait_for_tables([("note", "second")], 60)
            for name in members.up:
                group = members[name].group("note")
                await group.commit([(PUT, group.table("second").id, ("all",), name)])
            await schema.create_group("pair", [table("left"), table("right")], copies=2)
            await members.ready("pair")
            await writer.some()
        assert await members.equal("note", "note") == writer.settled
        assert sorted(await members.equal("note", "second")) == [("all",)]
        for group in members.groups("note"):
            await until(lambda group=group: sorted(group.table("second").get(("all",))) == ["a", "b", "c"])
        await schema.delete_table("note", "second")
        await schema.delete_group("pair")
        await until(lambda: all("pair" not in one.groups for one in members.up.values()))
        await until(lambda: all("second" not in group.group.state.tables for group in members.groups("note")))
        assert await members.equal("note", "note") == writer.settled
        await schema.delete_table("note")
        await until(lambda: all(set(one.groups) == {"schema"} for one in members.up.values()))
        await until(
            lambda: all(
                {one.name for one in cluster.store.groups} == {"schema", "cluster"}
                for cluster in members.up.values()
            )
        )
        assert schema.groups() == {}


async def test_who_waits_for_a_group_that_is_deleted_is_told(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab") as members:
        await members["a"].schema.create_table(table("note"))
        await members.ready("note")
        groups = {name: members[name].group("note") for name in "ab"}
        ended: dict[str, Any] = {}

        async def write(name: str) -> None:
            number = groups[name].table("note").id
            with pytest.raises((GroupGone, Refused)) as found:
                while True:
                    await groups[name].commit([(PUT, number, (name,), 1)], timeout=60)
            ended[name] = found.value

        async def wait(name: str) -> None:
            with pytest.raises(GroupGone, match="look at the schema"):
                while True:
                    await groups[name].wait_ready()
                    await trio.sleep(0.01)
            ended["waited " + name] = 1

        async with trio.open_nursery() as nursery:
            for name in "ab":
                nursery.start_soon(write, name)
                nursery.start_soon(wait, name)
            await members["a"].schema.delete_table("note")
        assert len(ended) == 4
        for group in groups.values():
            with pytest.raises(GroupGone):
                group.cast([(PUT, 0, (1,), 1)])
            with pytest.raises(GroupGone):
                await group.call("double")
            with trio.fail_after(60):
                await group.drained()


async def test_what_was_deleted_and_made_again_while_a_node_was_down_stays_deleted(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        await schema.create_group("g", [table("kept"), table("remade")], copies=3)
        await schema.create_table(table("single"), copies=3)
        await members.ready("g", "single")
        for group, name in (("g", "kept"), ("g", "remade"), ("single", "single")):
            one = members["a"].group(group)
            await one.commit([(PUT, one.table(name).id, ("old",), 1)])
            await members.equal(group, name)
        await members.stop("c")
        schema = members["a"].schema
        await schema.delete_table("g", "remade")
        await schema.create_table(table("remade"), group="g")
        await schema.delete_table("single")
        await schema.create_table(table("single"), copies=3)
        ids = {one.table.name: one.id for group in schema.groups().values() for one in group.tables}
        for cluster in members.up.values():
            applied = cluster.group("schema").table("applied")
            await until(
                lambda applied=applied: all(
                    applied.get(("table", group, name)) == ids[name]
                    for group, name in (("g", "kept"), ("g", "remade"), ("single", "single"))
                )
            )
        await members.ready("single")
        for group, name in (("g", "kept"), ("g", "remade"), ("single", "single")):
            for cluster in members.up.values():
                await until(lambda c=cluster, g=group, n=name: n in c.group(g).group.state.tables)
            one = members["b"].group(group)
            await one.commit([(PUT, one.table(name).id, ("new",), 2)], timeout=60)
        await members.start("c")
        await members.ready("g", "single")
        new = {("new",): 2}
        assert await members.equal("g", "kept") == {("old",): 1, **new}
        for group, name in (("g", "remade"), ("single", "single")):
            for cluster in members.up.values():
                await until(
                    lambda c=cluster, g=group, n=name: (
                        n in c.group(g).group.state.tables and dict(c.group(g).table(n).range()) == new
                    )
                )
            assert await members.equal(group, name) == new


async def test_copies_are_added_dropped_and_moved_while_others_write(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        a, b, c = (members.node(name) for name in "abc")
        await schema.create_table(table("note"), nodes=[a, b])
        await members.ready("note")

        def rows(name: str) -> int:
            return len(members[name].group("note").table("note").range(limit=100_000))

        async with writing(members, "note", "note") as writer:
            await schema.add_copy("note", c)
            await until(lambda: members["c"].group("note").is_live(0))
            await writer.some()
            await schema.drop_copy("note", b)
            await until(lambda: rows("b") == 0)
            await writer.some()
            await schema.move_copy("note", a, b)
            await until(lambda: rows("a") == 0)
            await until(lambda: members["b"].group("note").is_live(0))
            await writer.some()
        assert await members.equal("note", "note", on="bc") == writer.settled
        assert rows("a") == 0
        declared = members["a"].schema.groups()["note"]
        assert (set(declared.nodes), declared.copies) == ({b, c}, 2)
        with pytest.raises((SchemaRefused, Refused), match="no copy"):
            await schema.drop_copy("note", a)
        with pytest.raises((SchemaRefused, Refused), match="already"):
            await schema.add_copy("note", b)
        with pytest.raises((SchemaRefused, Refused), match="no member"):
            await schema.add_copy("note", b"nobody!!")
        await schema.drop_copy("note", b)
        await until(lambda: rows("b") == 0)
        with pytest.raises((SchemaRefused, Refused), match="delete the group"):
            await schema.drop_copy("note", c)
        await members.ready("note")
        assert await members["a"].group("note").read("note", (1,)) == writer.settled[(1,)]
        assert await members.equal("note", "note", on="c") == writer.settled


async def test_a_copy_is_added_to_a_group_that_nobody_has_placed(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        await schema.create_table(table("note"))
        await members.ready("note")
        group = members["a"].group("note")
        # Not by whose copy is complete: the first to come may serve until those that are wanted have it.
        missing = members.name(group.carrier.state.ranked(0)[-1])
        await group.commit([(PUT, group.table("note").id, (1,), 1)])
        await schema.add_copy("note", members.node(missing))
        await until(lambda: members[missing].group("note").is_live(0))
        assert await members.equal("note", "note") == {(1,): 1}


async def test_storage_changes_on_all_nodes_and_on_one_and_memory_fills_after_a_restart(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        await schema.create_table(table("note"), copies=3)
        await members.ready("note")

        def storages() -> dict[str, str]:
            return {
                name: one.group("note").group.declaration.tables[0].storage
                for name, one in members.up.items()
            }

        async with writing(members, "note", "note") as writer:
            await schema.change_storage("note", "note", "ram")
            await until(lambda: set(storages().values()) == {"ram"})
            await writer.some()
            await schema.change_storage("note", "note", "disc", node=members.node("b"))
            await until(lambda: storages() == {"a": "ram", "b": "disc", "c": "ram"})
            await writer.some()
        assert await members.equal("note", "note") == writer.settled
        for name in "ca":
            await members.stop(name)
            await members.start(name)
            await members.ready("note")
            assert storages() == {"a": "ram", "b": "disc", "c": "ram"}
            assert await members.equal("note", "note") == writer.settled
        with pytest.raises((SchemaRefused, Refused), match="choose ram or disc"):
            await asker(members).change_storage("note", "note", "tape")


async def test_an_index_is_complete_on_every_copy_before_it_is_read(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        await schema.create_table(table("note"), copies=3)
        await members.ready("note")
        async with writing(members, "note", "note") as writer:
            await schema.add_index("note", "note", FieldIndex("third", [("third",)]))
            for group in members.groups("note"):
                state = group.group.state
                await until(
                    lambda state=state: state.tables["note"].indexes and not state.tables["note"].unusable
                )
            await writer.some()
        await members.equal("note", "note")
        for group in members.groups("note"):
            scan = [
                (key, value) for key, value in group.table("note").range(limit=100_000) if value["third"] == 1
            ]
            assert group.table("note").index("third", (1,), limit=100_000) == scan
            assert scan
        with pytest.raises((SchemaRefused, Refused), match="already"):
            await schema.add_index("note", "note", FieldIndex("third", [("other",)]))
        await schema.drop_index("note", "note", "third")
        for group in members.groups("note"):
            await until(lambda group=group: not group.group.state.tables["note"].indexes)
        with pytest.raises((SchemaRefused, Refused), match="no index"):
            await schema.drop_index("note", "note", "third")


async def test_a_transformation_gives_every_record_its_new_value_and_can_be_taken_up_where_it_failed(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", procedures=PROCEDURES) as members:
        schema = asker(members)
        await schema.create_table(table("note"))
        await members.ready("note")
        group = members["a"].group("note")
        number = group.table("note").id
        for first in range(0, 2_500, 500):
            await group.commit([(PUT, number, (i,), {"n": i}) for i in range(first, first + 500)])
        told: list[Any] = []
        with pytest.raises(TransformFailed, match="no such thing") as failed:
            await schema.transform_table("note", "note", "stumble", told=lambda *step: told.append(step))
        assert told
        done = await schema.transform_table("note", "note", "double", after=failed.value.after)
        assert 0 < done < 2_500
        rows = await members.equal("note", "note")
        assert rows == {(i,): {"n": 2 * i, "doubled": 1} for i in range(2_500)}
        with pytest.raises(TransformFailed, match="registered"):
            await schema.transform_table("note", "note", "unheard of")
        with pytest.raises(SchemaRefused, match="no group"):
            await schema.transform_table("nowhere", "note", "double")


async def test_a_table_is_read_only_on_every_node_until_it_isnt(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab") as members:
        schema = asker(members)
        await schema.create_group("g", [table("note"), table("other")])
        await members.ready("g")
        await schema.set_read_only("g", "note", True)
        for group in members.groups("g"):
            await until(lambda group=group: group.table("note").state.read_only)
            with pytest.raises((TableReadOnly, Refused), match="read-only"):
                await group.commit([(PUT, group.table("note").id, (1,), 1)])
            assert (await group.commit([(PUT, group.table("other").id, (1,), 1)])).copies == 2
        await schema.set_read_only("g", "note", False)
        for group in members.groups("g"):  # all of them: the primary must have heard of it, too
            await until(lambda group=group: not group.table("note").state.read_only)
        await members["a"].group("g").commit([(PUT, members["a"].group("g").table("note").id, (1,), 1)])
        assert await members.equal("g", "note") == {(1,): 1}


async def test_a_merge_is_set_by_its_name(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab") as members:
        schema = asker(members)
        await schema.create_table(table("note"))
        await members.ready("note")
        await schema.set_merge("note", "note", "max")
        for group in members.groups("note"):
            await until(lambda group=group: group.group.state.tables["note"].merge is not None)
        for group in members.groups("note"):
            await group.commit([(MERGE, group.table("note").id, ("k",), 5)])
            await group.commit([(MERGE, group.table("note").id, ("k",), 3)])
        assert await members.equal("note", "note") == {("k",): 5}
        with pytest.raises((SchemaRefused, Refused), match="no merge"):
            await schema.set_merge("note", "note", "guess")


async def test_a_table_of_local_content_is_each_nodes_own(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab") as members:
        schema = asker(members)
        await schema.create_group("g", [table("mine", local_content=True, tombstones=False), table("ours")])
        await schema.create_table(table("alone", local_content=True, tombstones=False))
        await members.ready("g", "alone")
        for name in "ab":
            for group, one in (("g", "mine"), ("alone", "alone")):
                opened = members[name].group(group).group
                await opened.commit([(PUT, opened.table(one).id, ("me",), name)])
        await members["a"].group("g").commit([(PUT, members["a"].group("g").table("ours").id, (1,), 1)])
        assert await members.equal("g", "ours") == {(1,): 1}
        for name in "ab":
            assert members[name].group("g").table("mine").get(("me",)) == name
            assert members[name].group("alone").table("alone").get(("me",)) == name


async def test_partitions_spread_over_the_nodes_that_may_have_some(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        await schema.create_table(table("letter", partitioned=True), partitions=8)
        await members.ready("letter")
        group = members["a"].group("letter")
        number = group.table("letter").id
        for p in range(8):
            await group.commit([(PUT, number, (p, 1), p)])
        await schema.drop_copy("letter", members.node("a"))
        await until(lambda: not group.table("letter").range())
        for p in range(8):
            assert await group.read("letter", (p, 1)) == p
        assert {members.server("letter", p) for p in range(8)} == {"b", "c"}
        await schema.add_copy("letter", members.node("a"))
        with pytest.raises((SchemaRefused, Refused), match="may have some"):
            await schema.add_copy("letter", members.node("a"))


async def test_those_with_a_higher_load_order_are_opened_first(tmp_path: Path) -> None:
    async with members_of(tmp_path, "a") as members:
        schema = members["a"].schema
        for name, order in (("last", 0), ("first", 5), ("middle", 1)):
            await schema.create_table(table(name), load_order=order)
        await members.ready("last", "first", "middle")
        await schema.set_load_order("last", -1)
        await members.stop("a")
        await members.start("a")
        await members.ready("last", "first", "middle")
        assert list(members["a"].groups) == ["schema", "first", "middle", "last"]


async def test_waiting_for_tables_names_those_that_are_missing(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab") as members:
        schema = asker(members)
        await schema.create_table(table("here"))
        await schema.wait_for_tables(["here", ("here", "here")], 60)
        with pytest.raises(TablesNotReady, match=r": here\.there, nowhere; "):
            await schema.wait_for_tables(["here", "nowhere", ("here", "there")], 0.3)


async def test_a_node_that_was_down_during_changes_makes_up_for_them(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        schema = asker(members)
        for name in ("kept", "gone", "altered"):
            await schema.create_table(table(name), copies=3)
        await members.ready("kept", "gone", "altered")
        group = members["a"].group("altered")
        for i in range(100):
            await group.commit([(PUT, group.table("altered").id, (i,), {"n": i % 7})])
        await members.stop("c")
        schema = members["a"].schema
        await schema.delete_table("gone")
        await schema.create_table(table("new"), copies=3)
        await schema.add_index("altered", "altered", FieldIndex("n", [("n",)]))
        await schema.change_storage("altered", "altered", "ram", node=members.node("c"))
        await schema.set_read_only("kept", "kept", True)
        await members.ready("new")
        await members["a"].group("new").commit([(PUT, members["a"].group("new").table("new").id, (1,), 1)])
        await members.start("c")
        await members.ready("kept", "altered", "new")
        there = members["c"]
        await until(lambda: set(there.groups) == {"schema", "kept", "altered", "new"})
        await until(lambda: there.group("kept").table("kept").state.read_only)
        state = there.group("altered").group.state
        await until(
            lambda: (
                state.tables["altered"].declaration.storage == "ram"
                and state.tables["altered"].indexes
                and not state.tables["altered"].unusable
            )
        )
        assert await members.equal("new", "new") == {(1,): 1}
        await members.equal("altered", "altered")
        assert len(there.group("altered").table("altered").index("n", (3,))) == 14
        assert there.schema.complaints == {}


async def test_what_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab") as members:
        schema = asker(members)
        await schema.create_table(table("note"))
        await members.ready("note")
        before = schema.groups()
        for attempt in (
            lambda: schema.create_table(table("note")),
            lambda: schema.create_table(table("note"), group="note"),
            lambda: schema.create_table(table("schema")),
            lambda: schema.create_table(table("replica"), group="note"),
            lambda: schema.create_table(table("x"), group="nowhere"),
            lambda: schema.create_table(table("x", tombstones=False)),
            lambda: schema.create_table(table("x", partitioned=True)),
            lambda: schema.create_table(table("x"), copies=0),
            lambda: schema.create_group("x", []),
            lambda: schema.create_group("x", [table("y"), table("y")]),
            lambda: schema.delete_table("note", "other"),
            lambda: schema.delete_group("other"),
            lambda: schema.set_copies("note", 99),
            lambda: schema.set_load_order("other", 1),
        ):
            with pytest.raises((SchemaRefused, Refused, ClaimLost)):
                await attempt()
        assert schema.groups() == before
