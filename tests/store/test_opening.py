"""What a directory may be, and what is said when it isn't."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import cbor2
import lmdb
import pytest

from store.catalog import SCHEMA_KEY, encode
from store.errors import (
    DamagedRecord,
    DamagedStore,
    DirectoryInUse,
    ForeignDirectory,
    NewerFormat,
    NoStore,
    OlderFormat,
    SchemaChanged,
    StoreError,
    TableReadOnly,
    UnknownTable,
)
from store.fieldindex import FieldIndex
from store.limits import FORMAT
from store.operations import DropIndex
from store.results import Result
from store.schema import Group, Index, Table
from store.store import Store
from store.verify import verify_group
from store.writes import PUT

GROUPS = [Group("mail", (Table("message"), Table("pair")))]


def open_store(path: Path, groups: list[Group] | None = None, **options: Any) -> Store:
    return Store.open(path, groups or GROUPS, committer="inline", **options)


def commit(store: Store, *writes: Any) -> None:
    results: list[Result] = []
    store.group("mail").submit(list(writes), results.append)
    store.deliver_results()
    assert results[0].error is None


def make(path: Path) -> None:
    with open_store(path) as store:
        commit(store, *((PUT, 0, (1, n), b"%03d" % n * 100) for n in range(100)))


def says_what_to_do(error: StoreError) -> None:
    assert error.remedy
    assert error.remedy in str(error)
    assert error.cause in str(error)


def meta(path: Path, key: bytes, value: bytes | None) -> None:
    """Change one entry of a group's meta database."""
    environment = lmdb.open(str(path), max_dbs=9, lib_version=0, map_size=2**30)
    database = environment.open_db(b"meta")
    with environment.begin(write=True) as transaction:
        if value is None:
            transaction.delete(key, db=database)
        else:
            transaction.put(key, value, db=database)
    environment.close()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys; from store.store import Store; from store.schema import Group, Table\n"
        "from store.errors import DirectoryInUse\n"
        "try: Store.open(sys.argv[1], [Group('mail', (Table('message'), Table('pair')))])\n"
        "except DirectoryInUse as error: print(error); sys.exit(7)\n"
    )
    with open_store(tmp_path / "s"):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "s")], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (7, "")
        assert DirectoryInUse.remedy in done.stdout
    again = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")], capture_output=True, check=False
    )
    assert again.returncode == 0


def test_a_second_open_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        with pytest.raises(DirectoryInUse) as caught:
            open_store(tmp_path / "s")
        says_what_to_do(caught.value)
        commit(store, (PUT, 0, (1, 1), "still works"))


@pytest.mark.parametrize("name", ["notes.txt", "data.mdb", "mail"])
def test_a_directory_with_other_things_in_it_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).write_text("mine")
    with pytest.raises(ForeignDirectory) as caught:
        open_store(tmp_path / "s")
    says_what_to_do(caught.value)
    assert [path.name for path in (tmp_path / "s").iterdir()] == [name]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(ForeignDirectory):
        open_store(tmp_path / "s")


def test_an_environment_of_something_else_is_refused(tmp_path: Path) -> None:
    for names in ([b"theirs"], [b"meta"]):
        path = tmp_path / names[0].decode() / "mail"
        path.mkdir(parents=True)
        environment = lmdb.open(str(path), max_dbs=9, lib_version=0)
        with environment.begin(write=True) as transaction:
            transaction.put(b"x", b"y", db=environment.open_db(names[0], txn=transaction))
        environment.close()
        with pytest.raises(ForeignDirectory) as caught:
            open_store(path.parent)
        says_what_to_do(caught.value)


def test_an_open_that_died_halfway_is_taken_up_again(tmp_path: Path) -> None:
    make(tmp_path / "s")
    (tmp_path / "s" / "waystation-store").unlink()
    (tmp_path / "s" / "waystation-store.partial").write_text("form")
    with open_store(tmp_path / "s") as store:
        assert store.group("mail").table("message").count() == 100
    # And one that had only just made its environment:
    path = tmp_path / "t" / "mail"
    path.mkdir(parents=True)
    lmdb.open(str(path), max_dbs=9, lib_version=0).close()
    with open_store(tmp_path / "t") as store:
        commit(store, (PUT, 0, (1, 1), "a"))


