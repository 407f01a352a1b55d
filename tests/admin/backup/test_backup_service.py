"""The process that makes a backup: its words, its end, and one at a time. What it does is a test's own program."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from admin.backup.service import LINE_BYTES_MAX, BackupFailed, Backups

GIVE_UP_S = 20.0
MADE = '{"made": {"records": 3, "bytes": 5}}'
AT = 1_800_000_000.0


def backups(tmp_path: Path, program: str) -> Backups:
    data = tmp_path / "data"
    data.mkdir()
    return Backups((sys.executable, "-c", program), data, "ab" * 16, lambda: AT)


async def test_it_is_told_how_far_it_is_and_gives_what_was_made(tmp_path: Path) -> None:
    program = f"""
import sys
data, target, rate = sys.argv[1:]
assert rate == "7" and data.endswith("data"), sys.argv
print('{{"step": "copy users", "done": 1, "of": 2}}')
print('{MADE}')
"""
    told: list[Any] = []
    made = backups(tmp_path, program)
    with trio.fail_after(GIVE_UP_S):
        result = await made.make(tmp_path / "folder", 7, told.append)
    assert told == [{"step": "copy users", "done": 1, "of": 2}]
    path = str(tmp_path / "folder" / "abababababababab-20270115T080000Z")
    assert result == {"path": path, "at": AT, "seconds": 0.0, "records": 3, "bytes": 5}
    assert made.statistics() == {
        "made": 1,
        "failed": 0,
        "running": 0,
        "last_at": AT,
        "last_records": 3,
        "last_bytes": 5,
        "last_seconds": 0.0,
    }


@pytest.mark.parametrize(
    ("program", "cause"),
    [
        ("""print('{"error": "the disk is full"}')""", "the disk is full"),
        ("import sys; sys.exit(3)", "its process ended with 3"),
        ("print('nonsense')", "what nobody can read"),
        ("print('[1]')", "what nobody can read"),
        (f"print('x' * {2 * LINE_BYTES_MAX}, end='', flush=True); input()", "what nobody can read"),
    ],
)
async def test_what_goes_wrong_is_told_and_counted(tmp_path: Path, program: str, cause: str) -> None:
    made = backups(tmp_path, program)
    with trio.fail_after(GIVE_UP_S), pytest.raises(BackupFailed, match=cause):
        await made.make(tmp_path / "folder", 1, lambda _: None)
    assert (made.statistics()["failed"], made.statistics()["running"]) == (1, 0)


@pytest.mark.parametrize(
    ("folder", "cause"),
    [
        (lambda tmp: Path("here"), "is relative"),
        (lambda tmp: tmp / "data" / "backups", "in the node's data directory"),
        (lambda tmp: tmp / "no" / "where", "can't be made: No such file"),
    ],
)
async def test_a_place_that_will_not_do_is_refused(
    tmp_path: Path, folder: Callable[[Path], Path], cause: str
) -> None:
    with pytest.raises(BackupFailed, match=cause):
        await backups(tmp_path, "").make(folder(tmp_path), 1, lambda _: None)


async def test_one_at_a_time_and_a_cancelled_one_is_told_to_end(tmp_path: Path) -> None:
    program = f"""
import pathlib, signal, sys, time
def end(*_):
    pathlib.Path({str(tmp_path / "ended")!r}).touch()
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
print('{{"step": "copy users", "done": 1, "of": 2}}', flush=True)
time.sleep({GIVE_UP_S})
"""
    made = backups(tmp_path, program)
    begun = trio.Event()
    with trio.fail_after(GIVE_UP_S / 2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(made.make, tmp_path / "folder", 1, lambda _: begun.set())
            await begun.wait()
            with pytest.raises(BackupFailed, match="another backup"):
                await made.make(tmp_path / "folder", 1, lambda _: None)
            nursery.cancel_scope.cancel()
    assert (tmp_path / "ended").exists()
    assert made.statistics()["running"] == 0
