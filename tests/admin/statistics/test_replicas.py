"""Figures of copies on other nodes: of real members, of one that is behind, and what rings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from admin.statistics import alarms, sampler
from admin.statistics.alarms import AlarmSettings
from admin.statistics.figures import UNKNOWN
from admin.statistics.replicas import ID_DIGITS, PEERS_MAX, _group, figures
from admin.statistics.sampler import CATALOGUE
from admin.statistics.series import SamplerState
from node.assembling import summary
from node.tables import USERS
from replication.core.settings import ReplicaSettings
from replication.core.state import ReplicaState
from tests.replication.members import members_of, placed, table
from tests.replication.zeromq.cluster import until


def paths(found: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, value in found.items():
        if isinstance(value, Mapping):
            yield from paths(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


async def test_members_that_keep_up_are_not_behind_and_every_figure_is_known(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", placed(USERS.name, table("t"))) as members:
        server = members[members.server(USERS.name) or ""]
        other = members[members.other(USERS.name)]
        await server.group(USERS.name).transact(lambda transaction: transaction.put("t", ("k",), 1))
        peer = other.me.hex()[:ID_DIGITS]
        await until(lambda: figures(server)["groups"][USERS.name]["peers"][peer]["lag_rows"] == 0)
        found = figures(server)
        assert found["groups"][USERS.name]["peers"] == {
            peer: {"alive": 1, "lag_rows": 0, "lag_ms": 0, "catching_up": 0}
        }
        link = found["links"][peer]
        assert (link["down"], link["lost"], link["queue_messages"]) == (0, 0, 0)
        assert link["up"] >= 2, "the control link, and one for the group"
        assert min(link["sent_bytes"], link["received_bytes"]) > 0
        every = [*paths(found, "replication."), *paths(summary(server), "cluster.")]
        assert [path for path in every if CATALOGUE.of(path) is UNKNOWN and "rebalancing" not in path] == []


def state_of(peers: int) -> ReplicaState:
    ids = [(number << 32).to_bytes(8) for number in range(peers + 1)]
    return ReplicaState(
        ids[0], ids, 4, lambda p: ids, ReplicaSettings(), incarnation=1, sequence=0, position=lambda *_: 0
    )


def test_those_furthest_behind_are_told_and_how_many_are_not() -> None:
    state = state_of(PEERS_MAX + 3)
    last = state.peers[((PEERS_MAX + 3) << 32).to_bytes(8)]
    last.stream.inflight_rows, last.stream.behind_rows, last.stream.progress_at = 3, 4, 1_000
    last.stream.lagging = True
    state.now = 13_500
    found = _group(state)
    assert found["peers_left_out"] == 3
    assert len(found["peers"]) == PEERS_MAX
    assert next(iter(found["peers"].values())) == {
        "alive": 0,
        "lag_rows": 7,
        "lag_ms": 12_500,
        "catching_up": 1,
    }
    assert max(peer["lag_ms"] for peer in list(found["peers"].values())[1:]) == 0


def test_a_copy_that_is_behind_and_partitions_that_nobody_serves_ring() -> None:
    state = SamplerState()
    peers = {"aa": {"lag_ms": 11_000}, "bb": {"lag_ms": 10}}
    cluster = {"members": 2, "partitions": {"unserved": 3, "at_one_copy": 0}}
    sampler.take(state, 1.0, {"replication": {"groups": {"users": {"peers": peers}}}, "cluster": cluster})
    high = {one.name: one for one in alarms.measures(state, AlarmSettings(lag_s=10.0)) if one.height >= 1}
    assert set(high) == {"replication users aa", "partitions unserved"}
    assert high["replication users aa"].text == "aa has acknowledged nothing of group users for 11 s"
    sampler.take(state, 2.0, {"cluster": {**cluster, "members": 1}})
    assert not [one for one in alarms.measures(state, AlarmSettings()) if one.height >= 1], "it is alone"