def test_a_first_open_that_died_between_two_groups_is_taken_up_again(tmp_path: Path) -> None:
    groups = [*GROUPS, Group("other", (Table("only"),)), Group("third", (Table("only"),))]
    open_store(tmp_path / "s", groups[:1]).close()
    (tmp_path / "s" / "waystation-store").unlink()
    (tmp_path / "s" / "other").mkdir()
    (tmp_path / "s" / "other" / "data.mdb").touch()
    with open_store(tmp_path / "s", groups) as store:
        assert [group.name for group in store.groups] == ["mail", "other", "third"]
        commit(store, (PUT, 0, (1, 1), "a"))


@pytest.mark.parametrize("gone", ["file", "folder", "emptied"])
@pytest.mark.parametrize("first", [True, False])
def test_a_lost_marker_doesnt_make_a_lost_group_a_new_one(tmp_path: Path, gone: str, first: bool) -> None:
    other = Group("other", (Table("only"),))
    groups = [other, *GROUPS] if first else [*GROUPS, other]
    with open_store(tmp_path / "s", groups) as store:
        commit(store, (PUT, 0, (1, 1), "a"))
    (tmp_path / "s" / "waystation-store").unlink()
    (tmp_path / "s" / "other" / "data.mdb").unlink()
    if gone == "folder":
        (tmp_path / "s" / "other" / "lock.mdb").unlink()
        (tmp_path / "s" / "other").rmdir()
    elif gone == "emptied":
        (tmp_path / "s" / "other" / "data.mdb").touch()
    for _ in range(2):  # the first try leaves nothing behind that the second takes for a group
        with pytest.raises(DamagedStore) as caught:
            open_store(tmp_path / "s", groups)
        says_what_to_do(caught.value)
        assert "other" in str(caught.value)


@pytest.mark.parametrize(("found", "error"), [(FORMAT - 1, OlderFormat), (FORMAT + 1, NewerFormat)])
def test_another_format_is_called_by_its_name(tmp_path: Path, found: int, error: type[StoreError]) -> None:
    make(tmp_path / "s")
    marker = tmp_path / "s" / "waystation-store"
    good = marker.read_text()
    marker.write_text(good.replace(f"format = {FORMAT}", f"format = {found}"))
    with pytest.raises(error) as caught:
        open_store(tmp_path / "s")
    says_what_to_do(caught.value)
    marker.write_text(good)
    meta(tmp_path / "s" / "mail", b"format", str(found).encode())
    with pytest.raises(error):
        open_store(tmp_path / "s")
    meta(tmp_path / "s" / "mail", b"format", str(FORMAT).encode())
    open_store(tmp_path / "s").close()


@pytest.mark.parametrize(
    "text",
    ["", "form", "format = x\n", f"format = {FORMAT}\n", "\0\0\0", f"format = {FORMAT}\ngroups = 5\n"],
)
def test_a_damaged_marker_is_called_so(tmp_path: Path, text: str) -> None:
    make(tmp_path / "s")
    (tmp_path / "s" / "waystation-store").write_text(text)
    with pytest.raises(DamagedStore):
        open_store(tmp_path / "s")


@pytest.mark.parametrize("key", [b"schema", b"group", b"incarnations"])
def test_a_damaged_meta_database_is_called_so(tmp_path: Path, key: bytes) -> None:
    make(tmp_path / "s")
    meta(tmp_path / "s" / "mail", key, b"\xff")
    with pytest.raises(DamagedStore) as caught:
        open_store(tmp_path / "s")
    says_what_to_do(caught.value)


@pytest.mark.parametrize("size", [0, 100, 4096, 8192, 20_000])
def test_a_file_cut_short_is_called_damaged(tmp_path: Path, size: int) -> None:
    make(tmp_path / "s")
    os.truncate(tmp_path / "s" / "mail" / "data.mdb", size)
    with pytest.raises(DamagedStore) as caught:
        open_store(tmp_path / "s")
    says_what_to_do(caught.value)
    assert (tmp_path / "s" / "mail" / "data.mdb").stat().st_size == size


def test_a_file_that_is_gone_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    make(tmp_path / "s")
    (tmp_path / "s" / "mail" / "data.mdb").unlink()
    with pytest.raises(DamagedStore):
        open_store(tmp_path / "s")


