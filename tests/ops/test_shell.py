"""`waystation shell` beside nodes that are processes: from a pipe, and in a real terminal (tmux)."""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.bench.node_process import NodeProcess, free_ports
from tests.ops.terminal import GIVE_UP_S, ROOT, Terminal

COMMAND = (sys.executable, "-m", "ops.command")
SHELL = (*COMMAND, "shell")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[NodeProcess]]:
    folder = tmp_path_factory.mktemp("shell")
    started = []
    first, second, scrapes = free_ports(3)
    for number, port in enumerate((first, second)):
        config: dict[str, dict[str, Any]] = {
            "listen": {"port": 0, "plain_port": port},
            "node": {"data": "data"},
            "statistics": {} if number else {"prometheus_port": scrapes},
        }
        started.append(NodeProcess.start(config, folder / f"n{number}"))
    yield started
    for node in started:
        node.kill()


def piped(text: str, *nodes: NodeProcess) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SHELL, *(str(node.directory / "data") for node in nodes)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input=text,
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
    )


def test_lines_from_a_pipe_are_done_one_after_the_other(nodes: list[NodeProcess]) -> None:
    done = piped("info\n\njson stats hub.connections\nexit\ninfo\n", nodes[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(str(nodes[0].pid)) == 1, "nothing is done after exit"
    assert done.stdout.splitlines()[-1] == "0"


def test_results_are_shown_as_a_one_shot_command_shows_them(nodes: list[NodeProcess], tmp_path: Path) -> None:
    done = piped(f"info --json\nstats hub --output {tmp_path / 'hub.json'}\ninfo --output /\n", nodes[0])
    assert json.loads(done.stdout[: done.stdout.index("}\n") + 2])["pid"] == nodes[0].pid
    assert "connections" in json.loads((tmp_path / "hub.json").read_text())
    assert f"{tmp_path}/hub.json" in done.stdout
    assert "Is a directory" in done.stdout, "said, and no traceback"
    both = piped(f"ping --json\nping --output {tmp_path / 'x'}\n", *nodes)
    assert [json.loads(line)["kind"] for line in both.stdout.splitlines()[:2]] == ["done", "done"]
    assert "choose it with use" in both.stdout
    assert not (tmp_path / "x").exists()


def test_a_line_that_fails_is_said_and_the_next_is_done(nodes: list[NodeProcess]) -> None:
    done = piped("pnig\nuser 'block\nping\n", nodes[0])
    assert done.returncode == 1
    assert "did you mean 'ping'?" in done.stdout
    assert "close the quote" in done.stdout
    assert "deployer" in done.stdout


def test_a_command_is_for_all_nodes_until_one_is_chosen(nodes: list[NodeProcess]) -> None:
    data = str(nodes[1].directory / "data")
    done = piped(f"info\nuse {data}\ninfo\nuse nobody\n", *nodes)
    assert done.stdout.count(f"{nodes[0].pid}") == 1
    assert done.stdout.count(f"{nodes[1].pid}") == 2
    assert "there is no node 'nobody'" in done.stdout


def test_all_nodes_of_a_place_are_asked_at_once_and_one_that_is_gone_is_said(
    nodes: list[NodeProcess], tmp_path: Path
) -> None:
    for number, node in enumerate(nodes):
        (tmp_path / f"n{number}").symlink_to(node.directory / "data")
    (tmp_path / "gone" / "admin").mkdir(parents=True)

    def admin(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *words],
            env={**os.environ, "PYTHONPATH": str(ROOT), "WAYSTATION_NODES": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=GIVE_UP_S,
            check=False,
        )

    done = admin("admin", "--all", "info", "--json", "--timeout", "10s")
    found = {one["node"]: one for one in map(json.loads, done.stdout.splitlines())}
    assert [found[f"n{number}"]["data"]["pid"] for number in (0, 1)] == [node.pid for node in nodes]
    assert found["gone"]["kind"] == "error"
    assert done.returncode == 1
    assert "waystation: gone: " in done.stderr
    assert "2 of 3 nodes have done it" in done.stderr
    (tmp_path / "gone" / "admin").rmdir()
    assert admin("admin", "--all", "help", "queues").stdout.splitlines()[0] == "n0 n1:"
    _, heading, _, *rows = admin("admin", "--all", "history", "--last", "5s").stdout.splitlines()
    assert heading.split()[:2] == ["node", "at"]
    assert {row.split()[0] for row in rows if row} == {"n0", "n1"}
    seconds = admin("wsar", "--all", "--json").stdout.splitlines()
    assert {json.loads(second)["node"] for second in seconds} == {"n0", "n1"}
    far = nodes[0].directory / "data" / "admin"
    (tmp_path / "list.toml").write_text(
        f'[nodes.far]\nat = "ipc://{far}/socket"\nkey = "{far}/local.key"\n'
        f'node_key = "{(far / "node.pub").read_text().strip()}"\n[nodes.here]\nat = "n1"\n'
    )
    both = admin("wsar", "1", "2", "--all", "--nodes", str(tmp_path / "list.toml"), "--json")
    live = [json.loads(line) for line in both.stdout.splitlines()]
    assert sorted(one["node"] for one in live) == ["far", "far", "here", "here"], both.stderr
    assert all(one["figures"]["system.memory.resident_bytes"] > 0 for one in live)
    config = tomllib.loads((nodes[0].directory / "node.toml").read_text())
    (targets,) = json.loads(admin("prometheus").stdout)
    assert targets["targets"] == [f"127.0.0.1:{config['statistics']['prometheus_port']}"]
    assert targets["labels"]["node"] == "n0"
    assert admin("admin", "n1", "info", "--json").stdout.count(str(nodes[1].pid)) == 1
    in_shell = subprocess.run(
        [*SHELL, "--all", "--nodes", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        input="json info\nuse n1\ninfo\n",
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
    )
    assert (in_shell.returncode, in_shell.stdout.count(str(nodes[1].pid))) == (0, 2)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_in_a_terminal_it_completes_remembers_watches_and_fits(
    nodes: list[NodeProcess], tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, (*SHELL, str(nodes[0].directory / "data")), width=100, height=40)
    try:
        terminal.until(lambda screen: "data>" in screen)
        terminal.type("connections li", "Tab")
        terminal.until(lambda screen: "connections list" in screen)
        terminal.type("Enter")
        terminal.until(lambda screen: "connections list" in screen and "nothing" in screen)
        terminal.type("watch 1s stats hub.passes", "Enter")
        terminal.until(lambda screen: "every 1 s: stats hub.passes" in screen)
        terminal.type("C-c")
        terminal.until(lambda screen: screen.rstrip().endswith(">"))
        terminal.type("watch 200ms --json ping", "Enter")
        terminal.until(lambda screen: screen.count('"role": "deployer"') > 1)
        terminal.type("C-c")
        terminal.until(lambda screen: screen.rstrip().endswith(">"))
        terminal.type("help", "Enter")
        screen = terminal.until(lambda screen: "leave; so does Ctrl-D" in screen)
        assert all(len(line) <= 100 for line in screen.splitlines())
        terminal.type("Up", "Up", "Up", "Up", "Enter")
        terminal.until(lambda screen: "connections list" in screen and "nothing" in screen)
        terminal.type("C-d")
        ends = time.monotonic() + GIVE_UP_S
        while not terminal.has_ended():
            assert time.monotonic() < ends
            time.sleep(0.05)
    finally:
        terminal.kill()


def test_a_node_that_was_started_again_is_found_again(nodes: list[NodeProcess], tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config: dict[str, dict[str, Any]] = {
        "listen": {"port": 0, "plain_port": port},
        "node": {"data": "data"},
    }
    node = NodeProcess.start(config, tmp_path)
    shell = subprocess.Popen(
        [*SHELL, str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    try:
        shell.stdin.write("json info\n")
        shell.stdin.flush()
        while f'"pid": {node.pid}' not in (line := shell.stdout.readline()):
            assert line
        assert node.stop() == 0
        node = NodeProcess.start(config, tmp_path)
        out, _ = shell.communicate("json info\n", timeout=GIVE_UP_S)
        assert f'"pid": {node.pid}' in out
        assert shell.returncode == 0
    finally:
        shell.kill()
        shell.wait()
        node.kill()
