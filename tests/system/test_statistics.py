"""The history of a node that is killed, through the public doors."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from admin.statistics.history import FILE, HistoryReader, HistoryUnreadable, HistoryWriter
from admin.statistics.layout import SECOND
from ops.bench.node_process import NodeProcess, free_ports

ROOT = Path(__file__).resolve().parents[2]
GIVE_UP_S = 30.0

pytestmark = pytest.mark.system


def kept(data: Path) -> int:
    try:
        with HistoryReader(data / FILE) as history:
            return len(history.records(SECOND))
    except HistoryUnreadable:
        return 0


def until_kept(data: Path, count: int) -> None:
    end = time.monotonic() + GIVE_UP_S
    while kept(data) < count:
        assert time.monotonic() < end, "nothing more is kept"
        time.sleep(0.05)


def times(data: Path) -> list[float]:
    with HistoryReader(data / FILE) as history:
        return [record.at for record in history.records(SECOND)]


def wsar(*words: str) -> list[dict[str, Any]]:
    shown = subprocess.run(
        [sys.executable, "-m", "ops.command", "wsar", *words, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=GIVE_UP_S,
    ).stdout
    return [json.loads(line) for line in shown.splitlines()]


def test_a_killed_nodes_history_is_read_and_goes_on_in_its_next_life(tmp_path: Path) -> None:
    data = tmp_path / "data"
    config = {"node": {"data": data}, "listen": {"port": 0, "plain_port": free_ports(1)[0]}}
    with NodeProcess.start(config, tmp_path / "node") as node:
        until_kept(data, 1)
        node.kill()
    before = times(data)
    with HistoryWriter(data / FILE) as next_life:
        next_life.keep(before[-1] + 1, 1.0, {"sessions": 3.0})
    shown = wsar("--data", str(data))
    assert [record["at"] for record in shown] == [*before, before[-1] + 1]
    assert shown[0]["figures"]["system.memory.resident_bytes"] > 1 << 20
    assert shown[-1]["figures"] == {"sessions": 3.0}
