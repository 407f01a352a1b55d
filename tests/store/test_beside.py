"""A store that one process writes can be looked at, backed up and dumped by another."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.backup import backup, verify
from store.errors import DirectoryInUse
from store.schema import Group, Table
from store.store import Store
from store.writes import PUT

GROUPS = (Group("g", (Table("t", partitioned=False),)),)

WRITER = """
import sys
from tests.store.test_beside import GROUPS
from store.store import Store
from store.writes import PUT
with Store.open(sys.argv[1], GROUPS, committer="inline") as store:
    group = store.group("g")
    number = group.table("t").id
    for n in range(10_000_000):
        # Two rows that belong together: a look must see both or none.
        group.submit([(PUT, number, ("a",), n), (PUT, number, ("b",), n), (PUT, number, ("n", n), n)], lambda _: None)
        store.deliver_results()
        if n == 50:
            print("going", flush=True)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "store")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "going\n"
    yield tmp_path / "store"
    assert process.poll() is None, "the writer must not notice"
    process.kill()
    process.wait()
    process.stdout.close()


def look(path: Path) -> Store:
    return Store.open(path, GROUPS, read_only=True, beside=True, committer="inline")


def test_a_look_sees_whole_commits_and_later_ones_later(writer: Path) -> None:
    seen: list[Any] = []
    with look(writer) as store:
        group = store.group("g")
        while len(set(seen)) < 3:
            with group.snapshot() as reader:
                a, b = reader.get("t", ("a",)), reader.get("t", ("b",))
            assert a == b
            seen.append(a)
    assert seen == sorted(seen)


def test_a_backup_beside_the_writer_is_sound(writer: Path, tmp_path: Path) -> None:
    with look(writer) as store:
        records = backup(store, tmp_path / "backup")
    assert verify(tmp_path / "backup", GROUPS) == records
    with Store.open(tmp_path / "backup", GROUPS, committer="inline") as copy:
        table = copy.group("g").table("t")
        assert table.get(("a",)) == table.get(("b",))
        assert table.count() == table.get(("a",)) + 3


def test_only_looking_is_allowed_beside(writer: Path) -> None:
    with pytest.raises(DirectoryInUse):
        Store.open(writer, GROUPS)
    with pytest.raises(DirectoryInUse):
        Store.open(writer, GROUPS, read_only=True)
    with look(writer) as store, pytest.raises(Exception, match="read-only"):
        store.group("g").submit([(PUT, 0, ("x",), 1)], lambda _: None)
