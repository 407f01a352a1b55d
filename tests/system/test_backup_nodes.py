"""Backups of two real nodes at one time, one of them under load, and what is made of them again."""

import json
import os
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from node.accounts.provision import provision
from node.wire import verbs
from ops.bench.identities import device_key, number_of, public_key, stream_of
from ops.bench.node_process import NodeProcess, free_ports
from ops.faults.raw import RawPhone
from tests.system.persistent import GIVE_UP_S, Persistent

SENDER, RECIPIENT = 0, 1
COMMAND = (sys.executable, "-m", "ops.command")


def waystation(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=GIVE_UP_S,
        check=False,
    )


def config_of(data: Path, port: int) -> dict[str, dict[str, Any]]:
    return {"node": {"data": data}, "listen": {"port": 0, "plain_port": port}}


def test_what_was_accepted_before_a_backup_began_is_in_it(tmp_path: Path) -> None:
    ports = free_ports(3)
    folder, names = tmp_path / "all", ("n1", "n2")
    over, before_it = threading.Event(), threading.Event()
    accepted = [0]

    def send() -> None:
        sender = Persistent(ports[0], SENDER, RECIPIENT)
        while not over.is_set():
            sender.send(accepted[0] + 1)
            accepted[0] += 1
            if accepted[0] == 100:
                before_it.set()
        sender.close()

    with ExitStack() as stack:
        for name, port in zip(names, ports, strict=False):
            data = folder / name
            provision(
                data, [(number_of(user), public_key(user), stream_of(user)) for user in (SENDER, RECIPIENT)]
            )
            stack.enter_context(NodeProcess.start(config_of(data, port), tmp_path / "work" / name))
        sending = threading.Thread(target=send)
        sending.start()
        try:
            assert before_it.wait(GIVE_UP_S)
            kept = accepted[0]
            done = waystation(
                "admin", "--all", "--nodes", folder, "--json", "backup", tmp_path / "backups", "--rate", "100"
            )
            after = accepted[0]
        finally:
            over.set()
            sending.join()
        said = [json.loads(line) for line in done.stdout.splitlines()]
        made = {one["node"]: one["data"] for one in said if one["kind"] == "done"}
        assert done.returncode == 0, done.stderr
        assert sorted(made) == ["n1", "n2"]
        assert any(one["kind"] == "item" and one["data"]["step"] for one in said)
        assert after > kept, "it was under load"
        assert made["n1"]["records"] > kept
        stats = json.loads(waystation("admin", folder / "n1", "stats", "backup", "--json").stdout)
        assert (stats["made"], stats["last_records"]) == (1, made["n1"]["records"])
    source, target = Path(made["n1"]["path"]), tmp_path / "again"
    restored = waystation("restore", source, "--data", target, "--json")
    assert json.loads(restored.stdout)["records"] == made["n1"]["records"], restored.stderr
    with (
        NodeProcess.start(config_of(target, ports[2]), tmp_path / "work" / "again"),
        RawPhone("127.0.0.1", ports[2], tls=False) as recipient,
    ):
        recipient.login(number_of(RECIPIENT), device_key(RECIPIENT))
        found: set[int] = set()
        while len(found) < kept:
            _, peer, stream, n, *_ = recipient.expect(verbs.DELIVER)
            found.add(n)
            recipient.send(verbs.ACK, peer, stream, n, n)
        assert found >= set(range(1, kept + 1))
    piece = source / "store" / "users" / "data.mdb"
    damaged = bytearray(piece.read_bytes())
    damaged[-1] ^= 1
    piece.write_bytes(damaged)
    refused = waystation("restore", source, "--data", tmp_path / "never")
    assert (refused.returncode, (tmp_path / "never").exists()) == (1, False)
    assert "isn't what was written when the backup was made" in refused.stderr
    shutil.rmtree(tmp_path / "backups")