def test_overwritten_first_pages_are_called_damaged(tmp_path: Path) -> None:
    make(tmp_path / "s")
    with (tmp_path / "s" / "mail" / "data.mdb").open("r+b") as file:
        file.write(b"\xa5" * 8192)
    with pytest.raises(DamagedStore):
        open_store(tmp_path / "s")


def test_a_damaged_record_is_noticed_when_it_is_read_and_others_are_not_lost(tmp_path: Path) -> None:
    make(tmp_path / "s")
    path = tmp_path / "s" / "mail" / "data.mdb"
    data = bytearray(path.read_bytes())
    start = 0
    while (start := data.find(b"042" * 90, start)) >= 0:  # every copy of the page
        data[start + 50] ^= 1
        start += 400
    path.write_bytes(data)
    with open_store(tmp_path / "s") as store:
        table = store.group("mail").table("message")
        with pytest.raises(DamagedRecord) as caught:
            table.get((1, 42))
        says_what_to_do(caught.value)
        assert table.get((1, 43)) == b"043" * 100
        with pytest.raises(DamagedRecord):
            table.range()
        with pytest.raises(DamagedRecord):
            verify_group(store.group("mail"))


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (Table("pair", kind="bag"), "kind"),
        (Table("pair", storage="ram"), "storage"),
        (Table("pair", partitioned=False), "partitioned"),
        (Table("pair", tombstones=True), "tombstones"),
        (Table("pair", local_content=True), "local_content"),
    ],
)
def test_a_table_declared_in_another_way_is_refused(tmp_path: Path, table: Table, what: str) -> None:
    make(tmp_path / "s")
    with pytest.raises(SchemaChanged, match=what) as caught:
        open_store(tmp_path / "s", [Group("mail", (Table("message"), table))])
    says_what_to_do(caught.value)
    with pytest.raises(SchemaChanged):
        (tmp_path / "s" / "mail").rename(tmp_path / "s" / "other")
        marker = tmp_path / "s" / "waystation-store"
        marker.write_text(marker.read_text().replace("mail", "other"))
        open_store(tmp_path / "s", [Group("other", GROUPS[0].tables)])


def test_a_table_on_disk_must_be_declared(tmp_path: Path) -> None:
    make(tmp_path / "s")
    with pytest.raises(UnknownTable) as caught:
        open_store(tmp_path / "s", [Group("mail", (Table("message"),))])
    says_what_to_do(caught.value)
    with open_store(tmp_path / "s") as store:
        with pytest.raises(UnknownTable):
            store.group("nothing")
        with pytest.raises(UnknownTable):
            store.group("mail").table("nothing")


def test_a_table_of_this_node_alone_need_not_be_declared_and_is_kept(tmp_path: Path) -> None:
    """What a later release has added: the one before opens it as it is."""
    mine = Table("mine", local_content=True)
    later = [Group("mail", (*GROUPS[0].tables, mine))]
    make(tmp_path / "s")
    with open_store(tmp_path / "s", later) as store:
        commit(store, (PUT, store.group("mail").table("mine").id, (1, 1), b"kept"))
        assert not store.group("mail").info()["tables"]["mine"]["made_at_run_time"]
    with open_store(tmp_path / "s") as store:
        table = store.group("mail").table("mine")
        assert table.state.declaration == mine
        assert table.get((1, 1)) == b"kept"
        assert store.group("mail").info()["tables"]["mine"]["made_at_run_time"]
        commit(store, (PUT, 0, (1, 7), b"more"))
    with open_store(tmp_path / "s", later) as store:
        assert store.group("mail").table("mine").get((1, 1)) == b"kept"
        assert store.group("mail").table("message").get((1, 7)) == b"more"


def test_one_that_was_made_when_it_had_to_be_declared_need_not_be_after_an_open(tmp_path: Path) -> None:
    path = tmp_path / "s"
    later = [Group("mail", (*GROUPS[0].tables, Table("mine", local_content=True)))]
    with open_store(path, later) as store:
        before = store.group("mail").state.catalog
    entry = attrs.evolve(before.entries["mine"], made=False)
    meta(path / "mail", SCHEMA_KEY, encode(before.with_entry(entry))[SCHEMA_KEY])
    with pytest.raises(UnknownTable):
        open_store(path)
    with open_store(path, later):
        pass
    with open_store(path) as store:
        assert store.group("mail").table("mine").count() == 0


