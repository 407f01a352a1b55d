"""A dump loads into an empty store as it was, twice as well as once, and damaged not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import cbor2
import pytest

from store.dump import dump, load
from store.errors import CorruptDump, SchemaChanged, TableReadOnly, TargetExists, UnknownTable
from store.fieldindex import FieldIndex
from store.operations import CreateTable, DropTable, SetReadOnly
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.verify import verify_group
from store.writes import DELETE, PUT, REMOVE
from tests.store.worlds import GROUP, tables

GROUPS = [Group(GROUP, tables("disc")), Group("other", (Table("only"),))]
NAMES = [table.name for table in tables("disc")]


def open_store(path: Path, groups: list[Group] | None = None) -> Store:
    return Store.open(path, groups or GROUPS, committer="inline")


def commit(store: Store, *writes: Any, group: str = GROUP) -> None:
    results: list[Result] = []
    store.group(group).submit(list(writes), results.append)
    store.deliver_results()
    assert results[0].error is None


def fill(store: Store) -> None:
    commit(store, *((PUT, 0, (1, None, b"\0", ("a", (n,))), {"n": [n, b"x", None, 1.5]}) for n in range(700)))
    commit(store, (PUT, 2, (1, 1), "buried"), (DELETE, 2, (1, 1)), (PUT, 2, (1, 2), "alive"))
    commit(store, (PUT, 3, (1, 1), {"colours": ["red"], "size": 2}), (PUT, 5, ("no partition",), 1))
    commit(store, (PUT, 7, (1, 1), 1), (PUT, 7, (1, 1), 2), (PUT, 8, (1, 1), 1), (PUT, 8, (1, 1), 2))
    commit(store, (REMOVE, 8, (1, 1), 1), (PUT, 6, (1, 1), "local"))
    commit(store, (PUT, 0, (9, 9), "of another group"), group="other")


def contents(store: Store) -> Any:
    rows: dict[tuple[str, ...], Any] = {}
    for group in store.groups:
        with group.snapshot() as reader:
            for table in group.tables:
                rows[group.name, table.name] = reader.range(table, limit=10_000)
                if table.state.tombstones and not table.state.bag:
                    record = reader.record(table, (1, 1))
                    rows[group.name, table.name, "record"] = (
                        (record.version, record.tombstone) if record else None
                    )
    return rows


def test_a_dump_is_loaded_as_it_was_and_twice_is_the_same(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    with open_store(tmp_path / "one") as one:
        fill(one)
        records = dump(one, tmp_path / "file", lambda *step: steps.append(step))
        wanted = contents(one)
    with open_store(tmp_path / "two") as two:
        assert load(two, tmp_path / "file", lambda *step: steps.append(step)) == records
        assert contents(two) == wanted
        sequence = two.group(GROUP).sequence
        load(two, tmp_path / "file")
        assert contents(two) == wanted
        assert two.group(GROUP).sequence == sequence
        assert two.group(GROUP).table("coloured").index("colour", ("red",)) != []
        assert two.group(GROUP).table("tomb_bag").get((1, 1)) == [2]
        for group in two.groups:
            verify_group(group)
    assert {what.split()[0] for what, _, _ in steps} == {"dump", "check", "load"}
    assert all(done <= total for _, done, total in steps)


def test_a_write_after_a_load_is_newer_than_what_was_loaded(tmp_path: Path) -> None:
    with open_store(tmp_path / "one") as one:
        one.group(GROUP).epochs = lambda partition: 7
        fill(one)
        dump(one, tmp_path / "file")
    with open_store(tmp_path / "two") as two:
        load(two, tmp_path / "file")
        table = two.group(GROUP).table("buried")
        loaded = table.record((1, 2))
        commit(two, (PUT, 2, (1, 2), "newer"), (PUT, 0, (1, 2), "fresh"))
        written = table.record((1, 2))
        assert loaded is not None
        assert written is not None
        assert written.version > loaded.version
        # So loading again takes nothing back.
        load(two, tmp_path / "file")
        assert table.get((1, 2)) == "newer"
        commit(two, (DELETE, 2, (1, 2)))
        load(two, tmp_path / "file")
        assert table.get((1, 2)) is None
        verify_group(two.group(GROUP))


def test_every_cut_and_every_changed_byte_is_noticed_before_anything_is_loaded(tmp_path: Path) -> None:
    groups = [Group("other", (Table("only"),))]
    with open_store(tmp_path / "one", groups) as one:
        commit(one, *((PUT, 0, (1, n), b"x") for n in range(3)), group="other")
        dump(one, tmp_path / "file")
    good = (tmp_path / "file").read_bytes()
    with open_store(tmp_path / "two", groups) as two:
        for at in range(len(good)):
            (tmp_path / "bad").write_bytes(good[:at])
            with pytest.raises(CorruptDump):
                load(two, tmp_path / "bad")
            (tmp_path / "bad").write_bytes(good[:at] + bytes([good[at] ^ 0x41]) + good[at + 1 :])
            with pytest.raises(CorruptDump):
                load(two, tmp_path / "bad")
        (tmp_path / "bad").write_bytes(good + b"\0")
        with pytest.raises(CorruptDump):
            load(two, tmp_path / "bad")
        assert two.group("other").table("only").count() == 0
        assert two.group("other").sequence == 0


def test_a_dump_goes_only_where_its_tables_are(tmp_path: Path) -> None:
    with open_store(tmp_path / "one") as one:
        fill(one)
        dump(one, tmp_path / "file")
        with pytest.raises(TargetExists):
            dump(one, tmp_path / "file")
    with open_store(tmp_path / "two", [Group(GROUP, tables("disc"))]) as two, pytest.raises(UnknownTable):
        load(two, tmp_path / "file")
    other = [Group(GROUP, tables("disc")), Group("other", (Table("only", kind="bag"),))]
    with open_store(tmp_path / "three", other) as three, pytest.raises(SchemaChanged):
        load(three, tmp_path / "file")


def test_the_file_is_a_plain_sequence_of_cbor_items(tmp_path: Path) -> None:
    with open_store(tmp_path / "one") as one:
        fill(one)
        records = dump(one, tmp_path / "file")
    with (tmp_path / "file").open("rb") as file:
        items = []
        while file.tell() < (tmp_path / "file").stat().st_size:
            items.append(cbor2.load(file))
    assert items[0][:2] == ["waystation-dump", 1]
    assert [name for name, *_ in items[0][3][0][1]] == NAMES
    assert items[-1][:2] == ["end", records]
    assert sum(len(item[2]) for item in items[1:-1]) == records
    assert items[1][2][0][0] == [1, None, b"\0", ["a", [0]]]
    assert (tmp_path / "file").stat().st_mode & 0o077 == 0


def test_what_was_made_at_run_time_is_made_by_a_load(tmp_path: Path) -> None:
    index = FieldIndex("town", (("town",),))
    made = Table("made", merge="max", indexes=(index,), partitioned=False)
    told: list[Result] = []
    with Store.open(tmp_path / "one", [Group("other", (Table("only"),))], committer="inline") as one:
        group = one.group("other")
        group.submit_alter(told.append, CreateTable(Table("gone")))
        group.submit_alter(told.append, CreateTable(made))
        group.submit_alter(told.append, DropTable("gone"))
        one.deliver_results()
        commit(
            one, (PUT, group.table("made").id, ("a",), {"town": "Ulm"}), (PUT, 0, (1, 1), 1), group="other"
        )
        one.add_group_now(Group("extra", (Table("rows"),)))
        commit(one, (PUT, 0, (1, 1), "extra"), group="extra")
        group.submit_alter(told.append, SetReadOnly("made", True))
        one.deliver_results()
        assert dump(one, tmp_path / "dump") == 3
    assert [result.error for result in told] == [None] * 4
    with Store.open(tmp_path / "two", [Group("other", (Table("only"),))], committer="inline") as two:
        assert load(two, tmp_path / "dump") == 3
        assert two.group("other").table("made").state.declaration == attrs.evolve(made, read_only=True)
        assert two.group("other").table("made").index("town", ("Ulm",)) == [(("a",), {"town": "Ulm"})]
        assert two.group("extra").table("rows").get((1, 1)) == "extra"
        for group in two.groups:
            verify_group(group)
        with pytest.raises(TableReadOnly):
            load(two, tmp_path / "dump")
    with Store.open(tmp_path / "two", [Group("other", (Table("only"),))], committer="inline") as two:
        assert two.added == {"extra"}


def test_a_table_of_the_code_is_not_made_by_a_load(tmp_path: Path) -> None:
    with open_store(tmp_path / "one") as one:
        fill(one)
        dump(one, tmp_path / "dump")
    with (
        Store.open(tmp_path / "two", [GROUPS[0]], committer="inline") as two,
        pytest.raises(UnknownTable),
    ):
        load(two, tmp_path / "dump")
