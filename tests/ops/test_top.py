"""`waystation top` on real nodes: in a real terminal (tmux), in the shell, and without either."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.bench.node_process import NodeProcess, free_ports
from tests.ops.terminal import GIVE_UP_S, ROOT, Terminal

COMMAND = (sys.executable, "-m", "ops.command")


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_top_sorts_pauses_chooses_loses_a_node_and_finds_it_again(tmp_path: Path) -> None:
    configs: list[dict[str, dict[str, Any]]] = [
        {"listen": {"port": 0, "plain_port": port}, "node": {"data": str(tmp_path / f"all/n{number}")}}
        for number, port in enumerate(free_ports(2))
    ]
    (tmp_path / "all").mkdir()
    nodes = [NodeProcess.start(config, tmp_path / f"work{number}") for number, config in enumerate(configs)]
    terminal = Terminal(tmp_path, (*COMMAND, "shell", "--all", "--nodes", str(tmp_path / "all")))
    try:
        terminal.until(lambda screen: "all 2>" in screen)
        terminal.type("top", "Enter")
        screen = terminal.until(lambda screen: "all 2 " in screen and "…" not in screen.split("q quit")[0])
        lines = screen.splitlines()
        assert [line.split()[0] for line in lines[1:5]] == ["node", "n0", "n1", "all"]
        assert len(lines) == 24
        assert lines[-1].startswith("q quit")
        terminal.type("s")
        terminal.until(lambda screen: "by sess" in screen)
        nodes[1].kill()
        terminal.until(lambda screen: "1 lost" in screen and "lost, last heard" in screen)
        nodes[1] = NodeProcess.start(configs[1], tmp_path / "work1")
        terminal.until(lambda screen: "lost" not in screen)
        terminal.type("p")
        paused = terminal.until(lambda screen: "PAUSED" in screen)
        assert "lost" not in paused
        terminal.type("p", "Down", "Enter")
        terminal.until(lambda screen: "accepted p99 ms" in screen and "2 nodes" in screen)
        terminal.type("q")
        terminal.until(lambda screen: screen.rstrip().endswith("all 2>") and "accepted p99" not in screen)
    finally:
        terminal.kill()
    once = subprocess.run(
        [*COMMAND, "top", "--all", "--nodes", str(tmp_path / "all"), "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=True,
    )
    assert [json.loads(line)["data"]["sessions"] for line in once.stdout.splitlines()] == [0, 0]
    for node in nodes:
        node.kill()