def test_a_table_of_this_node_alone_with_functions_must_be_declared(tmp_path: Path) -> None:
    index = Index("size", lambda key, value: [(len(value),)])
    mine = Table("mine", local_content=True, indexes=(index,))
    with open_store(tmp_path / "s", [Group("mail", (*GROUPS[0].tables, mine))]):
        pass
    with pytest.raises(UnknownTable):
        open_store(tmp_path / "s")


def test_a_declared_table_of_this_node_alone_loses_an_index_for_good(tmp_path: Path) -> None:
    mine = Table("mine", local_content=True, indexes=(FieldIndex("town", (("town",),)),))
    groups = [Group("mail", (*GROUPS[0].tables, mine))]
    with open_store(tmp_path / "s", groups) as store:
        told: list[Result] = []
        store.group("mail").submit_alter(told.append, DropIndex("mine", "town"))
        store.deliver_results()
        assert told[0].error is None
    with open_store(tmp_path / "s", groups) as store:
        assert store.group("mail").table("mine").state.indexes == ()


def test_tables_and_groups_can_be_added_and_keep_their_ids(tmp_path: Path) -> None:
    make(tmp_path / "s")
    more = [Group("mail", (Table("early"), *GROUPS[0].tables)), Group("later", (Table("x"),))]
    for _ in range(2):
        with open_store(tmp_path / "s", more) as store:
            assert {table.name: table.id for table in store.group("mail").tables} == {
                "message": 0,
                "pair": 1,
                "early": 2,
            }
            commit(store, (PUT, 2, (1, 1), "a"))
            assert store.group("mail").table("message").count() == 100
            assert [change.table for change in store.group("mail").changes(1, 100)] == ["early"]


def first(key: Any, value: Any) -> list[tuple[Any, ...]]:
    return [(value[:2],)]


def last(key: Any, value: Any) -> list[tuple[Any, ...]]:
    return [(value[-1:],)]


def test_an_index_is_built_when_it_is_new_or_its_version_is(tmp_path: Path) -> None:
    make(tmp_path / "s")

    def groups(*indexes: Index) -> list[Group]:
        return [Group("mail", (Table("message", indexes=indexes), Table("pair")))]

    with open_store(tmp_path / "s", groups(Index("by", first))) as store:
        assert len(store.group("mail").table("message").index("by", (b"04",))) == 10
        verify_group(store.group("mail"))
    with open_store(tmp_path / "s", groups(Index("by", last, version=2))) as store:
        assert [key for key, _ in store.group("mail").table("message").index("by", (b"7",))][:2] == [
            (1, 7),
            (1, 17),
        ]
        verify_group(store.group("mail"))
    with open_store(tmp_path / "s") as store:
        commit(store, (PUT, 0, (1, 0), b"without the index"))
    with open_store(tmp_path / "s", groups(Index("by", last, version=2))) as store:
        verify_group(store.group("mail"))


def test_each_open_is_an_incarnation_durable_before_it_writes(tmp_path: Path) -> None:
    identities = iter([10, 20, 30])
    for lives in (1, 2, 3):
        with open_store(tmp_path / "s", identity=lambda: next(identities)) as store:
            assert [life.id for life in store.group("mail").history.lives] == [10, 20, 30][:lives]
            environment = lmdb.open  # what is on disk, before any write of this life:
            del environment
            commit(store, (PUT, 0, (1, lives), "x"))
            record = store.group("mail").table("message").record((1, lives))
            assert record is not None
            assert record.version.incarnation == lives * 10
    with open_store(tmp_path / "s", read_only=True) as store:
        assert [life.first for life in store.group("mail").history.lives] == [1, 2, 3]
        assert cbor2.dumps(store.info())


def test_read_only_reads_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NoStore):
        open_store(tmp_path / "s", read_only=True)
    assert not (tmp_path / "s").exists()
    make(tmp_path / "s")
    before = (tmp_path / "s" / "mail" / "data.mdb").read_bytes()
    for committer in ("inline", "thread"):
        with Store.open(tmp_path / "s", GROUPS, read_only=True, committer=committer) as store:
            assert store.group("mail").table("message").count() == 100
            verify_group(store.group("mail"))
            with pytest.raises(TableReadOnly):
                store.group("mail").submit([(PUT, 0, (1, 1), "x")], lambda result: None)
    assert (tmp_path / "s" / "mail" / "data.mdb").read_bytes() == before
