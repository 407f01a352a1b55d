"""The schema is changed on both sides of a split; docs/replication.md says what comes of it, case by case."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from replication.schema.schema import Schema
from store.fieldindex import FieldIndex
from store.writes import PUT
from tests.replication.members import Members, members_of, table
from tests.replication.zeromq.cluster import until

Change = Callable[[Schema], Awaitable[object]]

BY_N, BY_M = FieldIndex("by_n", [("n",)]), FieldIndex("by_m", [("m",)])


def tables(members: Members) -> dict[str, dict[str, Any]]:
    """group → table → what a node has of it, if all nodes have the same and what is declared; else nothing."""
    found = []
    for cluster in members.up.values():
        declared = cluster.schema.groups()
        there = {
            group.name: {
                one.name: one
                for one in cluster.store.group(group.name).declaration.tables
                if one.name != "replica"
            }
            for group in cluster.groups.values()
            if group.name != "schema"
        }
        wanted = {
            name: {one.table.name: one.table for one in group.tables} for name, group in declared.items()
        }
        if there != wanted or cluster.schema.complaints:
            return {"not": {"yet": cluster.schema.complaints}}
        found.append((declared, there))
    if any(one != found[0] for one in found):
        return {"not": {"alike": None}}
    return found[0][1]


async def both(members: Members, first: Change, second: Change) -> str:
    """The first change on one side of a split, the second on the other, under a later claim; then the split heals.
    Gives a member of the second side."""
    server = members.server("schema")
    assert server is not None
    others = [name for name in members.up if name != server]
    members.split(server, others)
    later = members[others[0]]
    # The heir takes over, with a higher epoch than the claim that the primary goes on with.
    await until(lambda: any(members[name].group("schema").serves(0) for name in others))
    await until(
        lambda: members[server].group("schema").statistics()["peers"][later.me.hex()]["alive"] is False
    )
    await first(members[server].schema)
    taker = next(name for name in others if members[name].group("schema").serves(0))
    mine = members[server].group("schema").carrier.state.parts[0]
    theirs = members[taker].group("schema").carrier.state.parts[0]
    # Whose claim is the later one is decided by (epoch, primary): let it be the second side's.
    while not (theirs.claim is not None and theirs.claim.epoch > mine.claim.epoch):  # type: ignore[union-attr]
        members[taker].group("schema").force(0)
        before = theirs.claim.epoch  # type: ignore[union-attr]
        await until(lambda before=before: theirs.claim.epoch > before)  # type: ignore[union-attr]
        await until(lambda: members[taker].group("schema").serves(0))
    await second(members[taker].schema)
    members.heal()
    await until(lambda: members.server("schema") is not None)
    await members.equal("schema", "declared")
    return taker


async def prepared(members: Members) -> None:
    await members["a"].schema.create_group("g", [table("t"), table("u")], copies=3)
    await members.ready("g")
    group = members["a"].group("g")
    await group.commit([(PUT, group.table(name).id, (1,), {"n": 1, "m": 2}) for name in "tu"])
    for name in "tu":
        await members.equal("g", name)
    await members.equal("schema", "declared")


CASES: dict[str, tuple[Change, Change, Callable[[dict[str, dict[str, Any]]], bool]]] = {
    "different tables are altered: both are": (
        lambda schema: schema.add_index("g", "t", BY_N),
        lambda schema: schema.add_index("g", "u", BY_M),
        lambda g: g["g"]["t"].indexes == (BY_N,) and g["g"]["u"].indexes == (BY_M,),
    ),
    "one table is altered: as the later claim has it, whole": (
        lambda schema: schema.add_index("g", "t", BY_N),
        lambda schema: schema.set_read_only("g", "t", True),
        lambda g: g["g"]["t"].indexes == () and g["g"]["t"].read_only,
    ),
    "different tables are made: both are there": (
        lambda schema: schema.create_table(table("x"), group="g"),
        lambda schema: schema.create_table(table("y"), group="g"),
        lambda g: set(g["g"]) == {"t", "u", "x", "y"},
    ),
    "tables of one name are made: the later claim's": (
        lambda schema: schema.create_table(table("x"), group="g"),
        lambda schema: schema.create_table(table("x", kind="bag"), group="g"),
        lambda g: g["g"]["x"].kind == "bag",
    ),
    "groups of one name are made: the later claim's, and the other one's further tables come with it": (
        lambda schema: schema.create_group("h", [table("x"), table("y")]),
        lambda schema: schema.create_group("h", [table("x", kind="bag"), table("z")]),
        lambda g: set(g["h"]) == {"x", "y", "z"} and g["h"]["x"].kind == "bag",
    ),
    "deleted, and altered under the later claim: it is there": (
        lambda schema: schema.delete_table("g", "t"),
        lambda schema: schema.set_read_only("g", "t", True),
        lambda g: g["g"]["t"].read_only,
    ),
    "altered, and deleted under the later claim: it is gone": (
        lambda schema: schema.set_read_only("g", "t", True),
        lambda schema: schema.delete_table("g", "t"),
        lambda g: set(g["g"]) == {"u"},
    ),
    "a group is deleted, and one of its tables altered under the later claim: the group is gone": (
        lambda schema: schema.delete_group("g"),
        lambda schema: schema.set_read_only("g", "t", True),
        lambda g: g == {},
    ),
    "a table is made in a group that is deleted: the group is gone": (
        lambda schema: schema.delete_group("g"),
        lambda schema: schema.create_table(table("x"), group="g"),
        lambda g: g == {},
    ),
    "each side deletes another one of two tables: nothing is left, and the group is gone": (
        lambda schema: schema.delete_table("g", "t"),
        lambda schema: schema.delete_table("g", "u"),
        lambda g: g == {},
    ),
    "deleted on both sides: it is gone": (
        lambda schema: schema.delete_table("g", "t"),
        lambda schema: schema.delete_table("g", "t"),
        lambda g: set(g["g"]) == {"u"},
    ),
    "copies are placed, and a table is altered: both are": (
        lambda schema: schema.set_load_order("g", 7),
        lambda schema: schema.add_index("g", "t", BY_N),
        lambda g: g["g"]["t"].indexes == (BY_N,),
    ),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_comes_of_changes_on_both_sides(tmp_path: Path, case: str) -> None:
    first, second, expected = CASES[case]
    async with members_of(tmp_path, "abc") as members:
        await prepared(members)
        await both(members, first, second)

        def agreed() -> bool:
            found = tables(members)
            return "not" not in found and expected(found)

        await until(agreed)


async def test_rows_of_a_table_that_was_made_on_both_sides_are_the_later_claims(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        await prepared(members)

        async def make(schema: Schema, row: str) -> None:
            await schema.create_table(table("x"), copies=3)
            await schema.wait_for_tables(["x"], 60)
            cluster = next(one for one in members.up.values() if one.schema is schema)
            group = cluster.group("x")
            await group.commit([(PUT, group.table("x").id, (row,), row)], timeout=60)

        await both(members, lambda schema: make(schema, "first"), lambda schema: make(schema, "second"))
        await until(
            lambda: all(
                "x" in one.groups and dict(one.group("x").table("x").range()) == {("second",): "second"}
                for one in members.up.values()
            )
        )
        assert await members.equal("x", "x") == {("second",): "second"}


async def test_what_is_left_of_a_group_is_not_in_its_successor(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc") as members:
        await prepared(members)
        await both(
            members,
            lambda schema: schema.delete_group("g"),
            lambda schema: schema.set_read_only("g", "t", True),
        )
        await until(lambda: tables(members) == {})
        await members["b"].schema.create_group("g", [table("v")])
        await until(lambda: set(tables(members).get("g", ())) == {"v"})


@pytest.mark.parametrize("how", ["there", "gone"])
async def test_copies_of_a_table_that_was_dropped_on_one_side_only_become_equal(
    tmp_path: Path, how: str
) -> None:
    async with members_of(tmp_path, "abc") as members:
        await prepared(members)

        async def delete(schema: Schema) -> None:
            await schema.delete_table("g", "t")
            cluster = next(one for one in members.up.values() if one.schema is schema)
            await until(lambda: "t" not in cluster.group("g").group.state.tables)

        async def alter(schema: Schema) -> None:
            await schema.add_index("g", "t", BY_N)

        changes = (delete, alter) if how == "there" else (alter, delete)
        await both(members, *changes)
        await until(lambda: "not" not in tables(members))
        if how == "gone":
            assert set(tables(members)["g"]) == {"u"}
        else:
            # Who dropped it has it again, and what the others still had.
            await until(lambda: all(len(group.table("t").range()) == 1 for group in members.groups("g")))
            assert await members.equal("g", "t") == {(1,): {"n": 1, "m": 2}}
            assert all(group.table("t").index("by_n", (1,)) for group in members.groups("g"))
        assert await members.equal("g", "u") == {(1,): {"n": 1, "m": 2}}
