"""`waystation store`, beside a real node and without one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ops.bench.node_process import NodeProcess, free_ports


def store(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ops.command", "store", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of a node that ran once, and of which `backup` and `dump` were taken while it did."""
    [port] = free_ports(1)
    with NodeProcess.start({"listen": {"port": 0, "plain_port": port}}, tmp_path / "node") as node:
        data = tmp_path / "node" / "data"
        looked = json.loads(store("info", "--data", data, "--json").stdout)
        assert looked["groups"]["cluster"]["tables"]["claim"]["rows"] == 1024
        for words in (("backup", tmp_path / "backup"), ("dump", tmp_path / "dump")):
            done = store(*words, "--data", data, "--json")
            assert json.loads(done.stdout)["records"] == 1027, done.stderr
        assert "another process holds" in store("verify", "--data", data).stderr
        node.stop()
    return data


def test_what_was_taken_beside_a_node_comes_back(data: Path, tmp_path: Path) -> None:
    assert json.loads(store("verify", "--data", data, "--json").stdout) == {"records": 1027}
    for words in (("restore", tmp_path / "backup"), ("load", tmp_path / "dump")):
        target = tmp_path / f"from-{words[0]}"
        done = store(*words, "--data", target, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(store("verify", "--data", target, "--json").stdout) == {"records": 1027}
    before = store("restore", tmp_path / "backup", "--data", tmp_path / "from-restore")
    assert before.returncode == 1
    assert "exists" in before.stderr
    assert "Traceback" not in before.stderr


def test_what_is_no_store_is_named(tmp_path: Path) -> None:
    for words in (("info",), ("verify",), ("backup", tmp_path / "b"), ("dump", tmp_path / "d")):
        done = store(*words, "--data", tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("waystation: ")
        assert "holds no store" in done.stderr
    assert list(tmp_path.iterdir()) == []
