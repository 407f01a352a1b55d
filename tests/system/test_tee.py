"""A live node and a shadow as processes, put together as an operator does it, and looked into while they run."""

import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from admin.channel.client import Client, Target
from node.accounts.provision import provision
from node.wire import verbs
from ops.admin import admin
from ops.bench.node_process import NodeProcess, NodeStartError, free_ports
from replication.zeromq.keys import read_key_file
from tests.node.blocking import Wire
from tests.node.live import Device

pytestmark = pytest.mark.system

ALICE, BOB = Device.of(1), Device.of(2)
SECRET = b"what is said stays where it was said"
GIVE_UP_S = 30.0


def ask(data: Path, *words: str) -> Any:
    with Client(Target.find(str(data))) as client:
        return client.ask(words, seconds_max=GIVE_UP_S)


def until(data: Path, *words: str, holds: Any) -> Any:
    end = time.monotonic() + GIVE_UP_S
    while not holds(found := ask(data, *words)):
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def test_a_share_of_one_is_said_again_to_a_shadow_that_a_real_node_never_becomes(tmp_path: Path) -> None:
    live, shadow = tmp_path / "live", tmp_path / "shadow"
    plain, listen = free_ports(2)
    provision(live, [(one.user, one.key, one.stream) for one in (ALICE, BOB)])
    of_live = {"node": {"data": live}, "listen": {"port": 0, "plain_port": plain}}
    with NodeProcess.start(of_live, tmp_path / "l") as node, Wire(plain) as alice, Wire(plain) as bob:
        key = ask(live, "tee", "status")["key"]
        of_shadow = {
            "node": {"data": shadow},
            "shadow": {"enabled": True, "listen": f"127.0.0.1:{listen}", "allow": [key]},
        }
        with NodeProcess.start(of_shadow, tmp_path / "s") as other:
            public = read_key_file(shadow / "shadow.key").public
            alice.hello().login(ALICE)
            bob.hello().login(BOB)
            ask(live, "tee", "start", f"127.0.0.1:{listen}", public, "--share", "1")
            until(shadow, "tee", "status", holds=lambda found: found["stage"]["guests"] == 2)
            for n in range(1, 21):
                alice.send(ALICE.send(BOB, n, SECRET, base=1))
                bob.next(verbs.DELIVER)
            bob.send(BOB.ack(ALICE, 1, 20))
            alice.next(verbs.ACCEPTED)

            def told(rows: Any) -> bool:
                by = {row["figure"]: row for row in rows}
                return bool(by.get("in.ack", {}).get("shadow"))

            rows = {row["figure"]: row for row in until(live, "tee", "stats", holds=told)}
            assert (rows["in.send"]["live"], rows["in.send"]["shadow"]) == (20, 20)
            assert rows["out.deliver"]["live"] == rows["out.deliver"]["shadow"] == 20
            assert not any(name.startswith("errors.") for name in rows)
            assert ask(shadow, "sessions", "list")[0]["address"] == "tee"
            picture = tmp_path / "profile.svg"
            admin(str(live), "profile", "--seconds", "300ms", "--resting", "--output", str(picture))
            assert len(list(ElementTree.parse(picture).getroot())) > 3
            assert ask(live, "tee", "stop")["dropped"] == 0
            assert other.stop() == 0
        assert node.stop() == 0
    for path in (path for path in shadow.rglob("*") if path.is_file()):
        assert SECRET not in path.read_bytes(), path
    assert SECRET.decode() not in (tmp_path / "s" / "node.log").read_text()
    with pytest.raises(NodeStartError, match="holds no real mail"):
        NodeProcess.start({**of_live, "node": {"data": shadow}}, tmp_path / "s")
