"""The state file: what it refuses, what it keeps, and what a kill -9 leaves of it."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from client import records
from client.errors import StateError, StateForeign, StateFull, StateInUse, StateNewer
from client.records import INBOX, OUTBOX, OUTGOING, StoredMessage, Write
from client.state import State
from tests.client.phone import MemoryStore

ROWS: list[Write] = [
    (records.IDENTITY, ("current",), (1001, b"k" * 32, b"streams!", 3, 0)),
    (OUTGOING, (1002, b"streams!"), (9, "1-5,7", "", 4, "6", "", 2)),
    (OUTBOX, (1002, 8), (None, 0.0)),
    (OUTBOX, (1002, 7), (b"body", 1.5)),
    (records.REFUSAL, (1002, b"streams!", 6), (21, 5.0)),
    (records.INCOMING, (1003, b"another!"), ("1-3", "3", 2, 0, 5)),
    StoredMessage(4, 1003, b"another!", 3, True, 99, b"").write,
    StoredMessage(2, 1003, b"another!", 1, False, 98, b"hello").write,
]


def test_what_is_committed_is_loaded_as_the_model_loads_it(tmp_path: Path) -> None:
    model = MemoryStore()
    model.commit(ROWS)
    state = State.open(tmp_path / "deep" / "a.state")
    state.commit(ROWS)
    assert state.load() == model.load()
    state.close()
    state = State.open(tmp_path / "deep" / "a.state")
    assert state.load() == model.load()
    assert state.inbox(0, 1) == model.inbox(0, 1)
    assert state.inbox(2, 9) == model.inbox(2, 9)
    gone: list[Write] = [(table, key, None) for table, key, _ in ROWS]
    state.commit(gone)
    model.commit(gone)
    assert state.load() == model.load()
    state.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    State.open(tmp_path / "a.state").close()
    assert stat.S_IMODE((tmp_path / "a.state").stat().st_mode) == 0o600


def test_a_second_opening_is_refused(tmp_path: Path) -> None:
    state = State.open(tmp_path / "a.state")
    with pytest.raises(StateInUse, match="one state file is one device"):
        State.open(tmp_path / "a.state")
    state.close()
    State.open(tmp_path / "a.state").close()


def test_a_foreign_file_is_refused_and_not_touched(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("these are notes, and longer than a header of SQLite is. " * 20)
    with pytest.raises(StateForeign):
        State.open(text)
    assert text.read_text().startswith("these are notes")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (a)")
    other.commit()
    other.close()
    with pytest.raises(StateForeign):
        State.open(tmp_path / "other.db")


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    State.open(tmp_path / "a.state").close()
    connection = sqlite3.connect(tmp_path / "a.state")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StateNewer):
        State.open(tmp_path / "a.state")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    state = State.open(tmp_path / "a.state")
    state.commit([StoredMessage(n, 1, b"streams!", n, False, 0, bytes(1000)).write for n in range(1, 100)])
    state.close()
    data = bytearray((tmp_path / "a.state").read_bytes())
    data[4096 : len(data)] = bytes(len(data) - 4096)
    (tmp_path / "a.state").write_bytes(data)
    with pytest.raises(StateForeign):
        State.open(tmp_path / "a.state").load()


def test_a_directory_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(StateError):
        State.open(tmp_path)


def test_a_full_disk_stores_nothing_of_the_commit(tmp_path: Path) -> None:
    state = State.open(tmp_path / "a.state")
    state.commit(ROWS)
    before = state.load()
    (pages,) = state._connection.execute("PRAGMA page_count").fetchone()
    state._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StateFull):
        state.commit([(OUTBOX, (5, 5), (bytes(50_000), 0.0)), (OUTBOX, (1002, 7), None)])
    state._connection.execute("PRAGMA max_page_count=1000000")
    assert state.load() == before
    state.commit([(OUTBOX, (5, 5), (bytes(50_000), 0.0))])
    state.close()


_WRITER = """
import sys
from client.records import INBOX, OUTGOING, StoredMessage
from client.state import State

state = State.open(sys.argv[1])
n = state.load().inbox_last
while True:
    n += 1
    message = StoredMessage(n, 1, b"streams!", n, False, 0, b"x" * (n % 3000))
    state.commit([message.write, (OUTGOING, (1, b"streams!"), (n, "", "", 0, "", "", 0))])
    print(n, flush=True)
"""


def test_a_kill_at_any_instant_loses_no_commit_and_leaves_none_half_done(tmp_path: Path) -> None:
    path = tmp_path / "a.state"
    seen = 0
    for round_ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )
        with process:
            assert process.stdout is not None
            for line in process.stdout:
                seen = int(line)
                if seen % (17 + round_) == 0:
                    break
            os.kill(process.pid, signal.SIGKILL)
            seen = max([seen, *(int(line) for line in process.stdout if line.endswith("\n"))])
        state = State.open(path)
        snapshot = state.load()
        assert snapshot.inbox_last >= seen
        ((_, row),) = snapshot.outgoing
        assert row[0] == snapshot.inbox_last == snapshot.inbox_count
        state.close()


def test_every_column_is_in_the_file(tmp_path: Path) -> None:
    state = State.open(tmp_path / "a.state")
    for table, (keys, others) in records.COLUMNS.items():
        columns = [row[1] for row in state._connection.execute(f"PRAGMA table_info({table})")]
        assert columns == [*keys, *others]
    assert INBOX in records.COLUMNS
    state.close()
