"""What is declared survives being a row, on disk and on the way."""

from __future__ import annotations

from typing import Any

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.schema.declared import DeclaredGroup, DeclaredTable, group_key, read, table_key
from store.fieldindex import EACH, FieldIndex, KeyPath
from store.schema import Table

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
NODES = st.binary(min_size=8, max_size=8)
STEPS = st.one_of(st.integers(-3, 3), st.text(max_size=3), st.binary(max_size=3), st.just(EACH))
PATHS = st.one_of(
    st.lists(STEPS, min_size=1, max_size=4).map(tuple),
    st.builds(KeyPath, st.integers(0, 3), st.lists(STEPS, max_size=3).map(tuple)),
)
INDEXES = st.lists(
    st.builds(FieldIndex, NAMES, st.lists(PATHS, min_size=1, max_size=3), st.integers(1, 9)),
    max_size=3,
    unique_by=lambda index: index.name,
)


@st.composite
def declared_tables(draw: Any) -> DeclaredTable:
    kind = draw(st.sampled_from(["set", "bag"]))
    merge = draw(st.sampled_from([None, "max", "union"])) if kind == "set" else None
    table = Table(
        draw(NAMES),
        kind=kind,
        storage=draw(st.sampled_from(["ram", "disc"])),
        partitioned=draw(st.booleans()),
        tombstones=True,
        read_only=draw(st.booleans()),
        merge=merge,
        indexes=tuple(draw(INDEXES)),
    )
    on = draw(st.dictionaries(NODES.map(bytes.hex), st.sampled_from(["ram", "disc"]), max_size=3))
    return DeclaredTable(id=draw(NODES), table=table, storage_on=on)


GROUPS = st.builds(
    DeclaredGroup,
    id=NODES,
    name=NAMES,
    partitions=st.integers(1, 9),
    copies=st.integers(1, 4),
    nodes=st.lists(NODES, unique=True, max_size=4).map(tuple),
    spread=st.booleans(),
    load_order=st.integers(-9, 9),
    tables=st.lists(declared_tables(), min_size=1, max_size=3, unique_by=lambda one: one.table.name).map(
        tuple
    ),
)


def rows(group: DeclaredGroup) -> list[tuple[tuple[Any, ...], Any]]:
    found = [(group_key(group.name), group.row())]
    found += [(table_key(group.name, one.table.name), one.row()) for one in group.tables]
    return [(key, cbor2.loads(cbor2.dumps(row))) for key, row in found]


@settings(max_examples=60, deadline=None)
@given(st.lists(GROUPS, max_size=3, unique_by=lambda group: group.name), st.randoms())
def test_groups_are_what_their_rows_say_in_whatever_order_these_come(
    groups: list[DeclaredGroup], chance: Any
) -> None:
    all_rows = [row for group in groups for row in rows(group)]
    chance.shuffle(all_rows)
    found = read(all_rows)
    assert found.keys() == {group.name for group in groups}
    for group in groups:
        assert {one.table.name: one for one in found[group.name].tables} == {
            one.table.name: one for one in group.tables
        }
        assert found[group.name].row() == group.row()


@settings(max_examples=40, deadline=None)
@given(declared_tables(), NODES)
def test_a_node_keeps_a_table_where_it_is_told_to(table: DeclaredTable, node: bytes) -> None:
    assert table.on(node).storage == table.storage_on.get(node.hex(), table.table.storage)
    for hex_, storage in table.storage_on.items():
        assert table.on(bytes.fromhex(hex_)).storage == storage


def test_a_group_without_tables_and_tables_without_a_group_are_not_there() -> None:
    one = DeclaredTable(id=b"1", table=Table("t", partitioned=False, tombstones=True))
    group = DeclaredGroup(id=b"2", name="g", tables=(one,))
    first, second = rows(group)
    assert read([first]) == read([second]) == {}
    assert read([second, first]) == {"g": group}
