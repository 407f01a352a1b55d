"""Two people talk through a node with nothing but the `waystation` command, and pipes for terminals."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from ops.bench.node_process import NodeProcess, free_ports

ROOT = Path(__file__).parents[2]
ALICE, BOB = "+15551230001", "+15551230002"
PIN_SECONDS_MAX = 20
CHAT_SECONDS_MAX = 40


class Terminals:
    """People in front of `waystation chat`, each with a state directory."""

    def __init__(self, folder: Path, node: NodeProcess, server: str) -> None:
        self._folder, self._node, self._server = folder, node, server

    def talk(self, number: str, to: str, said: str, *, register: bool = False) -> str:
        """What the screen showed when this was typed and the input ended."""
        words = ["chat", "--as", number, "--to", to, "--server", self._server, "--state", str(self._folder)]
        process = subprocess.Popen(
            [sys.executable, "-m", "ops.command", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        )
        try:
            typed = f"{self._pin(number)}\n{said}" if register else said
            out, errors = process.communicate(typed, timeout=CHAT_SECONDS_MAX)
        finally:
            process.kill()
            process.wait()
        assert process.returncode == 0, errors
        return out

    def _pin(self, number: str) -> str:
        printed = self._node.directory / "node.out"
        deadline = time.monotonic() + PIN_SECONDS_MAX
        while time.monotonic() < deadline:
            if found := re.search(rf"PIN \{number} (\d+)", printed.read_text()):
                return found[1]
            time.sleep(0.02)
        raise AssertionError(f"no PIN for {number} was printed")


def test_two_terminals_talk(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    with NodeProcess.start({"listen": {"port": port}}, tmp_path / "node") as node:
        terminals = Terminals(tmp_path, node, f"127.0.0.1:{port}")
        shown = terminals.talk(ALICE, BOB, "hello\nhow are you?\n", register=True)
        assert f"> {BOB} 1 hello\n" in shown
        assert f"> {BOB} 2 how are you?\n" in shown
        assert f"✓ {BOB} 2\n" in shown
        assert f"✓✓ {BOB} 1\n" not in shown, "nobody of that number has been here yet"
        shown = terminals.talk(BOB, ALICE, "", register=True)
        assert shown.index(f"< {ALICE} hello\n") < shown.index(f"< {ALICE} how are you?\n")
        shown = terminals.talk(ALICE, BOB, "still there?\n")
        assert f"✓✓ read {BOB} 2\n" in shown
        assert f"✓ {BOB} 3\n" in shown
        shown = terminals.talk(BOB, ALICE, "yes\n")
        assert f"< {ALICE} still there?\n" in shown
        assert f"✓ {ALICE} 1\n" in shown
        shown = terminals.talk(ALICE, BOB, "")
        assert f"< {BOB} yes\n" in shown
        assert f"✓✓ {BOB} 3\n" in shown
        assert node.stop() == 0
    assert "yes" not in node.log_tail()
