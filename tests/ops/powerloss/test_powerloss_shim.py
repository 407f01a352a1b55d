"""The shim: it sees every way of writing that it claims to see, and stops loudly at the others."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ops.powerloss.image import Account, Cut, Loss
from ops.powerloss.journal import JournalError
from ops.powerloss.watch import WatchedDirectory

HEAD = """
import ctypes, fcntl, mmap, os, shutil, signal, subprocess, sys, threading
root = sys.argv[1]
os.chdir(root)
def sync(path="."):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
def make(path, data=b"", flags=0):
    fd = os.open(path, os.O_CREAT | os.O_RDWR | flags, 0o600)
    os.write(fd, data)
    return fd
"""


@pytest.fixture
def watched(tmp_path: Path, shim: Path) -> WatchedDirectory:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "old").write_bytes(b"old and durable")
    return WatchedDirectory(tmp_path / "data", tmp_path / "work", shim, ignored=["lock.mdb", "shared"])


def run(watched: WatchedDirectory, program: str, lie: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEAD + program, str(watched.root)],
        env=os.environ | watched.environment(lie),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def lose(watched: WatchedDirectory, program: str, lie: bool = False) -> tuple[dict[str, bytes], Account]:
    """The files after the program ran and the power failed."""
    done = run(watched, program, lie)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    account = watched.lose_power()
    found = {str(p.relative_to(watched.root)): p.read_bytes() for p in watched.root.rglob("*") if p.is_file()}
    assert found.pop("old", b"old and durable") == b"old and durable"
    return found, account


@pytest.mark.parametrize(
    ("program", "left"),
    [
        ("make('f', b'x')", {}),
        ("make('f', b'x'); sync()", {"f": b""}),
        ("os.fsync(make('f', b'x'))", {}),
        ("os.fsync(make('f', b'x')); sync()", {"f": b"x"}),
        ("os.fdatasync(make('f', b'x')); sync(); os.kill(os.getpid(), 9)", {"f": b"x"}),
        ("fd = make('f', b'x'); os.fsync(fd); sync(); os.write(fd, b'y')", {"f": b"x"}),
        ("make('f', b'x', os.O_DSYNC); sync()", {"f": b"x"}),
        ("make('f', b'x', os.O_SYNC); sync()", {"f": b"x"}),
        ("make('f', b'x'); os.sync()", {}),
        ("fd = make('f'); os.writev(fd, [b'a'] * 1000); os.fsync(fd); sync()", {"f": b"a" * 1000}),
        ("fd = make('f'); os.pwritev(fd, [b'ab', b'c'], 2); os.fsync(fd); sync()", {"f": b"\0\0abc"}),
        ("fd = make('f'); os.pwritev(fd, [b'ab'], 2, os.RWF_DSYNC); sync()", {"f": b"\0\0ab"}),
        ("fd = make('f', b'abc'); os.ftruncate(fd, 1); os.fsync(fd); sync()", {"f": b"a"}),
        ("fd = make('f', b'abc'); os.fsync(fd); sync(); os.ftruncate(fd, 1)", {"f": b"abc"}),
        ("fd = make('f', b'abc'); os.fsync(fd); sync(); os.truncate('f', 1); os.fsync(fd)", {"f": b"a"}),
        ("fd = make('f', b'a'); os.posix_fallocate(fd, 0, 4); os.fsync(fd); sync()", {"f": b"a\0\0\0"}),
        ("fd = make('f', b'a'); os.fsync(make('f', b'b', os.O_TRUNC)); sync()", {"f": b"b"}),
        ("os.fsync(make('f', b'a')); sync(); make('f', b'b', os.O_TRUNC)", {"f": b"a"}),
        ("make('f', b'a'); fd = make('f', b'b', os.O_APPEND); os.fsync(fd); sync()", {"f": b"ab"}),
        ("fd = os.dup(make('f', b'a')); os.write(fd, b'b'); os.fsync(fd); sync()", {"f": b"ab"}),
        ("fd = make('f', b'a'); os.dup2(fd, 77); os.close(fd); os.write(77, b'b'); os.fsync(77); sync()", {"f": b"ab"}),
        ("fd = fcntl.fcntl(make('f', b'a'), fcntl.F_DUPFD, 9); os.write(fd, b'b'); os.fsync(fd); sync()", {"f": b"ab"}),
        ("fd = make('f', b'a'); os.fsync(os.open('f', os.O_RDONLY)); sync()", {"f": b"a"}),
        ("open('f', 'w').write('text')\nos.fsync(os.open('f', os.O_RDONLY)); sync()", {"f": b"text"}),
        # names
        ("os.mkdir('d'); os.fsync(make('d/f', b'x')); sync('d'); sync()", {"d/f": b"x"}),
        ("os.mkdir('d'); os.fsync(make('d/f', b'x')); sync('d')", {}),
        ("os.mkdir('d'); os.fsync(make('d/f', b'x')); sync()", {}),
        ("os.fsync(make('t', b'x')); os.rename('t', 'f'); sync()", {"f": b"x"}),
        ("os.fsync(make('t', b'x')); sync(); os.replace('t', 'f')", {"t": b"x"}),
        ("os.fsync(make('t', b'x')); sync(); os.mkdir('d'); os.rename('t', 'd/f'); sync('d')", {"t": b"x"}),
        ("os.fsync(make('t', b'x')); sync(); os.mkdir('d'); os.rename('t', 'd/f'); sync('d'); sync()", {"d/f": b"x"}),
        ("os.mkdir('a'); os.fsync(make('a/f', b'x')); sync('a'); os.rename('a', 'b'); sync()", {"b/f": b"x"}),
        ("os.fsync(make('f', b'x')); sync(); os.unlink('f')", {"f": b"x"}),
        ("os.fsync(make('f', b'x')); sync(); os.unlink('f'); sync()", {}),
        ("os.fsync(make('f', b'x')); os.unlink('f'); os.fsync(make('f', b'new')); sync()", {"f": b"new"}),
        ("os.mkdir('d'); os.fsync(make('d/f', b'x')); sync('d'); sync(); shutil.rmtree('d')", {"d/f": b"x"}),
        ("d = os.open('.', os.O_RDONLY); os.fsync(os.open('f', os.O_CREAT, dir_fd=d)); os.fsync(d)", {"f": b""}),
        # other ways and other processes
        (
            "os.fsync(make('f', b'x' * 9)); shutil.copyfile('f', 'g')\n"
            "os.fsync(os.open('g', 0)); sync()",
            {"f": b"x" * 9, "g": b"x" * 9},
        ),
        (
            "fd = make('f')\n"
            "if not os.fork(): os.write(fd, b'child'); os.fsync(fd); os._exit(0)\n"
            "os.wait(); sync()",
            {"f": b"child"},
        ),
        (
            "fd = make('f', b'x')\nsubprocess.run(['true'], check=True)\n"
            "os.write(fd, b'y'); os.fsync(fd); sync()",
            {"f": b"xy"},
        ),
        ("subprocess.run(['sh', '-c', 'echo hi > f; sync -d f; sync .'], check=True)", {"f": b"hi\n"}),
        (
            "subprocess.run(['sh', '-c', 'echo hi'], stdout=make('f'), check=True)\n"
            "os.fsync(make('f')); sync()",
            {"f": b"hi\n"},
        ),
        ("make('shared', b'x'); make('lock.mdb'); make('f', b'x', os.O_DSYNC); sync()", {"f": b"x"}),
    ],
)  # fmt: skip
def test_what_a_disk_would_hold(watched: WatchedDirectory, program: str, left: dict[str, bytes]) -> None:
    assert lose(watched, program)[0] == left


def test_with_an_fsync_that_lies_nothing_is_left(watched: WatchedDirectory) -> None:
    assert lose(watched, "os.fsync(make('f', b'x')); make('g', b'x', os.O_DSYNC); sync()", lie=True)[0] == {}


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("mmap.mmap(make('f', b'x' * 5000), 5000)", "a shared writable mapping"),
        ("make('f'); os.link('f', 'g')", "a hard link"),
        ("os.symlink('f', 'g')", "a symbolic link"),
        ("make('f'); os.rename('f', '../f')", "a rename across the directory's edge"),
        ("os.open('.', os.O_TMPFILE | os.O_RDWR)", "O_TMPFILE"),
        ("ctypes.CDLL(None).fopen(b'f', b'w')", "writing by stdio"),
    ],
)
def test_what_it_cannot_follow_stops_the_process(watched: WatchedDirectory, program: str, says: str) -> None:
    done = run(watched, program)
    assert done.returncode == -signal.SIGABRT
    assert says in done.stderr
    with pytest.raises(JournalError, match=says):
        watched.lose_power()


def test_a_mapping_of_an_ignored_file_is_allowed(watched: WatchedDirectory) -> None:
    assert run(watched, "mmap.mmap(make('lock.mdb', b'x' * 5000), 5000)[0] = 1").returncode == 0


def test_reading_is_not_disturbed(watched: WatchedDirectory) -> None:
    program = "m = mmap.mmap(os.open('old', os.O_RDONLY), 0, prot=mmap.PROT_READ); print(m[:3])"
    assert run(watched, program).stdout == "b'old'\n"


def test_what_the_shim_did_not_see_is_found(watched: WatchedDirectory) -> None:
    run(watched, "make('f', b'seen')")
    (watched.root / "f").write_bytes(b"else")
    with pytest.raises(JournalError, match="didn't see all that was written to f"):
        watched.lose_power()
    (watched.root / "g").write_bytes(b"unseen")
    with pytest.raises(JournalError, match="came or went: g"):
        watched.lose_power()


def test_a_process_without_the_shim_is_found(watched: WatchedDirectory) -> None:
    with pytest.raises(JournalError, match="was the shim loaded"):
        watched.lose_power()


def test_threads_write_and_sync_at_once(watched: WatchedDirectory) -> None:
    program = """
