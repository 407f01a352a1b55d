"""The writer: what it wrote before a `kill -9` is there, and what it writes is what the format says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.history.command import check_history
from ops.history.format import FormatError, body_hash
from ops.history.report import check_files
from ops.history.writer import HistoryWriter


def test_a_history_survives_the_kill_of_its_process(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from ops.history.writer import HistoryWriter
history = HistoryWriter(Path(sys.argv[1]), "alice.1")
history.write("client-start", user=15550000001)
for n in range(1000):
    history.write("note", note=str(n))
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "alice.jsonl"
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False, cwd=os.getcwd())
    assert done.returncode == -signal.SIGKILL
    report = check_files([path])
    assert report.good
    assert report.events == {"history": 1, "client-start": 1, "note": 1000}


def test_a_history_is_never_written_over(tmp_path: Path) -> None:
    HistoryWriter(tmp_path / "a.jsonl", "a").close()
    with pytest.raises(FileExistsError):
        HistoryWriter(tmp_path / "a.jsonl", "a")


def test_an_incomplete_event_is_refused(tmp_path: Path) -> None:
    history = HistoryWriter(tmp_path / "a.jsonl", "a")
    with pytest.raises(FormatError, match="'hash' is missing"):
        history.write("sent", sender=1, recipient=2, stream="00", n=1)
    with pytest.raises(FormatError, match="not of a range"):
        history.write("deliver", sender=1, recipient=2, stream="00", n=1, last=2, hash=body_hash(b""))
    history.close()


def test_the_command_tells_good_from_broken_from_unreadable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = HistoryWriter(tmp_path / "a.jsonl", "a")
    history.write("client-start", user=1)
    assert check_history(tmp_path) == 0
    assert "every promise held" in capsys.readouterr().out
    history.write("deliver", sender=2, recipient=1, stream="00", n=1, hash=body_hash(b""))
    history.close()
    assert check_history(tmp_path / "a.jsonl", as_json=True) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["rules"] == {"ghost": 1}
    assert verdict["violations"][0]["lines"][0]["line"] == 3
    assert check_history(tmp_path / "nothing") == 2
    assert "neither a file nor a directory" in capsys.readouterr().err
