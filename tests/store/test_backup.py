"""Backups are consistent while others write, are read back, and become another incarnation when they are restored."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.backup import backup, restore, verify
from store.errors import DamagedRecord, DamagedStore, DiskFull, NoStore, StoreError, TargetExists
from store.results import Result
from store.schema import Group
from store.store import Store
from store.verify import verify_group
from store.writes import DELETE, PUT
from tests.store.worlds import GROUP, tables

GROUPS = [Group(GROUP, tables("disc")), Group("other", tables("disc"))]


def open_store(path: Path) -> Store:
    return Store.open(path, GROUPS, committer="inline")


def commit(store: Store, *writes: Any) -> None:
    results: list[Result] = []
    store.group(GROUP).submit(list(writes), results.append)
    store.deliver_results()
    assert results[0].error is None


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as opened:
        commit(opened, *((PUT, table, (1, n), {"colours": ["red"]}) for table in (0, 3) for n in range(50)))
        commit(opened, (PUT, 2, (1, 1), "buried"), (DELETE, 2, (1, 1)), (PUT, 7, (1, 1), "in a bag"))
        yield opened


def test_a_backup_holds_everything_and_says_how_far_it_is(store: Store, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    records = backup(store, tmp_path / "backup", lambda *step: steps.append(step))
    assert records == 102
    assert {what for what, _, _ in steps} >= {f"copy {GROUP}", "copy other"}
    assert all(0 < done <= total for _, done, total in steps)
    commit(store, (DELETE, 0, (1, 1)))
    restore(tmp_path / "backup", GROUPS, tmp_path / "restored")
    with open_store(tmp_path / "restored") as again:
        assert again.group(GROUP).table("simple").count() == 50
        assert again.group(GROUP).table("coloured").index("colour", ("red",), limit=99) != []
        record = again.group(GROUP).table("buried").record((1, 1))
        assert record is not None
        assert record.tombstone
        for group in again.groups:
            verify_group(group)


def test_a_restored_directory_is_another_incarnation(store: Store, tmp_path: Path) -> None:
    group = store.group(GROUP)
    backup(store, tmp_path / "backup")
    at_backup = (group.history.current.id, group.sequence)
    commit(store, (PUT, 0, (1, 99), "after the backup"))
    beyond = (group.history.current.id, group.sequence)
    assert group.position(*beyond) == beyond[1]
    restore(tmp_path / "backup", GROUPS, tmp_path / "restored")
    with open_store(tmp_path / "restored") as again:
        commit(again, *((PUT, 0, (2, n), "another future") for n in range(9)))
        assert again.group(GROUP).position(*beyond) == 0
        assert again.group(GROUP).position(*at_backup) == at_backup[1]
        assert again.group(GROUP).history.current.id != beyond[0]


def test_a_backup_taken_while_others_write_is_one_moment(tmp_path: Path) -> None:
    # Each submit keeps two tables equal: a backup between them would not be.
    with Store.open(tmp_path / "store", GROUPS) as store:
        group = store.group(GROUP)
        stop = threading.Event()
        failures: list[BaseException | None] = []

        def writer() -> None:
            n = 0
            while not stop.is_set() and n < 3_000:
                done = threading.Event()
                value = [n, os.urandom(300)]
                writes = [(PUT, table, (n % 7, n % 50), value) for table in (0, 1)]

                def ended(result: Result, done: threading.Event = done) -> None:
                    failures.append(result.error)
                    done.set()

                group.submit(writes, ended)
                while not done.wait(0.0005):
                    store.deliver_results()
                n += 1

        thread = threading.Thread(target=writer)
        thread.start()
        try:
            for n in range(3):
                backup(store, tmp_path / f"backup{n}")
        finally:
            stop.set()
            thread.join()
        assert set(failures) == {None}
    for n in range(3):
        with Store.open(tmp_path / f"backup{n}", GROUPS, read_only=True) as copy:
            assert copy.group(GROUP).table("simple").range() == copy.group(GROUP).table("inserted").range()


def test_nothing_is_overwritten(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    with pytest.raises(TargetExists):
        backup(store, tmp_path / "there")
    backup(store, tmp_path / "backup")
    with pytest.raises(TargetExists):
        restore(tmp_path / "backup", GROUPS, tmp_path / "there")
    assert (tmp_path / "there" / "file").read_text() == "mine"


def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoStore):
        restore(tmp_path / "empty", GROUPS, tmp_path / "restored")
    with pytest.raises(NoStore):
        verify(tmp_path / "nowhere", GROUPS)
    assert not (tmp_path / "restored").exists()


@pytest.mark.parametrize("at", [0.3, 0.5, 0.7, 0.9])
def test_a_damaged_backup_is_not_restored(store: Store, tmp_path: Path, at: float) -> None:
    commit(store, *((PUT, 0, (5, n), bytes([n % 251]) * 900) for n in range(300)))
    backup(store, tmp_path / "backup")
    piece = tmp_path / "backup" / GROUP / "data.mdb"
    data = bytearray(piece.read_bytes())
    # Somewhere among the long values: a page of nothing else.
    found = data.index(bytes([int(300 * at) % 251]) * 800)
    data[found + 400] ^= 1
    piece.write_bytes(data)
    with pytest.raises(DamagedRecord):
        restore(tmp_path / "backup", GROUPS, tmp_path / "restored")
    assert not (tmp_path / "restored").exists()


def test_a_backup_cut_short_is_not_restored(store: Store, tmp_path: Path) -> None:
    backup(store, tmp_path / "backup")
    piece = tmp_path / "backup" / GROUP / "data.mdb"
    os.truncate(piece, piece.stat().st_size - 8192)
    with pytest.raises(DamagedStore):
        restore(tmp_path / "backup", GROUPS, tmp_path / "restored")
    piece.unlink()
    with pytest.raises(StoreError):
        restore(tmp_path / "backup", GROUPS, tmp_path / "restored")


def test_a_full_disk_leaves_no_half_backup(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        backup(store, tmp_path / "backup")
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]
    backup(store, tmp_path / "backup")


def test_what_a_killed_backup_left_is_in_nobodys_way(store: Store, tmp_path: Path) -> None:
    (tmp_path / "backup.partial" / "x").mkdir(parents=True)
    backup(store, tmp_path / "backup")
    assert verify(tmp_path / "backup", GROUPS) == 102
