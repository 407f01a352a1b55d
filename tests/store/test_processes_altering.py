"""Processes that are killed in the middle of altering their schema, and threads that read while others alter it."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

from store.errors import DamagedStore, NoStore, SchemaChanged, UnknownIndex, UnknownTable
from store.operations import AddIndex, CreateTable, DropIndex, DropTable
from store.schema import Group, Table
from store.store import Store
from store.verify import verify_group
from store.writes import PUT
from tests.store.alterer import GROUPS, ROWS, SETTINGS, STAGES, TOWN

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]


def killed_after(path: Path, first: int, lines: int, pause: float) -> int:
    """Run it until so many stages are done and a moment more; gives the number of the last one it told of."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.alterer", str(path), str(first)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    timer = threading.Timer(60, process.kill)
    timer.start()
    last = first - 1
    for line in process.stdout:
        last = int(line)
        lines -= 1
        if not lines:
            threading.Timer(pause, process.kill).start()
    process.wait()
    process.stdout.close()
    timer.cancel()
    assert lines <= 0, "it died by itself"
    return last


def what_comes_next(path: Path) -> set[int]:
    """At which stages the directory may go on. All that is there must be whole."""
    with Store.open(path, GROUPS, settings=SETTINGS, committer="inline") as store:
        group = store.group("g")
        for one in store.groups:
            verify_group(one)
        while group.alterations():
            store.deliver_results()
            verify_group(group)
        assert not group.state.catalog.residues
        assert not group.state.by_id.unsettled
        kept = [key[1] for key, _ in group.table("kept").range(limit=100_000)]
        assert sorted(kept) == list(range(len(kept)))
        extra = "extra" in {one.name for one in store.groups}
        if "made" not in {table.name for table in group.tables}:
            assert not extra
            return {0}
        made = group.table("made")
        count = made.count()
        assert count == 0 or (count == ROWS and not made.state.ram)
        indexed = bool(made.state.indexes)
        if indexed:
            # One that was being built has been finished.
            assert len(made.index("town", ("t1",))) == count // 4
        transformed = {value["n"] >= 1_000 for _, value in made.range()}
        assert len(transformed) <= 1, "240 records are one transaction"
        moved = "storage" in group.state.catalog.entries["made"].altered
        if made.state.ram:
            assert indexed
            return {5}
        if indexed:
            return {6} if moved else {4} if transformed == {True} else {3}
        if moved:
            return {8} if extra else {7, 9}
        assert not extra
        return {2} if count else {1}


def test_killed_at_random_instants_each_alteration_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    chance = random.Random(20260217)
    path = tmp_path / "s"
    following = 0
    seen: set[int] = set()
    for _ in range(14):
        last = killed_after(path, following, chance.randrange(1, 9), chance.random() * 0.02)
        here = what_comes_next(path)
        # The stage after the last one it told of, or the one after that, if it had no time to tell.
        assert here & {(last + 1) % len(STAGES), (last + 2) % len(STAGES)}, (last, here)
        following = min(here)
        seen |= here
    assert len(seen) >= 5


def test_whoever_looks_beside_it_sees_one_schema_or_is_told_that_it_changed(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.alterer", str(tmp_path / "s"), "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    told = looked = altered = 0
    try:
        for _ in range(60):
            told = int(process.stdout.readline())  # it goes on meanwhile, as far as the pipe has room
            try:
                with Store.open(
                    tmp_path / "s", GROUPS, settings=SETTINGS, committer="inline", read_only=True, beside=True
                ) as store:
                    group = store.group("g")
                    verify_group(group)
                    with group.snapshot() as reader:
                        for table in group.tables:
                            rows = reader.range(table, limit=1_000)
                            if table.name == "made":
                                assert len(rows) in (0, ROWS)
                                assert all(set(value) == {"town", "n"} for _, value in rows)
                    looked += 1
            except (SchemaChanged, NoStore, DamagedStore):  # its directory may be gone between two looks
                altered += 1
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert told >= 50
    assert looked > 0


async def test_threads_read_while_tables_come_and_go(tmp_path: Path) -> None:
    """Nothing of LMDB's is used after it is freed: it would be a crash of the process, or the rows of another table."""
    wrong: list[BaseException] = []
    looks = [0]
    stop = threading.Event()

    def read(store: Store) -> None:
        group = store.group("g")
        try:
            while not stop.is_set():
                try:
                    made: Any = group.table("made")
                    colour = made.get((1, 1))
                    with group.snapshot() as reader:
                        rows = reader.range("made")
                        assert len({value["town"] for _, value in rows}) <= 1, "rows of two tables"
                        assert len(rows) in (0, 60)
                        assert len(reader.changes(1)) in (0, 60)
                        assert len(reader.index("made", "town", ())) == len(rows)
                    assert colour is None or colour["town"].startswith("town ")
                except (UnknownTable, UnknownIndex):
                    pass
                looks[0] += 1
        except BaseException as error:  # noqa: BLE001 - told below, on the test's own thread
            wrong.append(error)

    with Store.open(tmp_path, [Group("g", ())], settings=SETTINGS) as store:
        group = store.group("g")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            threads = [threading.Thread(target=read, args=(store,)) for _ in range(3)]
            for thread in threads:
                thread.start()
            for round_ in range(12):
                await group.alter(CreateTable(Table("made")))
                made = group.table("made")
                await group.commit([(PUT, made.id, (1, n), {"town": f"town {round_}"}) for n in range(60)])
                await group.alter(AddIndex("made", TOWN))
                if round_ % 2:
                    await group.alter(DropIndex("made", "town"))
                await group.alter(DropTable("made"))
                if round_ % 3:
                    await group.wait_altered()
            stop.set()
            for thread in threads:
                await trio.to_thread.run_sync(thread.join)
            nursery.cancel_scope.cancel()
    assert wrong == []
    assert looks[0] > 0
