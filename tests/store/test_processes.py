"""Real processes on real files: killed at any instant, out of room, with an fsync that fails."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.results import Result
from store.store import Store
from store.verify import verify_group
from store.writes import DELETE, PUT
from tests.store.writer import GROUPS, ROWS

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]

FAILING_SYNC = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
int fdatasync(int descriptor) {
    const char *flag = getenv("FAIL_SYNC_WHEN");
    if (flag && access(flag, F_OK) == 0) { errno = EIO; return -1; }
    return fsync(descriptor);
}
"""


def start(path: Path, *options: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.writer", str(path), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **(env or {})},
    )


def check_whole(path: Path, told: set[int]) -> int:
    """Everything told is there, everything there is whole; gives the highest number."""
    with Store.open(path, GROUPS, committer="inline") as store:
        group = store.group("mail")
        verify_group(group)
        rows: dict[int, int] = {}
        with group.snapshot() as reader:
            for (_, number), body in reader.range("message", limit=100_000):
                assert body == number.to_bytes(4, "big") * 40
                rows[number] = rows.get(number, 0) + 1
            pairs = {value % 40: value for _, value in reader.range("pair")}
        assert set(rows.values()) <= {ROWS}
        if not rows:
            assert not told
            return -1
        highest = max(rows)
        # Submits are committed in order, each deletes the one 200 before it, and sets one pair.
        assert sorted(rows) == list(range(max(0, highest - 199), highest + 1))
        assert max(pairs.values()) == highest
        assert max(told, default=-1) <= highest
        return highest


def test_killed_at_random_instants_each_submit_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    chance = random.Random(20140225)
    told: set[int] = set()
    highest = -1
    for _ in range(8):
        process = start(tmp_path / "s")
        assert process.stdout is not None
        # Killed after so many words of it, at whatever it is doing then.
        lines = chance.randrange(1, 400)
        timer = threading.Timer(20, process.kill)
        timer.start()
        for line in process.stdout:
            told.add(int(line))
            lines -= 1
            if not lines:
                process.kill()
        process.wait()
        process.stdout.close()
        timer.cancel()
        now_highest = check_whole(tmp_path / "s", told)
        assert now_highest >= highest
        highest = now_highest
    assert len(told) > 100


def read_until_error(process: subprocess.Popen[str]) -> tuple[set[int], str]:
    told: set[int] = set()
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().isdecimal():
            told.add(int(line))
        else:
            process.wait()
            process.stdout.close()
            return told, line.strip()
    raise AssertionError("the writer ended without an error")


def test_a_file_that_may_not_grow_is_a_full_disk_and_nothing_is_lost(tmp_path: Path) -> None:
    told, error = read_until_error(start(tmp_path / "s", "small-files"))
    assert error.startswith("DiskFull: ")
    assert "free space" in error
    highest = check_whole(tmp_path / "s", told)
    assert highest >= max(told)
    # With room again it goes on.
    process = start(tmp_path / "s")
    assert process.stdout is not None
    assert int(process.stdout.readline()) == highest + 1
    process.kill()
    process.stdout.close()
    process.wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "small"
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(path)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("can't mount a small file system here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_on_a_full_disk_reads_go_on_deletes_work_and_room_is_used_again(small_disk: Path) -> None:
    with Store.open(small_disk / "s", GROUPS, committer="inline") as store:
        group = store.group("mail")
        filler = small_disk / "filler"
        filler.write_bytes(b"x" * 1_000_000)

        def submit(*writes: object) -> Result:
            results: list[Result] = []
            group.submit(list(writes), results.append)  # type: ignore[arg-type]
            store.deliver_results()
            return results[0]

        stored = 0
        while (result := submit((PUT, 0, (1, stored), b"x" * 5_000), (PUT, 1, (1, stored), 0))).error is None:
            stored += 1
            assert stored < 1_000
        assert type(result.error).__name__ == "DiskFull"
        assert store.fatal is None
        assert stored > 50
        message, pair = group.table("message"), group.table("pair")
        assert (message.count(), pair.count()) == (stored, stored)
        assert message.get((1, 0)) == b"x" * 5_000
        verify_group(group)
        # What frees room is committed on a full disk: phones go on fetching their mail.
        for n in range(20):
            assert submit((DELETE, 0, (1, n))).error is None
        assert submit((PUT, 0, (1, 0), b"fits in what was freed")).error is None
        filler.unlink()
        for n in range(stored, stored + 100):
            assert submit((PUT, 0, (1, n), b"x" * 5_000)).error is None
        verify_group(group)


def test_a_failed_fsync_is_fatal_and_what_was_told_is_there(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "failing_sync.c"
    source.write_text(FAILING_SYNC)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(tmp_path / "failing_sync.so"), str(source)], check=True
    )
    flag = tmp_path / "fail"
    process = start(
        tmp_path / "s",
        env={"LD_PRELOAD": str(tmp_path / "failing_sync.so"), "FAIL_SYNC_WHEN": str(flag)},
    )
    assert process.stdout is not None
    told = {int(process.stdout.readline()) for _ in range(50)}
    flag.touch()
    more, error = read_until_error(process)
    assert error.startswith("SyncFailed: ")
    assert "end this process" in error
    flag.unlink()
    check_whole(tmp_path / "s", told | more)
