"""`waystation cluster here`: nobody outlives it, and what was changed in a node's file stays.

Nodes are stood in for by processes that only say that they are ready: what real ones do is looked at elsewhere.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.tables import STORE_DIRECTORY
from ops.bench.node_process import free_ports
from ops.clusterhere import CONFIG, HereNode
from ops.config import read_config

NODE = """\
import pathlib, signal, sys, time
place = pathlib.Path(sys.argv[-1]).parent
def end(*_):
    (place / "ended").write_text("")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(0.1)
"""
ENDED_S = 30.0
HERE = """\
import sys
from pathlib import Path
from ops import clusterhere
clusterhere.COMMAND = (sys.executable, sys.argv[1])
clusterhere.run_here(Path(sys.argv[2]), 2)
"""


def begun(place: Path, *ports: int) -> list[HereNode]:
    """Nodes that a former run has made: for phones and links, of each."""
    nodes = [HereNode(place, n, *ports[2 * n - 2 : 2 * n]) for n in range(1, len(ports) // 2 + 1)]
    for node in nodes:
        node.prepare()
        (node.data / STORE_DIRECTORY).mkdir(parents=True)
    return nodes


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_its_nodes_end_with_it(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "stand_in.py").write_text(NODE)
    (tmp_path / "here.py").write_text(HERE)
    nodes = begun(tmp_path / "c", *free_ports(4))
    with subprocess.Popen(
        [sys.executable, tmp_path / "here.py", tmp_path / "stand_in.py", tmp_path / "c"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    ) as here:
        assert here.stdout is not None
        for line in here.stdout:
            if "Ctrl-C" in line:
                break
        here.send_signal(number)
        here.send_signal(signal.SIGTERM)  # another one meanwhile changes nothing
        try:
            assert here.wait(ENDED_S) == 0
        finally:
            here.kill()
    assert all((node.directory / "ended").exists() for node in nodes)


def test_a_nodes_file_is_written_once(tmp_path: Path) -> None:
    (node,) = begun(tmp_path, 7_301, 7_401)
    assert node.config.read_text() == CONFIG.format(number=1, phones=7_301, links=7_401)
    changed = node.config.read_text().replace("7301", "7311").replace("calm_ms = 3_000", "calm_ms = 5_000")
    node.config.write_text(changed)
    again = HereNode(tmp_path, 1, 7_501, 7_601)
    again.prepare()
    assert node.config.read_text() == changed
    assert (again.phones, again.links) == (7_311, 7_401), "the ports that it really has"
    assert read_config(again.config).listen.plain_port == 7_311
