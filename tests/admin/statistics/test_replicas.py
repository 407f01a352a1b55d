"""Figures of copies on other nodes: of real members, of one that is behind, and what rings."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from admin.statistics import alarms, sampler
from admin.statistics.alarms import AlarmSettings
from admin.statistics.catalogue import CATALOGUE
from admin.statistics.figures import UNKNOWN
from admin.statistics.replicas import ID_DIGITS, PEERS_MAX, TABLES_MAX, _group, figures
from admin.statistics.series import SamplerState
from node.assembling import summary
from node.tables import USERS
from replication.core import lagging
from replication.core.settings import ReplicaSettings
from replication.core.state import Peer, ReplicaState
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
        table_of = {"t": {"lag_rows": 0, "oldest_ms": 0}}
        assert found["groups"][USERS.name]["peers"] == {
            peer: {
                "alive": 1,
                "lag_rows": 0,
                "lag_ms": 0,
                "oldest_ms": 0,
                "catching_up": 0,
                "tables": table_of,
            }
        }
        assert (found["lag_rows"], found["oldest_ms"]) == (0, 0)
        link = found["links"][peer]
        assert (link["down"], link["lost"], link["queue_messages"]) == (0, 0, 0)
        assert link["up"] >= 2, "the control link, and one for the group"
        assert min(link["sent_bytes"], link["received_bytes"]) > 0
        every = [*paths(found, "replication."), *paths(summary(server), "cluster.")]
        assert [path for path in every if CATALOGUE.of(path) is UNKNOWN and "rebalancing" not in path] == []


def group_of(peers: int, tables: int = 1) -> Any:
    """As much of a group as its figures are of, with the tables t0, t1 …"""
    ids = [(number << 32).to_bytes(8) for number in range(peers + 1)]
    state = ReplicaState(
        ids[0], ids, 4, lambda p: ids, ReplicaSettings(), incarnation=1, sequence=0, position=lambda *_: 0
    )
    listed = [SimpleNamespace(name=f"t{n}", state=SimpleNamespace(listed=True)) for n in range(tables)]
    carrier = SimpleNamespace(state=state, labels=None)
    return SimpleNamespace(carrier=carrier, group=SimpleNamespace(tables=listed))


def wait(peer: Peer, table: str, rows: int, since: int) -> None:
    """The peer has not taken in so many rows of a table."""
    peer.stream.behind_rows += rows
    lagging.left_out(peer.stream, {table: rows}, since)


def test_those_furthest_behind_are_told_and_how_many_are_not() -> None:
    group = group_of(PEERS_MAX + 3)
    state = group.carrier.state
    last = state.peers[((PEERS_MAX + 3) << 32).to_bytes(8)]
    wait(last, "t0", 7, 1_500)
    last.stream.progress_at = 1_000
    last.stream.lagging = True
    state.now = 13_500
    found = _group(group)
    assert (found["peers_left_out"], found["tables_left_out"]) == (3, PEERS_MAX - TABLES_MAX)
    assert len(found["peers"]) == PEERS_MAX
    assert next(iter(found["peers"].values())) == {
        "alive": 0,
        "lag_rows": 7,
        "lag_ms": 12_500,
        "oldest_ms": 12_000,
        "catching_up": 1,
        "tables": {"t0": {"lag_rows": 7, "oldest_ms": 12_000}},
    }
    assert max(peer["lag_ms"] for peer in list(found["peers"].values())[1:]) == 0
    assert (found["lag_rows"], found["oldest_ms"]) == (7, 12_000)


def test_of_many_tables_those_furthest_behind_are_told() -> None:
    group = group_of(2, TABLES_MAX)
    state = group.carrier.state
    one, other = state.peers.values()
    wait(one, "t3", 5, 0)
    wait(other, "t60", 9, 400)
    wait(other, "t61", 1, 200)
    state.now = 1_000
    found = _group(group)
    assert found["tables_left_out"] == TABLES_MAX
    assert found["peers"][one.id.hex()[:ID_DIGITS]]["tables"]["t3"] == {"lag_rows": 5, "oldest_ms": 1_000}
    tables = found["peers"][other.id.hex()[:ID_DIGITS]]["tables"]
    assert (tables["t60"], tables["t61"]["oldest_ms"]) == ({"lag_rows": 9, "oldest_ms": 600}, 800)
    assert sum(len(peer["tables"]) for peer in found["peers"].values()) == TABLES_MAX


def high(state: SamplerState) -> dict[str, str]:
    """What is too high, and how that is said."""
    settings = AlarmSettings(lag_s=10.0)
    return {one.name: one.text for one in alarms.measures(state, settings) if one.height >= 1}


def test_a_copy_that_is_behind_and_partitions_that_nobody_serves_ring() -> None:
    state = SamplerState()
    peers = {"aa": {"lag_ms": 11_000, "oldest_ms": 11_500}, "bb": {"lag_ms": 10}}
    cluster = {"members": 2, "partitions": {"unserved": 3, "at_one_copy": 4}}
    sampler.take(state, 1.0, {"replication": {"groups": {"users": {"peers": peers}}}, "cluster": cluster})
    assert high(state) == {
        "replication users aa": "aa has acknowledged nothing of group users for 11 s",
        "partitions unserved": "3 partitions are served by nobody",
        "partitions at_one_copy": "4 partitions stand at one copy",
    }
    sampler.take(state, 2.0, {"cluster": {**cluster, "members": 1}})
    assert high(state) == {}, "it is alone"


def test_a_copy_that_acknowledges_and_falls_behind_all_the_same_rings_and_names_the_table() -> None:
    state = SamplerState()
    tables = {"message": {"oldest_ms": 14_000}, "pair": {"oldest_ms": 2_000}}
    peers = {"aa": {"lag_ms": 40, "oldest_ms": 14_000, "tables": tables}}
    sampler.take(state, 1.0, {"replication": {"groups": {"users": {"peers": peers}}}})
    said = "aa is 14 s behind in group users, above all in table message"
    assert high(state) == {"replication users aa": said}
