"""A member's own code replaced under load: routing, membership, links, a replica's core; and taken back again."""

import threading
from pathlib import Path
from typing import Any, Final

import pytest

from admin.channel.client import Client, Target
from node.accounts.provision import provision
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.node_process import free_ports
from ops.bench.reloads import APPLY, ROLLBACK
from ops.bench.revisions import Revisions, with_line
from tests.system.joined import members
from tests.system.persistent import Persistent

SENDER, RECIPIENT = 0, 1
CHANGED: Final = {
    "node/routed.py": ("send",),
    "node/routing/router.py": ("send", "received", "tick", "end_pass"),
    "replication/carrier.py": ("drain",),
    "replication/cluster.py": ("tick", "_send"),
    "replication/core/replica.py": ("tick",),
    "replication/membership/rebalancing.py": ("step",),
    "replication/zeromq/incoming.py": ("_take",),
    "replication/zeromq/outgoing.py": ("_hear", "flush"),
}


@pytest.mark.long
def test_the_code_of_a_member_is_replaced_under_load_and_taken_back(tmp_path: Path) -> None:
    revisions = Revisions(tmp_path / "code")
    ports = free_ports(4)
    (tmp_path / "all/n1").mkdir(parents=True)
    users = [(number_of(user), public_key(user), stream_of(user)) for user in (SENDER, RECIPIENT)]
    provision(tmp_path / "all/n1/data", users)
    configs: list[dict[str, dict[str, Any]]] = [
        {
            "listen": {"port": 0, "plain_port": ports[number]},
            "cluster": {"listen": f"127.0.0.1:{ports[2 + number]}", "calm_ms": 0, "moves_per_s": 1_000.0},
        }
        for number in range(2)
    ]
    over = threading.Event()
    sent: list[int] = []

    def send(sender: Persistent) -> None:
        while not over.wait(0.01):
            sender.send(len(sent) + 1)
            sent.append(len(sent) + 1)

    with members(tmp_path / "all", configs, revisions.environment):
        sender = Persistent(ports[1], SENDER, RECIPIENT)  # whose partition may be the other's
        sending = threading.Thread(target=send, args=(sender,))
        sending.start()
        try:
            for name, functions in CHANGED.items():
                path = revisions.folder / name
                path.write_text(with_line(path.read_text(), functions, "_revision = 1"))
            for node in ("n1", "n2"):
                with Client(Target.find(str(tmp_path / "all" / node))) as admin:
                    done = admin.ask(APPLY)
                    changed = {one["module"] for one in done["modules"]}
                    assert changed == {name.removesuffix(".py").replace("/", ".") for name in CHANGED}
                    assert any(
                        "replication.carrier" in one and "ends the node" in one for one in done["notes"]
                    )
                    so_far = len(sent)
                    while len(sent) < so_far + 20:
                        assert sending.is_alive()
                        over.wait(0.01)
                    assert admin.ask(ROLLBACK)["state"] == "rolled_back"
                    assert admin.ask(("stats", "hub"))["failures"] == 0
        finally:
            over.set()
            sending.join()
            sender.close()
    assert sender.repeated == 0, "no connection was closed"
