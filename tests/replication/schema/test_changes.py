"""Changes of the schema on a dictionary: what is accepted makes sense, what isn't changes nothing, and copies of the
schema that were changed apart come to the same."""

from __future__ import annotations

import contextlib
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication.placed import Unreplicable
from replication.schema.changes import apply
from replication.schema.declared import DECLARED, DeclaredGroup, DeclaredTable, read
from replication.schema.errors import SchemaRefused
from store.fieldindex import FieldIndex, index_row
from store.transaction import Transaction
from tests.replication.members import table

A, B, C, D = (name * 8 for name in (b"a", b"b", b"c", b"d"))
MEMBERS = [A, B, C, D]


class Copy:
    """Rows with versions: the higher one wins, as in the store. It is its own transaction."""

    def __init__(self, node: int = 0) -> None:
        self.node = node
        self.epoch = 1
        self.sequence = 0
        self.rows: dict[Any, tuple[tuple[int, int, int], Any]] = {}

    def range(self, name: str, *, limit: int) -> list[tuple[Any, Any]]:
        assert name == DECLARED.name
        return sorted((key, row) for key, (_, row) in self.rows.items() if row is not None)[:limit]

    def put(self, _: str, key: Any, row: Any) -> None:
        self.sequence += 1
        self.rows[key] = ((self.epoch, self.sequence, self.node), row)

    def delete(self, name: str, key: Any) -> None:
        self.put(name, key, None)

    def change(self, what: str, *arguments: Any) -> None:
        before = dict(self.rows)
        try:
            apply(self, what, arguments)  # type: ignore[arg-type]
        except SchemaRefused:
            assert self.rows == before, "what is refused changes nothing"
            raise

    def merge(self, other: Copy) -> None:
        for key, record in other.rows.items():
            if key not in self.rows or record[0] > self.rows[key][0]:
                self.rows[key] = record

    @property
    def groups(self) -> dict[str, DeclaredGroup]:
        return read(self.range(DECLARED.name, limit=1_000))


def row(name: str, number: int = 1, **declared: Any) -> dict[str, Any]:
    return DeclaredTable(id=bytes([number]) * 8, table=table(name, **declared)).row()


def group(name: str, *tables: str, **where: Any) -> list[Any]:
    return [
        DeclaredGroup(id=b"g" * 8, name=name, **where).row(),
        name,
        [row(one) for one in tables or (name,)],
    ]


@pytest.fixture
def copy() -> Copy:
    found = Copy()
    found.change("create_group", *group("g", "t", "u"))
    return found


def test_it_uses_what_a_transaction_has() -> None:
    for name in ("range", "put", "delete"):
        assert hasattr(Transaction, name)


def test_copies_of_a_group_that_nobody_placed_are_where_they_are_wanted(copy: Copy) -> None:
    copy.change("add_copy", "g", D, MEMBERS)
    assert (copy.groups["g"].nodes, copy.groups["g"].copies) == ((A, B, D), 3)
    copy.change("drop_copy", "g", A, MEMBERS)
    assert (copy.groups["g"].nodes, copy.groups["g"].copies) == ((B, D), 2)
    copy.change("move_copy", "g", B, C, MEMBERS)
    assert (copy.groups["g"].nodes, copy.groups["g"].copies) == ((C, D), 2)


def test_copies_of_partitions_stay_spread(copy: Copy) -> None:
    many = [row("p", partitioned=True)]
    copy.change("create_group", DeclaredGroup(id=b"p" * 8, name="p", partitions=8).row(), "p", many)
    copy.change("drop_copy", "p", A, MEMBERS)
    assert (copy.groups["p"].nodes, copy.groups["p"].copies, copy.groups["p"].spread) == ((B, C, D), 2, True)
    copy.change("add_copy", "p", A, MEMBERS)
    assert (copy.groups["p"].nodes, copy.groups["p"].copies) == ((B, C, D, A), 2)


