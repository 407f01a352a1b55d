"""Tests of `ops.bench.node_process`, with a stand-in for the node."""

import signal
import sys
import tomllib
from pathlib import Path

import pytest

from ops.bench.node_process import NodeProcess, NodeStartError, free_ports, toml

FAKE = (sys.executable, str(Path(__file__).with_name("fake_node.py")))


def config(trick: str = "") -> dict[str, dict[str, object]]:
    return {"listen": {"plain_port": free_ports(1)[0]}, "fake": {"trick": trick}}


def test_toml_is_read_back_as_written() -> None:
    config = {
        "a": {"text": 'sla\\sh "quote" ü', "number": 7, "real": 1e9, "flag": True},
        "b": {"list": [1, 2]},
    }
    assert tomllib.loads(toml(config)) == config


def test_paths_become_text() -> None:
    assert tomllib.loads(toml({"node": {"data": Path("/some/where")}})) == {"node": {"data": "/some/where"}}


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5


def test_a_started_node_is_ready_and_measured(tmp_path: Path) -> None:
    with NodeProcess.start(config(), tmp_path, command=FAKE) as node:
        assert node.ready_line.startswith("ready")
        assert node.exit_code is None
        assert node.cpu_seconds() > 0
        assert 0 < node.rss_bytes() <= node.peak_rss_bytes()
        assert node.memory().anonymous > 0
        assert node.io().read_characters > 0
    assert node.exit_code == -signal.SIGKILL


def test_a_killed_node_can_be_started_again_in_its_directory(tmp_path: Path) -> None:
    settings = config()
    node = NodeProcess.start(settings, tmp_path, command=FAKE)
    node.kill()
    with NodeProcess.start(settings, tmp_path, command=FAKE) as again:
        assert again.pid != node.pid


def test_stop_asks_first(tmp_path: Path) -> None:
    with NodeProcess.start(config(), tmp_path, command=FAKE) as node:
        assert node.stop() == -signal.SIGTERM


def test_a_node_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    with NodeProcess.start(config("stubborn"), tmp_path, command=FAKE) as node:
        assert node.stop(seconds_max=0.05) == -signal.SIGKILL


def test_a_node_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(NodeStartError, match="the fake node was told to end"):
        NodeProcess.start(config("ends"), tmp_path, command=FAKE)


def test_a_node_that_is_never_ready_is_given_up_and_killed(tmp_path: Path) -> None:
    sleeper = (sys.executable, "-c", "import time; time.sleep(600)")
    with pytest.raises(NodeStartError, match="not ready"):
        NodeProcess.start(config(), tmp_path, command=sleeper, ready_seconds_max=0.2)