def work(name):
    fd = make(name)
    for n in range(300):
        os.write(fd, b"%04d" % n)
        if n % 10 == 9:
            os.fsync(fd)
    os.write(fd, b"unsynced")
threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sync()
"""
    found, account = lose(watched, program)
    assert found == {f"t{i}": b"".join(b"%04d" % n for n in range(300)) for i in range(6)}
    assert account.dropped_bytes == 6 * len(b"unsynced")
    assert account.syncs == 6 * 30 + 1


def test_permissions_are_kept(watched: WatchedDirectory) -> None:
    lose(watched, "os.fsync(make('f', b'secret')); os.chmod('f', 0o640); sync()")
    assert (watched.root / "f").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("torn", [False, True])
def test_sqlite_keeps_what_it_committed(watched: WatchedDirectory, torn: bool) -> None:
    """Its rollback journal relies on names, sizes and the order of syncs: a hard test for the shim."""
    program = """
import sqlite3
database = sqlite3.connect("db")
database.execute("pragma synchronous=extra")
database.execute("create table t (n integer primary key, v blob)")
for n in range(60):
    with database:
        database.execute("insert into t values (?, ?)", (n, bytes(500 * (n % 5))))
with open(os.path.join(root, "..", "told"), "w") as told: told.write("60")
database.execute("begin")
database.execute("update t set v = zeroblob(9000)")
os.kill(os.getpid(), signal.SIGKILL)
"""
    run(watched, program)
    assert (watched.root.parent / "told").read_text() == "60"
    watched.lose_power(Cut(Loss.TORN, seed=3) if torn else Cut())
    database = sqlite3.connect(watched.root / "db")
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    assert database.execute("select count(*), max(length(v)) from t").fetchone() == (60, 2000)
    database.close()
