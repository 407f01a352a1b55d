"""The pace of a backup, and what is kept of its files."""

from pathlib import Path
from typing import Any

import pytest

from node.tables import GROUPS, STORE_DIRECTORY
from ops.backing import MIB, Throttle, telling
from ops.copies import back_up, bring_back
from ops.manifest import FILE, Manifest, ManifestRefused
from store.schema import Group, Table
from store.store import Store
from store.writes import PUT


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_copying_keeps_to_its_rate_and_reading_back_does_not_count() -> None:
    clock = Clock()
    said: list[dict[str, Any]] = []
    report = telling(said.append, Throttle(10 * MIB, clock, clock.sleep))
    for done in range(1, 21):
        report("copy users", done * MIB, 40 * MIB)
    assert clock.now == pytest.approx(102.0)
    report("check users", 10**9, 10**9)
    assert clock.now == pytest.approx(102.0)
    clock.now += 50
    for done in range(1, 11):
        report("copy cluster", done * MIB, 10 * MIB)
    assert clock.now == pytest.approx(153.0), "nothing was saved up"
    assert [one["step"] for one in said[:1]] == ["copy users"]
    assert {one["step"] for one in said} == {"copy users", "check users", "copy cluster"}


def written(tmp_path: Path) -> Path:
    for group, content in (("users", b"u" * 5_000), ("cluster", b"c")):
        (tmp_path / "store" / group).mkdir(parents=True)
        (tmp_path / "store" / group / "data.mdb").write_bytes(content)
    return tmp_path / "store"


def test_files_that_are_not_those_any_more_are_named(tmp_path: Path) -> None:
    tables = written(tmp_path)
    manifest = Manifest.of(tables, 7, lambda *_: None)
    assert (manifest.plain()["records"], manifest.plain()["bytes"]) == (7, 5_001)
    manifest.write(tmp_path)
    found = Manifest.read(tmp_path)
    assert found == manifest
    found.check(tables, lambda *_: None)
    piece = tables / "users" / "data.mdb"
    piece.write_bytes(b"u" * 4_999 + b"U")
    with pytest.raises(ManifestRefused, match=r"users/data\.mdb isn't what was written"):
        found.check(tables, lambda *_: None)
    piece.unlink()
    with pytest.raises(ManifestRefused, match="users"):
        found.check(tables, lambda *_: None)


def test_a_manifest_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    assert Manifest.read(tmp_path) is None
    for content in ("{", '{"records": "many", "pieces": {}}', '{"records": 1, "pieces": {}, "version": 9}'):
        (tmp_path / FILE).write_text(content)
        with pytest.raises(ManifestRefused, match=FILE):
            Manifest.read(tmp_path)


def test_groups_that_only_a_member_of_a_cluster_has_are_in_it(tmp_path: Path) -> None:
    more = Group("more", (Table("t", partitioned=False),))
    tables = tmp_path / "data" / STORE_DIRECTORY
    with Store.open(tables, (*GROUPS, more), committer="inline") as store:
        store.group("more").submit([(PUT, 0, ("k",), 1)], lambda _: None)
        store.deliver_results()
    with Store.open(tables, GROUPS, read_only=True, beside=True, discover=True, committer="inline") as store:
        made = back_up(store, tmp_path / "data", tmp_path / "backup", lambda *_: None)
    assert sorted(made.pieces) == sorted([*(group.name for group in GROUPS), "more"])
    assert bring_back(tmp_path / "backup", tmp_path / "again", lambda *_: None) == made.records
    with Store.open(tmp_path / "again" / STORE_DIRECTORY, (*GROUPS, more), committer="inline") as store:
        assert store.group("more").table("t").get(("k",)) == 1
