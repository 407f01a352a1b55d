"""A cluster of three real nodes from a terminal that names one of them: all answer; new code goes through all, the
second gets worse, and it is undone on all."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin.channel.client import Client, Target
from admin.channel.errors import Refused
from admin.channel.keyring import Asker, allow
from admin.channel.settings import KEYS_LOOK_S
from admin.commands.table import Role
from node.accounts.provision import provision
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.node_process import free_ports
from ops.bench.revisions import Revisions
from replication.zeromq.keys import read_key_file
from tests.system.joined import id_of, members
from tests.system.persistent import GIVE_UP_S, Persistent

SENDER, RECIPIENT = 0, 1
NAMES = ("n1", "n2", "n3")
ADMIN = (sys.executable, "-m", "ops.command", "admin")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Revisions, dict[str, int]]]:
    """Three members that were started from the same files, below tmp_path/all, the last of which is operated by TCP;
    what each is called, in order, with its port for phones."""
    revisions = Revisions(tmp_path / "code")
    ports = free_ports(7)
    accounts = [(number_of(user), public_key(user), stream_of(user)) for user in (SENDER, RECIPIENT)]
    (tmp_path / "all" / NAMES[0]).mkdir(parents=True)
    provision(tmp_path / "all" / NAMES[0] / "data", accounts)
    configs: list[dict[str, dict[str, Any]]] = [
        {
            "listen": {"port": 0, "plain_port": ports[number]},
            "cluster": {"listen": f"127.0.0.1:{ports[3 + number]}", "calm_ms": 0, "moves_per_s": 1_000.0},
            "limits": {"accepts_per_address_max": 10_000},
        }
        for number in range(3)
    ]
    configs[2]["admin"] = {"listen": f"0.0.0.0:{ports[6]}"}
    with members(tmp_path / "all", configs, revisions.environment):
        called = {id_of(tmp_path / "all", name)[:8]: port for name, port in zip(NAMES, ports, strict=False)}
        yield revisions, dict(sorted(called.items()))


def admin(node: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ADMIN, str(node), *words, "--all", "--json"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=3 * GIVE_UP_S,
        check=False,
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(events: list[dict[str, Any]], *kinds: str) -> list[tuple[str, str]]:
    return [(one["what"], one.get("node", "")) for one in events if one["what"] in kinds]


@pytest.mark.long
def test_who_names_one_member_reaches_all_and_what_gets_worse_at_the_second_is_undone_on_all(
    tmp_path: Path, cluster: tuple[Revisions, dict[str, int]]
) -> None:
    revisions, called = cluster
    first, second, third = called
    reach_all(tmp_path / "all", [*called])
    reach_a_user(tmp_path / "all", called)
    over = threading.Event()

    def send() -> None:
        sender = Persistent(called[second], SENDER, RECIPIENT)
        n = 0
        while not over.wait(0.005):
            n += 1
            sender.send(n)
        sender.close()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        revisions.fault("edge", one_in=5)
        done = admin(tmp_path / "all" / "n1", "reload", "apply", "--bake", "6s")
        events = lines(done)
        assert done.returncode == 3, events
        assert told(events, "applied", "no worse", "worse", "undone") == [
            ("applied", first),
            ("no worse", first),
            ("applied", second),
            ("worse", second),
            ("undone", first),
        ]
        assert "errors: " in events[-1]["cause"]
        for name in NAMES:
            history = [one["state"] for one in asked(tmp_path / "all", name, "reload", "history")]
            is_third = id_of(tmp_path / "all", name).startswith(third)
            assert history == ([] if is_third else ["rolled_back"])
    finally:
        over.set()
        sending.join()


def reach_all(folder: Path, called: list[str]) -> None:
    """By any member; but who hasn't let in whoever asks isn't reached, and says so."""
    refused = admin(folder / "n2", "ping")
    far = id_of(folder, "n3")[:8]
    assert {one["node"] for one in lines(refused) if one["kind"] == "done"} == {*called} - {far}
    assert f"waystation: {far}: " in refused.stderr
    assert "have the key allowed" in refused.stderr
    key = read_key_file(folder / "n1" / "data" / "admin" / "local.key")
    allow(folder / "n3" / "data" / "admin" / "authorised", Asker("n1", Role.DEPLOYER, key.public))
    end = time.monotonic() + GIVE_UP_S
    while asked(folder, "n1", "cluster", "status")["partitions"]["served_by_nobody"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(KEYS_LOOK_S)  # the nodes look at their lists that often
    assert {one["kind"] for one in lines(admin(folder / "n1", "ping"))} == {"done"}


def reach_a_user(folder: Path, called: dict[str, int]) -> None:
    """One node has the session, one has the account: all are asked, and those that leave it to another don't count."""
    number = f"+{number_of(RECIPIENT)}"
    phone = Persistent([*called.values()][1], RECIPIENT, SENDER)
    phone.send(1)  # it is logged in then
    edge = [*called][1]
    said = {}
    for name in NAMES:
        try:
            said[id_of(folder, name)[:8]] = str(asked(folder, name, "sessions", "find", number)["phase"])
        except Refused as refused:
            said[id_of(folder, name)[:8]] = str(refused)
    assert said.pop(edge) == "talking"
    (primary,) = {*called} - {edge} - {
        node for node, text in said.items() if "knows whether another has it: ask there" in text
    } or {edge}
    assert all(f"node {edge}" in text for node, text in said.items() if node == primary), said
    assert all(f"node {primary}" in text for node, text in said.items() if node != primary), said
    for words, node in (("sessions find", edge), ("user block", primary), ("user unblock", primary)):
        done = admin(folder / "n1", *words.split(), number)
        assert (done.returncode, done.stderr) == (0, ""), words
        answers = {one["node"]: one for one in lines(done)}
        assert {name for name, one in answers.items() if one["kind"] == "done"} == {node}
        assert all(one["other_node"] for name, one in answers.items() if name != node)
        if words == "user block":
            phone.close()
    nobody = admin(folder / "n1", "sessions", "find", number)
    assert nobody.returncode == 1
    assert "has no session on this node\n" in nobody.stderr


def asked(folder: Path, name: str, *words: str) -> Any:
    with Client(Target.find(str(folder / name))) as client:
        return client.ask(words)
