"""Members' processes are replaced one after the other under load: no plain connection is dropped, nothing is lost."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from verdicts import must_hold

from admin.channel.errors import Refused
from node.accounts.provision import provision
from node.wire import verbs
from ops.bench.identities import device_key, number_of, public_key, stream_of
from ops.bench.upgrades import UPGRADE, Connecting, asked
from ops.faults.raw import RawPhone
from ops.faults.siege import Siege
from ops.faults.town import TownNode

IDLE = range(500, 506)
"""Two phones at each node."""
FAILING = f"""#!/bin/sh
exec {sys.executable} -c "
import sys
from node import member
def fail(*_):
    raise RuntimeError('planted')
member._serve = fail
from ops.command import main
sys.exit(main())" "$@"
"""
"""A waystation that joins the cluster and then fails, when the old process's store and links are closed."""


def logged_in(node: TownNode, index: int) -> RawPhone:
    phone = RawPhone("127.0.0.1", node.port, tls=False, seconds_max=60.0)
    phone.login(number_of(index), device_key(index))
    return phone


def says(sender: RawPhone, recipient: RawPhone, index: int, to: int, n: int) -> None:
    """Between two who were there all the time."""
    sender.send(verbs.SEND, number_of(to), stream_of(index), n, n, b"body")
    frame: Any = recipient.expect(verbs.DELIVER)
    assert frame[1:4] == (number_of(index), stream_of(index), n)
    recipient.send(verbs.ACK, frame[1], frame[2], n, n)
    assert sender.expect(verbs.ACCEPTED)[3:5] == (n, n)


def hub_of(node: TownNode) -> dict[str, Any]:
    hub: dict[str, Any] = asked(node.data, "stats", "hub")
    return hub


def test_members_are_replaced_under_load_and_phones_notice_only_a_pause(tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    failing.write_text(FAILING)
    failing.chmod(0o755)
    quiet = {"session": {"ping_after_s": 300}}  # phones without the library answer none
    with (
        Siege(tmp_path / "run", seed=41, users_each=1, settings=quiet, tell=print) as siege,
        ExitStack() as stack,
    ):
        town = siege.town
        town.prepare()
        for node in town.nodes:
            provision(node.data, [(number_of(i), public_key(i), stream_of(i)) for i in IDLE])
        siege.go_on(rate=6)
        for node in town.nodes:  # what is handed over stays there: this isn't about how it comes home
            asked(node.data, "knob", "set", "cluster.rebalance", "false")
        homes = {index: town.nodes[place % len(town.nodes)] for place, index in enumerate(IDLE)}
        phones = {index: stack.enter_context(logged_in(homes[index], index)) for index in IDLE}
        first, second, _ = town.nodes
        with Connecting(first.port) as port:
            before = asked(first.data, "info")["pid"]
            done = siege.upgrade(first)
            assert done["pid"] != before
            assert done["partitions"] > 0
        assert port.refused == 0
        hub = hub_of(first)
        assert done["connections"] >= 3
        assert sum(hub["closed"].values()) <= port.connected, "those who only connect come and go"

        # one that fails at the worst moment
        before = asked(second.data, "info")["pid"]
        with pytest.raises(Refused, match="RuntimeError: planted"):
            asked(second.data, *UPGRADE, str(failing))
        assert asked(second.data, "info")["pid"] == before
        for index, to in zip(IDLE, (*IDLE[1:], IDLE[0]), strict=True):
            says(phones[index], phones[to], index, to, 1)

        done = siege.upgrade(second)
        hub = hub_of(second)
        assert (hub["accepted"], hub["closed"]) == (done["connections"], {}), "nobody had to come again"
        for index, to in zip(IDLE, (IDLE[-1], *IDLE[:-1]), strict=True):
            says(phones[index], phones[to], index, to, 1)

        # and one that dies when it has taken over: it is as any death
        town.kill(second)
        town.start(second)
        must_hold(siege.conclude(), messages=60)
