"""`waystation doctor` and a real node: looked at while it runs, and after its end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ops.bench.node_process import NodeProcess, free_ports

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.system


def examined(config: Path) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit status, and the findings by what they are about."""
    ended = subprocess.run(
        [sys.executable, "-m", "ops.command", "doctor", "--config", str(config), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    report = json.loads(ended.stdout)
    assert report["status"] == ended.returncode
    by_about: dict[str, list[dict[str, Any]]] = {}
    for finding in report["findings"]:
        by_about.setdefault(finding["about"], []).append(finding)
    return ended.returncode, by_about


def said(found: list[dict[str, Any]]) -> str:
    return "\n".join(one["text"] for one in found)


def test_a_node_is_looked_at_while_it_runs_and_after_its_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    port, plain = free_ports(2)
    config = {"node": {"data": data}, "listen": {"port": port, "plain_port": plain}}
    with NodeProcess.start(config, tmp_path / "node") as node:
        status, running = examined(tmp_path / "node" / "node.toml")
        assert status < 2, running
        assert "it answers in" in said(running["node"])
        assert "it opens" in said(running["store"])
        assert "while the node runs" in said(running["store"])
        assert "this node stands alone" in said(running["peers"])
        assert "it is for localhost" in said(running["certificate"])
        node.kill()
    (data / "admin" / "local.key").chmod(0o644)
    status, stopped = examined(tmp_path / "node" / "node.toml")
    assert status == 2
    assert "records are sound" in said(stopped["store"])
    assert "it doesn't run" in said(stopped["node"])
    assert "ports are free" in said(stopped["configuration"])
    assert "mode 644" in said(stopped["keys"])
