"""A cluster under load: a node is killed; then each is brought to another release, one at a time, and one back.

A release that is too far from the others' is turned away. The other release is made from this one: it says more, and
says what is new.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from verdicts import must_hold

from ops.bench.node_process import COMMAND, NodeProcess, NodeStartError
from ops.faults.release import AGREED, NEW, make_release, version
from ops.faults.siege import Fault, Kind, Siege
from ops.faults.town import READY_SECONDS_MAX, TownNode
from replication.clustersettings import SPEAKS


def codes(status: dict[str, Any]) -> dict[str, set[str]]:
    """What a node didn't understand, by channel."""
    found: dict[str, set[str]] = {}
    for one in status["not_understood"]:
        found.setdefault(one["channel"], set()).add(one["code"])
    return found


def turned_away(node: TownNode, release: Path) -> str:
    """Start one that is down with a release that nobody works together with; what it says when it ends."""
    log = node.folder / "node.log"
    before = log.stat().st_size
    try:
        with NodeProcess.start(
            node.config,
            node.folder,
            command=[*node.prefix, *COMMAND],
            environment={"PYTHONPATH": str(release)},
            ready_seconds_max=READY_SECONDS_MAX,
        ) as process:
            until = time.monotonic() + READY_SECONDS_MAX
            while process.exit_code is None and time.monotonic() < until:
                time.sleep(0.05)
            assert process.exit_code == 1, process.log_tail()
    except NodeStartError:
        pass  # it has ended before it was ready
    return log.read_bytes()[before:].decode(errors="replace")


def test_a_node_is_killed_and_all_are_upgraded_one_at_a_time_under_load_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    with Siege(tmp_path / "run", seed=8, users_each=1, tell=print) as siege:
        siege.begin(rate=15)
        town = siege.town
        killed, old = town.nodes[1:]
        time.sleep(1.0)
        town.kill(killed)
        killed.release = siege.next_release()  # which it has when it comes back
        time.sleep(2.5)
        thought = [town.status(node)["detector"] for node in (town.nodes[0], old)]
        assert [(one["ended"], one["wrong_deaths"]) for one in thought] == [(1, 0), (1, 0)], "not by silence"
        town.start(killed)
        assert {one["alive"] for one in town.wait_whole(60.0)["members"]} == {"this", "alive"}
        siege.suffer([Fault(Kind.RELEASE, 0)], pause=0.5)
        found = town.status(old)
        releases = {one["node"]: one["release"] for one in found["members"]}
        assert [releases[node.id.hex()] == version(1) for node in town.nodes] == [True, True, False]
        assert found["spoken"] == SPEAKS[1]
        heard = codes(found)
        assert {"control", "users", "route.messages", "route.sessions", "route.receipts"} <= heard.keys()
        assert all(one == {str(NEW)} for one in heard.values()), "and nothing that not all understand"
        town.stop(old)
        said = turned_away(old, make_release(tmp_path / "far", ahead=3))
        assert "have none in common" in said
        for name in (version(1), version(3)):
            assert name in said
        old.release = siege.next_release()
        town.start(old)
        town.wait_whole(60.0)
        found = town.status(old)
        assert {one["release"] for one in found["members"]} == {version(1)}
        assert found["spoken"] == SPEAKS[1] + 1
        siege.suffer([Fault(Kind.RELEASE, 1)], pause=1.0)
        found = town.status(town.nodes[1])
        assert found["spoken"] == SPEAKS[1]
        agreed = {code for one in codes(town.status(old)).values() for code in one}
        assert str(AGREED) in agreed, "while all could, they said it"
        must_hold(siege.conclude(), messages=60)
        # It has stopped one node after another: the first had others to hand over to, the last one had nobody.
        logs = [(node.folder / "node.log").read_text() for node in town.nodes]
        assert not any("peer_malformed" in log or "reset by the peer" in log for log in logs)
        assert re.search(r"event=handed_over partitions=[1-9]", logs[0])
        assert re.search(r"event=handed_over partitions=0 ", logs[-1])
        assert "event=peer_stopped" in logs[-1]
