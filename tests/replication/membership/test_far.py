"""Two clusters that know one another: what one has the other hears of over few links; partitions move between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication.core.errors import NoMove
from replication.detectorstate import STATE
from replication.errors import NotOnePartition
from replication.membership.errors import NoSuchMember
from replication.membership.member import ACTIVE
from replication.membership.settings import MembershipSettings
from replication.placed import Placed
from store.schema import Group
from store.writes import PUT
from tests.replication.members import Members, members_of, table
from tests.replication.zeromq.cluster import until

KEPT = Placed(group=Group("kept", (table("kept", partitioned=True),)), partitions=8, owned=True)
FAR = MembershipSettings(exchange_ms=200, moves_per_s=100, moves_max=8, calm_ms=300, far_idle_ms=700)


async def two_clusters(members: Members) -> None:
    """a and b, to which everything belongs, and c and d of another cluster."""
    group = members["a"].group("kept")
    number = group.table("kept").id
    for p in range(KEPT.partitions):
        await group.commit([(PUT, number, (p, "key"), p)])
    members.changes = {"membership": FAR}
    await members.join("c", "b", cluster="south")
    await members.join("d", "c", cluster="south")
    await until(lambda: len({cluster.membership.roster.digest for cluster in members.up.values()}) == 1)
    await until(lambda: len({known(members, name) for name in "abcd"}) == 1)


async def test_a_second_cluster_begins_at_a_first_node_that_is_alone_and_gets_partitions(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "a", KEPT) as members:
        group = members["a"].group("kept")
        for p in range(KEPT.partitions):
            await group.commit([(PUT, group.table("kept").id, (p, "key"), p)])
        members.changes = {"membership": FAR}
        await members.join("c", "a", cluster="south")
        await until(lambda: states(members, "a") == states(members, "c") == {"a": ACTIVE, "c": ACTIVE})
        await members.join("d", "a", cluster="south")  # invited at the other cluster again
        await members.join("e", "d", cluster="south")  # and at its own
        await until(lambda: all(set(states(members, one).values()) == {ACTIVE} for one in "acde"))
        assert all(len(states(members, one)) == 4 for one in "acde")
        await members["a"].operate.assign(range(4), "south")
        c = members["c"]
        await until(lambda: all(c.group("kept").primary(p) != members.node("a") for p in range(4)))
        await until(lambda: len({known(members, name) for name in "acde"}) == 1)
        for p in range(KEPT.partitions):
            assert await members["e"].group("kept").read("kept", (p, "key")) == p


def states(members: Members, name: str) -> dict[str, int]:
    """What a node knows of all."""
    rows = members[name].membership.roster.members.values()
    return {members.name(row.node): row.state for row in rows}


def known(members: Members, name: str) -> tuple[object, ...]:
    """The claims that a node knows."""
    return tuple(part.claim for part in members[name].group("kept").carrier.state.parts)


def primaries(members: Members, name: str) -> set[str]:
    group = members[name].group("kept")
    return {members.name(group.primary(p)) for p in range(KEPT.partitions)}


async def test_clusters_know_one_another_over_few_links_and_partitions_move_between_them(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        await two_clusters(members)
        a, c, d = members["a"], members["c"], members["d"]
        assert set(a.nodes) == {members.node("a"), members.node("b")}
        assert set(c.nodes) == {members.node("c"), members.node("d")}
        assert primaries(members, "d") <= {"a", "b"}
        assert a.operate.status()["clusters"] == {
            "": {"members": 2, "partitions": 8, "unsealed": 0},
            "south": {"members": 2, "partitions": 0, "unsealed": 0},
        }
        for node, begins_anew in ((members.node("c"), False), (members.node("b"), True)):
            a.membership.changed_at = 0
            a._judged([(STATE, node, a.detector.state_of(node), None)])
            assert bool(a.membership.changed_at) is begins_anew, "calm is that of the own cluster"
        a.membership.changed_at = 0
        a.membership.tell([a.membership.roster.edited(members.node("d"), a.me, weight=50)])
        assert a.membership.changed_at == 0
        # Asked for from the other cluster: one hop, over a link that is opened for it.
        assert await d.group("kept").read("kept", (3, "key")) == 3
        await d.group("kept").commit([(PUT, d.group("kept").table("kept").id, (3, "other"), "from d")])
        with pytest.raises(NoSuchMember):
            await a.operate.assign([0], "east")
        with pytest.raises(NotOnePartition):
            await a.operate.assign([8], "south")
        await members["b"].operate.assign(range(4), "south")
        await until(lambda: {members.name(c.group("kept").primary(p)) for p in range(4)} <= {"c", "d"})
        await until(lambda: all(half(members, p) == {"c", "d"} for p in range(4)))
        await until(lambda: len({known(members, name) for name in "abcd"}) == 1)
        assert await a.group("kept").read("kept", (3, "other")) == "from d"
        assert {members.name(a.group("kept").primary(p)) for p in range(4, 8)} <= {"a", "b"}
        # What moved is held by the other cluster alone: it goes on without the first one.
        await members.stop("ab")
        for p in range(4):
            assert await c.group("kept").read("kept", (p, "key")) == p
        await c.group("kept").commit([(PUT, c.group("kept").table("kept").id, (0, "later"), 1)])


def half(members: Members, p: int) -> set[str]:
    """Who is primary and heir of a partition."""
    claim = members["c"].group("kept").carrier.state.parts[p].claim
    assert claim is not None
    return {members.name(claim.primary), members.name(claim.heir) if claim.heir else ""}


async def test_a_node_of_another_cluster_is_a_peer_as_long_as_there_is_something_to_say(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        for cluster in members.up.values():
            cluster.membership.far._idle_ms = FAR.far_idle_ms
        await two_clusters(members)
        await members.join("e", "d", cluster="south")  # one that may be no gateway
        await until(
            lambda: all(len(cluster.membership.roster.members) == 5 for cluster in members.up.values())
        )
        south = sorted("cde", key=members.node)
        inside = south[-1]  # the highest id
        far = members[inside].membership.far
        await until(lambda: not far.is_gateway() and not far.engaged)
        assert await members[inside].group("kept").read("kept", (5, "key")) == 5
        assert far.engaged
        await until(lambda: not far.engaged)
        ours, theirs = members.node(inside), [members[name] for name in "ab"]
        await until(lambda: not any(ours in one.membership.far.engaged for one in theirs))
        for one in theirs:  # where a late word isn't taken for a call, however long
            one.membership.far._quiet[ours] = one.now() + 600_000
        assert await members[inside].group("kept").read("kept", (5, "key")) == 5
        # An operator's move: who serves the partition is called.
        await until(lambda: not far.engaged)
        group = members[inside].group("kept")
        target = next(members.node(one) for one in "ab" if members.node(one) != group.primary(5))
        await members[inside].operate.move("kept", 5, target)
        await until(lambda: members["a"].group("kept").primary(5) == target)
        with pytest.raises(
            NoMove, match="cluster '' owns partition 5, and the node is one of 'south': assign it"
        ):
            await members["a"].operate.move("kept", 5, members.node(inside))
