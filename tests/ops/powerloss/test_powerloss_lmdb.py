"""Power loss under a plain LMDB writer: what it was told is committed is on the disk, and is not if fsync lies.

This proves the shim apart from the store: LMDB writes pages by pwrite and writev, then fdatasync, then its meta
page through a descriptor opened with O_DSYNC.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from ops.powerloss.image import Cut, Loss
from ops.powerloss.watch import WatchedDirectory

WRITER = """
import os, sys, lmdb
path, sync_names = sys.argv[1], sys.argv[2] == "names"
environment = lmdb.open(path, map_size=1 << 30, max_dbs=4, lib_version=0)
if sync_names:
    for each in (path, os.path.dirname(path)):
        directory = os.open(each, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)
for n in range(int(sys.argv[3]), 1_000_000):
    with environment.begin(write=True) as transaction:
        for part in range(5):
            transaction.put(b"%d-%d" % (n, part), bytes([n % 256]) * (40 + 997 * part * (n % 3)))
        if n > 20:  # pages are freed and used again
            transaction.delete(b"%d-4" % (n - 20))
    print(n, flush=True)
"""


def run_writer(
    watched: WatchedDirectory, commits: int, start: int = 0, lie: bool = False, names: bool = True
) -> int:
    """Let the writer commit about so many times and kill it; returns the last commit that it was told of."""
    arguments = [str(watched.root / "db"), "names" if names else "no-names", str(start)]
    environment = os.environ | watched.environment(lie)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, *arguments], stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        last = -1
        for line in process.stdout:
            last = int(line)
            if last == start + commits:
                process.send_signal(signal.SIGKILL)
    assert last >= start + commits, "the writer died by itself"
    return last


def missing(root: Path, last: int) -> list[int]:
    """Commits up to `last` that aren't whole in the environment."""
    try:
        environment = lmdb.open(str(root / "db"), map_size=1 << 30, max_dbs=4, lib_version=0, create=False)
    except lmdb.Error:
        return list(range(last + 1))
    with environment, environment.begin() as transaction:
        return [
            n
            for n in range(last + 1)
            for part in range(4)
            if transaction.get(b"%d-%d" % (n, part)) != bytes([n % 256]) * (40 + 997 * part * (n % 3))
        ]


@pytest.fixture
def watched(tmp_path: Path, shim: Path) -> WatchedDirectory:
    (tmp_path / "data").mkdir()
    return WatchedDirectory(tmp_path / "data", tmp_path / "work", shim)


@pytest.mark.parametrize(
    "cut", [Cut(Loss.UNSYNCED), Cut(Loss.TORN, 1), Cut(Loss.TORN, 2, 0.8, 4096)], ids=repr
)
def test_what_was_committed_survives(watched: WatchedDirectory, cut: Cut) -> None:
    start = 0
    for _ in range(3):  # power fails again on what the first failure left
        last = run_writer(watched, 40, start)
        account = watched.lose_power(cut)
        assert account.syncs >= 80
        assert missing(watched.root, last) == []
        start = last + 1


def test_with_an_fsync_that_lies_committed_data_is_gone(watched: WatchedDirectory) -> None:
    last = run_writer(watched, 40, lie=True)
    watched.lose_power(Cut(Loss.UNSYNCED))
    assert len(missing(watched.root, last)) > 40


def test_an_fsync_that_lies_tears_the_environment_or_loses_data(watched: WatchedDirectory) -> None:
    last = run_writer(watched, 10)
    assert watched.lose_power().syncs >= 20
    last = run_writer(watched, 40, last + 1, lie=True)
    watched.lose_power(Cut(Loss.UNSYNCED))
    assert set(missing(watched.root, last)) == set(range(last - 40, last + 1))


def test_names_that_were_never_synced_are_gone(watched: WatchedDirectory) -> None:
    last = run_writer(watched, 5, names=False)
    watched.lose_power()
    assert len(missing(watched.root, last)) > 5
    assert list(watched.root.iterdir()) == []


def test_power_may_fail_at_any_moment_of_a_run(watched: WatchedDirectory, tmp_path: Path) -> None:
    """One run, many failures: the image of every moment holds what was committed by then."""
    clock = "import time; print(n, time.monotonic_ns(), flush=True)"
    program = WRITER.replace("print(n, flush=True)", clock)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(watched.root / "db"), "names", "0"],
        stdout=subprocess.PIPE,
        env=os.environ | watched.environment(),
        text=True,
    ) as process:
        assert process.stdout is not None
        told: list[int] = []
        for line in process.stdout:
            told.append(int(line.split()[1]))
            if len(told) == 60:
                process.send_signal(signal.SIGKILL)
    rng = random.Random(7)
    for moment in range(12):
        until = rng.randint(told[0], told[-1])
        place = tmp_path / f"image{moment}"
        loss = Loss.TORN if moment % 2 else Loss.UNSYNCED
        watched.image(Cut(loss, seed=moment, until_ns=until), place)
        last = sum(1 for at in told if at <= until) - 1
        assert missing(place, last) == []


def test_a_sync_that_failed_once_is_not_made_good_by_the_next(watched: WatchedDirectory) -> None:
    """As Linux has it since forever: after EIO the pages count as clean, and the next fsync says yes."""
    program = """
import os, sys
fd = os.open(sys.argv[1] + "/file", os.O_CREAT | os.O_RDWR)
directory = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(directory)
os.write(fd, b"first ")
os.fsync(fd)
os.write(fd, b"second ")
open(sys.argv[2], "w").close()
try:
    os.fsync(fd)
except OSError as error:
    print(error.errno)
os.write(fd, b"third")
os.fsync(fd)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(watched.root), str(watched.fail_next_sync)],
        env=os.environ | watched.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "5"
    assert (watched.root / "file").read_bytes() == b"first second third"
    account = watched.lose_power()
    assert account.lost_bytes == len(b"second ")
    assert (watched.root / "file").read_bytes() == b"first " + bytes(7) + b"third"
