"""Starting, stopping, and everything that can be wrong with the place where a node is started."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.wire import verbs
from ops.bench.node_process import NodeProcess, NodeStartError, free_ports, toml
from ops.config import ConfigError, node_settings, read_config
from ops.faults.raw import RawPhone

ROOT = Path(__file__).parents[2]


@pytest.fixture
def config() -> dict[str, dict[str, object]]:
    port, plain = free_ports(2)
    return {"listen": {"port": port, "plain_port": plain}}


@pytest.fixture
def node(tmp_path: Path, config: dict[str, dict[str, object]]) -> Iterator[NodeProcess]:
    with NodeProcess.start(config, tmp_path) as node:
        yield node


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def run_waystation(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.command", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def refusal(folder: Path, text: str) -> str:
    """What a node says about a configuration that it won't start with."""
    (folder / "node.toml").write_text(text)
    done = run_waystation(folder, "run", "--config", "node.toml")
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout == ""
    return done.stderr


def test_the_first_start_makes_everything_and_shows_it_to_nobody(node: NodeProcess) -> None:
    data = node.directory / "data"
    assert mode(data) == 0o700
    assert mode(data / "key.pem") == 0o600
    assert "CERTIFICATE" in (data / "certificate.pem").read_text()
    assert "ready public=127.0.0.1:" in node.ready_line
    assert (data / "store" / "users" / "data.mdb").exists()


def test_the_second_start_keeps_the_identity(node: NodeProcess, config: dict[str, dict[str, object]]) -> None:
    certificate = (node.directory / "data" / "certificate.pem").read_bytes()
    assert node.stop() == 0
    with NodeProcess.start(config, node.directory):
        assert (node.directory / "data" / "certificate.pem").read_bytes() == certificate


@pytest.mark.parametrize("tls", [True, False])
def test_a_graceful_stop_says_goodbye_to_everybody(
    node: NodeProcess, config: dict[str, dict[str, object]], tls: bool
) -> None:
    port = config["listen"]["port" if tls else "plain_port"]
    assert isinstance(port, int)
    phones = [RawPhone("127.0.0.1", port, tls=tls) for _ in range(5)]
    for phone in phones:
        phone.hello()
    node.signal(signal.SIGTERM)
    retries = []
    for phone in phones:
        with phone:
            verb, _, retry = phone.receive()
            assert verb == verbs.BYE
            retries.append(retry)
            with pytest.raises(ConnectionError, match="closed"):
                phone.receive()
    while node.exit_code is None:
        time.sleep(0.01)
    assert node.exit_code == 0
    assert len(set(retries)) > 1, "phones must not all come back at the same moment"
    assert "Traceback" not in node.log_tail()


def test_a_second_node_on_the_directory_is_refused(node: NodeProcess, tmp_path: Path) -> None:
    port, plain = free_ports(2)
    config = {"node": {"data": str(tmp_path / "data")}, "listen": {"port": port, "plain_port": plain}}
    with pytest.raises(NodeStartError, match="another process") as caught:
        NodeProcess.start(config, tmp_path / "second")
    assert "code 1" in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert node.exit_code is None


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refusal(tmp_path, toml({"listen": {"port": 0, "plain_port": port}}))
    assert str(port) in said


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / "store").mkdir(parents=True)
    (tmp_path / "data" / "store" / "thesis.txt").write_text("years of work")
    said = refusal(tmp_path, toml({"listen": {"port": free_ports(1)[0]}}))
    assert "thesis.txt" in said
    assert (tmp_path / "data" / "store" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[listne]\nport = 1\n", ("[listne]", "did you mean 'listen'")),
        ("[listen]\nprot = 1\n", ("'prot'", "did you mean 'port'")),
        ("[mail]\nmessage_age_days = 90\n", ("client_retry_days < message_age_days",)),
        ("[limits]\nevents_per_pass_max = 0\n", ("events_per_pass_max",)),
        ('[node]\ndata = "/proc/nowhere"\n', ("/proc/nowhere", "node.data")),
    ],
)
def test_mistakes_in_the_configuration_are_named(text: str, says: tuple[str, ...], tmp_path: Path) -> None:
    said = refusal(tmp_path, text)
    assert all(word in said for word in says), said
    assert not (tmp_path / "data" / "store").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[listen\n", ("node.toml", "TOML")),
        ('[listen]\nport = "many"\n', ("listen.port", "number")),
        ("[listen]\nport = 70000\n", ("port", "70000")),
        ("[listen]\nport = 0\n", ("no port",)),
        ('[listen]\ncertificate = "mine.pem"\n', ("certificate and key belong together",)),
        ('[listen]\ncertificate = "mine.pem"\nkey = "mine.key"\n', ("mine.pem", "not there")),
        ("[mail]\nwindow = 0\n", ("mail.window", "0")),
        ("[registration]\npin_digits = 4\n", ("pin_digits",)),
        ("[session]\nhello_s = 0\n", ("session.hello_s",)),
        ("[store]\nmap_bytes = 1\n", ("map_bytes",)),
    ],
)
def test_other_mistakes_are_named_without_a_process(text: str, says: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        node_settings(read_config(tmp_path / "node.toml"))
    assert all(word in str(caught.value) for word in says), caught.value


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run_waystation(tmp_path, "run", "--config", "nowhere.toml")
    assert done.returncode == 1
    assert "nowhere.toml" in done.stderr
    assert "Traceback" not in done.stderr
