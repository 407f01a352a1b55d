"""A cluster of the real ejabberd, if it is installed; what ratios mean, and what is said if it isn't there."""

from pathlib import Path

import pytest

from ops.bench import cluster, cluster_load, cluster_peer, deaths, ejabberd, idle, process
from ops.bench.cluster_peer import Wanted
from ops.bench.deaths import Doomed
from ops.bench.ejabberd import Seat
from ops.bench.ejabberd_cluster import ejabberds
from tests.ops.bench.installed import with_ejabberd


@with_ejabberd
@pytest.mark.long
@pytest.mark.system
def test_users_of_different_members_write_to_one_another_and_nothing_is_left(directory: Path) -> None:
    with ejabberds(directory, 2, 4) as peers:
        pids = [node.pid for node in peers.nodes]
        assert len(peers.members.ports) == 2
        online = cluster_load.load(peers.members, 4, 3, 0.3)
        stored = cluster_load.load(peers.members, 4, 3, 0.3, offline=True)
        peers.nodes[1].kill()
        assert peers.members.ports == (peers.nodes[0].port,)
    assert online.messages > 20
    assert online.to_deliver_ms["p50"] is not None
    assert stored.messages > 20
    assert not any(process.runs(pid) for pid in pids)


@with_ejabberd
@pytest.mark.long
@pytest.mark.system
def test_phones_of_a_member_that_is_killed_come_back_to_the_others(directory: Path) -> None:
    with ejabberds(directory, 2, 8) as peers:
        other, last = peers.nodes
        found = deaths.measure(Doomed(peers.dialect, last.port, [other.port], last.kill), "killed", 4)
    assert found["pairs"] == 4
    assert found["messages"] > 40
    assert found["next_deliver_s"]["last"] > 0
    assert found["not_accepted"] <= found["not_delivered"] + found["not_delivered_and_returned"]


@with_ejabberd
@pytest.mark.long
@pytest.mark.system
def test_idle_sessions_of_a_peer_cost_memory(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "WARM_PER_NODE", 20)
    wanted = Wanted(("idle", "rebalance"), 2, 4, 5, 1.0, 200, 2, "managed")
    found = cluster_peer.measure(directory, wanted)
    assert found["about"]["nodes"] == 2
    assert found["idle"]["idle_sessions"] == 200
    assert set(found) == {"about", "idle"}


def test_a_members_name_has_its_own_address_and_there_is_no_port_mapper() -> None:
    options = Seat("e2@127.83.0.2", 4_370, "secret").options()
    assert options[:4] == ["-start_epmd", "false", "-erl_epmd_port", "4370"]
    assert "{127,83,0,2}" in options
    assert "secret" not in " ".join(options)
    assert "secret" not in repr(Seat("e2@127.83.0.2", 4_370, "secret"))


def test_ratios_above_one_are_in_our_favour() -> None:
    ours = {
        "members": [
            {"nodes": 1, "cpu_us": 1.0, "messages_per_s": 9.0},
            {"nodes": 3, "cpu_us": 40.0, "messages_per_s": 300.0},
        ],
        "stored_at_two_copies": {"cpu_us": 100.0, "messages_per_s": 50.0},
        "bytes_per_session": 500.0,
        "ends": {"killed": {"next_deliver_s": {"p99": 2.0}}, "stalled": {"next_deliver_s": {"p99": 2.0}}},
    }
    theirs = {
        "online": {"cpu_us": 120.0, "messages_per_s": 100.0},
        "stored": {"cpu_us": 50.0, "messages_per_s": 100.0},
        "idle": {"bytes_per_session": 5_000.0},
        "ends": {"killed": {"next_deliver_s": {"p99": 1.0}}, "stalled": {"next_deliver_s": {"p99": 70.0}}},
    }
    assert cluster_peer.ratios(ours, theirs, 3) == {
        "cpu_ratio_ejabberd_over_waystation": 3.0,
        "messages_ratio_waystation_over_ejabberd": 3.0,
        "stored_cpu_ratio_ejabberd_over_waystation": 0.5,
        "stored_messages_ratio_waystation_over_ejabberd": 0.5,
        "killed_next_deliver_ratio_ejabberd_over_waystation": 0.5,
        "stalled_next_deliver_ratio_ejabberd_over_waystation": 35.0,
        "memory_ratio_ejabberd_over_waystation": 10.0,
    }
    assert cluster_peer.ratios(ours, {}, 3) == {}


def test_without_the_peer_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ejabberd, "_LIBRARIES", ())
    with pytest.raises(SystemExit) as ended:
        cluster.app(["--against", "ejabberd"])
    assert ended.value.code == 1
    assert "apt-get install" in capsys.readouterr().err
