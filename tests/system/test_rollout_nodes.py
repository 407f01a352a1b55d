"""New code through three real nodes from a terminal: the second gets worse, and it is undone on all."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from admin.channel.client import Client, Target
from node.accounts.provision import provision
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.node_process import NodeProcess, free_ports
from ops.bench.revisions import Revisions
from tests.system.persistent import GIVE_UP_S, Persistent

SENDER, RECIPIENT = 0, 1
NAMES = ("n1", "n2", "n3")
ADMIN = (sys.executable, "-m", "ops.command", "admin", "--all")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Revisions, int]]:
    """Three nodes that were started from the same files, below tmp_path/all; the port of the second."""
    revisions = Revisions(tmp_path / "code")
    ports = free_ports(3)
    with ExitStack() as stack:
        for name, port in zip(NAMES, ports, strict=True):
            data = tmp_path / "all" / name
            provision(
                data, [(number_of(user), public_key(user), stream_of(user)) for user in (SENDER, RECIPIENT)]
            )
            config: dict[str, dict[str, Any]] = {
                "node": {"data": data},
                "listen": {"port": 0, "plain_port": port},
                "limits": {"accepts_per_address_max": 10_000},
            }
            stack.enter_context(
                NodeProcess.start(config, tmp_path / "work" / name, environment=revisions.environment)
            )
        yield revisions, ports[1]


def rolled_out(folder: Path, *words: str) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [*ADMIN, "--nodes", str(folder), "--json", "reload", "apply", *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def told(events: list[dict[str, Any]], *kinds: str) -> list[tuple[str, str]]:
    return [(one["what"], one.get("node", "")) for one in events if one["what"] in kinds]


def test_what_gets_worse_at_the_second_node_is_undone_on_all(
    tmp_path: Path, cluster: tuple[Revisions, int]
) -> None:
    revisions, port = cluster
    over = threading.Event()

    def send() -> None:
        sender = Persistent(port, SENDER, RECIPIENT)
        n = 0
        while not over.wait(0.005):
            n += 1
            sender.send(n)
        sender.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        revisions.fault("session", one_in=5)
        status, events = rolled_out(tmp_path / "all", "--bake", "6s")
        assert status == 3, events
        assert told(events, "applied", "no worse", "worse", "undone") == [
            ("applied", "n1"),
            ("no worse", "n1"),
            ("applied", "n2"),
            ("worse", "n2"),
            ("undone", "n1"),
        ]
        assert "errors: " in events[-1]["cause"]
        assert histories(tmp_path) == [["rolled_back"], ["rolled_back"], []]
    finally:
        over.set()
        sending.join()


def histories(folder: Path) -> list[list[str]]:
    found = []
    for name in NAMES:
        with Client(Target.find(str(folder / "all" / name))) as client:
            found.append([one["state"] for one in client.ask(("reload", "history"))])
    return found
