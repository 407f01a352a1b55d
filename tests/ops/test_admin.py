"""`waystation admin` as a process, beside a node that is one: what scripts rely on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ops.admin import Line, Unclear, read_line
from ops.bench.node_process import NodeProcess, NodeStartError, free_ports
from ops.nodes import entries_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    (port,) = free_ports(1)
    config = {"listen": {"port": 0, "plain_port": port}, "node": {"data": "data"}}
    with NodeProcess.start(config, tmp_path_factory.mktemp("admin")) as process:
        yield process


def admin(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.command", "admin", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_node_that_says_ready_answers(node: NodeProcess) -> None:
    done = admin(str(node.directory / "data"), "info", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pid"] == node.pid
    shown = admin(str(node.directory / "data"), "stats", "mail")
    assert "pending_bytes" in shown.stdout


def test_what_is_refused_is_said_and_exits_with_1(node: NodeProcess) -> None:
    for words, said in ((("pnig",), "did you mean 'ping'?"), (("ping", "x"), "one word too many")):
        failed = admin(str(node.directory / "data"), *words)
        assert (failed.returncode, failed.stdout) == (1, "")
        assert said in failed.stderr
        assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("words", [(), ("--json",), ("--all",), ("--all", "--json")])
def test_nobody_who_reads_ends_it_without_a_word(node: NodeProcess, words: Sequence[str]) -> None:
    """As `| head` does."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "-m", "ops.command", "admin", str(node.directory / "data"), "stats", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_node_that_is_not_there_is_said(tmp_path: Path) -> None:
    for target, said in (
        (str(tmp_path), "no folder admin"),
        ("nowhere", "neither a data directory nor an address"),
    ):
        failed = admin(target, "ping")
        assert failed.returncode == 1
        assert said in failed.stderr


def test_a_line_without_a_node_exits_with_2_and_help_with_0() -> None:
    assert admin("--json").returncode == 2
    assert admin("--help").stdout.startswith("Usage: waystation admin NODE COMMAND")


def test_a_list_of_keys_that_is_wrong_stops_the_start(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    folder = tmp_path / "data" / "admin"
    folder.mkdir(parents=True)
    (folder / "authorised").write_text("root me\n")
    config = {"listen": {"port": 0, "plain_port": port}, "node": {"data": "data"}}
    with pytest.raises(NodeStartError, match="line 1, isn't a role, a name and a public key"):
        NodeProcess.start(config, tmp_path)


def test_a_node_can_be_without_a_channel(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = {
        "listen": {"port": 0, "plain_port": port},
        "node": {"data": "data"},
        "admin": {"enabled": False},
    }
    with NodeProcess.start(config, tmp_path):
        assert not (tmp_path / "data" / "admin").exists()


def test_our_options_may_stand_anywhere_and_the_rest_is_the_nodes() -> None:
    assert read_line(
        ["d", "x", "--json", "--for", "2m", "--key=k", "--node-key", "n", "--", "--json"]
    ) == Line("d", ("x", "--for", "2m", "--", "--json"), True, "k", "n")
    assert read_line(["--all", "queues", "--all", "--timeout", "3s"]) == Line(
        "", ("queues", "--all"), all=True, timeout="3s"
    )
    assert read_line(["d", "queues", "--all"]) == Line("d", ("queues", "--all"))
    every = Line("d", ("stats", "mail"), all=True)
    assert read_line(["d", "stats", "mail", "--all"]) == read_line(["d", "--all", "stats", "mail"]) == every
    assert read_line(["d", "--all", "queues", "--all"]) == Line("d", ("queues", "--all"), all=True)
    assert read_line(["d", "pnig", "--all"]) == Line("d", ("pnig", "--all")), "a newer node may know it"
    with pytest.raises(Unclear, match="--timeout goes with --all"):
        read_line(["d", "queues", "--timeout", "3s"])
    with pytest.raises(Unclear, match="--key needs a value"):
        read_line(["d", "--key"])
    with pytest.raises(Unclear, match="name a node"):
        read_line([])


def test_the_keys_may_be_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYSTATION_ADMIN_KEY", "a")
    monkeypatch.setenv("WAYSTATION_ADMIN_NODE_KEY", "b")
    assert read_line(["d", "ping"]) == Line("d", ("ping",), False, "a", "b")
    assert read_line(["d", "ping", "--key", "c"]).key == "c"


def test_without_names_it_is_all_of_a_list_that_was_named_or_else_the_directory_here(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "admin").mkdir(parents=True)
    named = {"WAYSTATION_NODES": str(tmp_path)}

    def names(*given: str, environment: dict[str, str], place: str = "") -> list[str]:
        return [one.name for one in entries_of(given, every=False, place=place, environment=environment)]

    assert names(environment=named) == ["a", "b"]
    assert names(environment={}, place=str(tmp_path)) == ["a", "b"]
    assert names(environment={}) == ["data"]
    assert names("b", "10.0.0.1:7", environment=named) == ["b", "10.0.0.1:7"]


def test_a_command_for_one_node_loads_no_node_and_nothing_that_draws() -> None:
    """A script asks often, and each time pays for all that is imported."""
    code = "import sys, ops.command, ops.admin; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(done.stdout.split())
    assert "admin.channel.client" in loaded
    assert not loaded & {
        "node", "cryptography", "httpx2", "prompt_toolkit", "lmdb", "admin.shell.rendering", "admin.commands.registry",
    }  # fmt: skip