@pytest.mark.parametrize(
    ("what", "arguments", "why"),
    [
        ("no such change", [], "called"),
        ("create_group", group("g"), "already"),
        ("create_group", group("schema"), "already"),
        ("create_group", group("x", "t", "t"), "one name"),
        ("create_group", group("x", "replica"), "replication has one"),
        ("create_group", [*group("x")[:2], []], "needs a table"),
        ("create_group", group("x", copies=0), "copies"),
        ("create_group", group("x", partitions=2), "divided alike"),
        ("create_table", ["g", row("t")], "already"),
        ("create_table", ["x", row("t")], "no group"),
        ("create_table", ["g", row("v", tombstones=False)], "tombstones"),
        ("create_table", ["g", {"id": b""}], "declaration|storage_on"),
        ("delete_table", ["g", "x"], "no table"),
        ("delete_group", ["x"], "no group"),
        ("add_copy", ["g", A, MEMBERS], "already"),
        ("add_copy", ["g", b"nobody", MEMBERS], "no member"),
        ("drop_copy", ["g", D, MEMBERS], "no copy"),
        ("move_copy", ["g", D, C, MEMBERS], "must have one"),
        ("move_copy", ["g", A, B, MEMBERS], "has none"),
        ("change_storage", ["g", "t", "tape", None], "ram or disc"),
        ("change_storage", ["g", "x", "ram", None], "no table"),
        ("drop_index", ["g", "t", "x"], "no index"),
        ("set_merge", ["g", "t", "guess"], "no merge"),
        ("set_copies", ["g", 0], "copies"),
        ("set_load_order", ["x", 1], "no group"),
        ("set_read_only", ["g"], "argument"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    copy: Copy, what: str, arguments: list[Any], why: str
) -> None:
    before = copy.groups
    with pytest.raises(SchemaRefused, match=why):
        copy.change(what, *arguments)
    assert copy.groups == before


def test_the_last_copy_and_the_last_table(copy: Copy) -> None:
    copy.change("drop_copy", "g", A, MEMBERS)
    with pytest.raises(SchemaRefused, match="delete the group"):
        copy.change("drop_copy", "g", B, MEMBERS)
    copy.change("delete_table", "g", "t")
    copy.change("delete_table", "g", "u")
    assert copy.groups == {}


def test_what_a_split_left_of_a_group_is_not_in_its_successor(copy: Copy) -> None:
    other = Copy(1)
    other.merge(copy)
    copy.change("delete_group", "g")
    other.epoch = 2
    other.change("set_read_only", "g", "t", True)
    copy.merge(other)
    assert copy.groups == {}
    copy.epoch = 3
    copy.change("create_group", *group("g", "v"))
    assert [one.table.name for one in copy.groups["g"].tables] == ["v"]


INDEX = index_row(FieldIndex("n", [("n",)]))
NAMES = st.sampled_from(["g", "h"])
TABLES = st.sampled_from(["t", "u"])
NODES = st.sampled_from(MEMBERS)
NUMBERS = st.integers(1, 200)
WANTED = st.one_of(
    st.tuples(st.just("create_group"), NAMES, NUMBERS, st.lists(TABLES, min_size=1, max_size=2, unique=True)),
    st.tuples(st.just("create_table"), NAMES, TABLES, NUMBERS),
    st.tuples(st.just("delete_group"), NAMES),
    st.tuples(st.just("delete_table"), NAMES, TABLES),
    st.tuples(st.sampled_from(["add_copy", "drop_copy"]), NAMES, NODES, st.just(MEMBERS)),
    st.tuples(st.just("move_copy"), NAMES, NODES, NODES, st.just(MEMBERS)),
    st.tuples(st.just("set_copies"), NAMES, st.integers(1, 4)),
    st.tuples(st.just("set_load_order"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("change_storage"), NAMES, TABLES, st.sampled_from(["ram", "disc"]), st.none() | NODES),
    st.tuples(st.just("add_index"), NAMES, TABLES, st.just(INDEX)),
    st.tuples(st.just("drop_index"), NAMES, TABLES, st.just("n")),
    st.tuples(st.just("set_read_only"), NAMES, TABLES, st.booleans()),
    st.tuples(st.just("set_merge"), NAMES, TABLES, st.sampled_from([None, "max", "union"])),
)


def do(copy: Copy, wanted: Any) -> bool:
    what, *arguments = wanted
    if what == "create_group":
        name, number, tables = arguments
        head = DeclaredGroup(id=bytes([number]) * 8, name=name).row()
        arguments = [head, name, [row(one, number) for one in tables]]
    elif what == "create_table":
        arguments = [arguments[0], row(arguments[1], arguments[2])]
    try:
        copy.change(what, *arguments)
    except SchemaRefused:
        return False
    return True


@settings(max_examples=120, deadline=None)
@given(st.lists(WANTED, max_size=30))
def test_what_is_accepted_can_be_made_on_every_node(steps: list[Any]) -> None:
    copy = Copy()
    asked = set()  # groups of which so many copies were asked for, whatever nodes are named
    for step in steps:
        if step[0] == "set_copies":
            asked.add(step[1])
        do(copy, step)
        for one in copy.groups.values():
            for node in MEMBERS:
                assert one.placed(node).group.tables
            assert 1 <= one.copies <= max(4, len(one.nodes))
            assert not one.nodes or one.copies <= len(one.nodes) or one.name in asked


@settings(max_examples=120, deadline=None)
@given(
    st.lists(WANTED, max_size=10),
    st.lists(st.tuples(st.integers(0, 2), WANTED | st.just("claim")), max_size=20),
)
def test_copies_that_were_changed_apart_come_to_the_same_in_any_order(
    before: list[Any], apart: list[Any]
) -> None:
    common = Copy()
    for step in before:
        do(common, step)
    copies = [Copy(node) for node in (1, 2, 3)]
    for copy in copies:
        copy.merge(common)
        copy.epoch = 1 + copy.node
    for who, step in apart:
        if step == "claim":
            copies[who].epoch = max(copy.epoch for copy in copies) + 1
        else:
            do(copies[who], step)
    found = []
    for order in permutations(copies):
        together = Copy()
        for copy in order:
            together.merge(copy)
            together.merge(copy)
        found.append(together.groups)
    assert all(one == found[0] for one in found)
    # Whatever came together can be looked at; what can't be made is a complaint, and can be deleted.
    for name, one in found[0].items():
        with contextlib.suppress(Unreplicable, ValueError):
            one.placed(A)
        together.epoch = 99
        together.change("delete_group", name)
        assert name not in together.groups
