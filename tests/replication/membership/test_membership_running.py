"""Members that come and go while a cluster runs: over real links, with real stores, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import zmq

from replication.clustersettings import SPEAKS
from replication.core import members as core
from replication.core.errors import NoMove
from replication.detectorstate import DEAD
from replication.membership.errors import JoinRefused, KeyTaken, MemberRemoved, NotNow
from replication.membership.member import ACTIVE, REMOVED
from replication.membership.settings import MembershipSettings
from replication.placed import Placed
from replication.zeromq.binding import Binder
from replication.zeromq.keys import make_keys
from replication.zeromq.link import NOT_ADMITTED, Entrance
from store.schema import Group
from store.writes import PUT
from tests.replication.members import REPLICA, Members, members_of, table
from tests.replication.zeromq.cluster import free_port, until

KEPT = Placed(group=Group("kept", (table("kept", partitioned=True),)), partitions=16)
SOON = MembershipSettings(exchange_ms=200, moves_per_s=100, moves_max=8, calm_ms=300)


async def fill(members: Members, name: str) -> None:
    """A record in each partition."""
    group = members[name].group("kept")
    number = group.table("kept").id
    for p in range(KEPT.partitions):
        await group.commit([(PUT, number, (p, "key"), p)])


async def all_there(members: Members) -> None:
    """Every partition is served, and its record is where it is served."""
    await members.ready("kept", "schema")
    group = next(iter(members.up.values())).group("kept")
    for p in range(KEPT.partitions):
        assert await group.read("kept", (p, "key")) == p


def served(members: Members, name: str) -> int:
    return sum(members[name].group("kept").serves(p) for p in range(KEPT.partitions))


def agree(members: Members) -> bool:
    return len({cluster.membership.roster.digest for cluster in members.up.values()}) == 1


async def test_a_node_joins_and_gets_its_share_then_another_leaves_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        for cluster in members.up.values():
            cluster.operate.rebalancer.settings = SOON
        await fill(members, "a")
        await members.join("c", "b")
        await until(lambda: agree(members))
        assert members["a"].nodes == members["c"].nodes
        assert members["c"].membership.own.state == ACTIVE
        await until(lambda: served(members, "c") > 0)
        wanted = {p: members["a"].group("kept").carrier.state.ranked(p) for p in range(KEPT.partitions)}
        await until(
            lambda: all(members["a"].group("kept").primary(p) == wanted[p][0] for p in range(KEPT.partitions))
        )
        await all_there(members)
        await members["a"].operate.leave()
        await until(lambda: members["a"].membership.removed.is_set())
        await members.stop("a")
        await until(lambda: len(members["b"].nodes) == 2)
        await all_there(members)
        assert members["b"].membership.roster.members[members.node("a")].state == REMOVED
        assert members["b"].membership.statistics()["malformed"] == 0


async def test_a_node_that_is_emptied_serves_nothing_also_after_a_start_until_it_is_told_to_stay(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        for cluster in members.up.values():
            cluster.operate.rebalancer.settings = SOON
        await fill(members, "a")
        weight = members["a"].membership.own.weight
        await members["a"].operate.empty()
        await until(lambda: members["a"].operate.served() == 0)
        await until(lambda: served(members, "b") == KEPT.partitions)
        with pytest.raises(NotNow, match="no other active member"):
            await members["b"].operate.empty()
        await members.stop("a")
        await members.start("a")
        members["a"].operate.rebalancer.settings = SOON
        await all_there(members)
        await until(lambda: agree(members))
        assert members["a"].operate.is_emptying()
        assert served(members, "a") == 0
        await members["a"].operate.stay()
        await until(lambda: served(members, "a") > 0)
        assert members["a"].membership.own.weight == weight
        await all_there(members)


async def test_who_leaves_and_is_told_to_stay_is_not_removed(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        refused: list[NotNow] = []

        async def leave() -> None:
            try:
                await members["a"].operate.leave()
            except NotNow as error:
                refused.append(error)

        await fill(members, "a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(leave)
            await until(members["a"].operate.is_emptying)
            await members["a"].operate.stay()
        assert "told to stay" in str(refused[0])
        assert members["a"].membership.own.state == ACTIVE


async def test_what_may_be_lost_with_a_node_that_is_removed_is_told_by_partition(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc", KEPT) as members:
        await fill(members, "a")
        b = members.node("b")
        with pytest.raises(NotNow):
            await members["a"].operate.remove(b)
        await members.stop("b")
        await until(lambda: not members["a"].is_alive(b))
        assert (await members["a"].operate.remove(b)).lost == ()
        await all_there(members)
        with pytest.raises(MemberRemoved):
            await members["c"].operate.change(b, weight=5)
        # Of two, one goes for good before the other has everything: what stood there alone is told.
        await members.stop("c")
        await until(lambda: members["a"].detector.state_of(members.node("c")) == DEAD)
        lost = await members["a"].operate.losses(members.node("c"))
        assert lost.silent == (), "b was removed, and is asked no more"
        taken = {one.partition for one in lost.lost}
        assert all(members["a"].group("kept").primary(one) == members.node("c") for one in taken)
        await members["a"].operate.remove(members.node("c"))
        await until(lambda: served(members, "a") == KEPT.partitions)


async def test_a_node_that_was_removed_while_it_was_away_is_told_by_nobody_and_knows(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc", KEPT) as members:
        c = members.node("c")
        await members.stop("c")
        await until(lambda: not members["a"].is_alive(c))
        await members["a"].operate.remove(c)
        await until(lambda: agree(members))
        await members.stop("b")  # also if one of them can't be asked: what a single one says of it is final
        await members.start("c")
        await until(members["c"].membership.removed.is_set)
        assert c not in members["a"].nodes


async def test_a_node_whom_those_that_are_there_have_not_heard_of_waits_and_serves_nothing(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        await fill(members, "a")
        kept = members.groups("kept")
        await until(lambda: all(group.is_live(p) for group in kept for p in range(KEPT.partitions)))
        await members.stop("b")
        await members.join("c", "a")
        await until(lambda: members["c"].is_alive(members.node("a")))
        await members.stop("ac")
        await members.start("bc")
        c = members["c"]
        await until(lambda: c.links.refused() == NOT_ADMITTED)
        await trio.sleep(2 * REPLICA.start_wait_ms / 1000)
        assert not c.membership.removed.is_set()
        assert all(group.carrier.state.starting for group in c.groups.values())
        await members.start("a")
        await until(lambda: len(members.up) == 3 and agree(members))
        await all_there(members)
        assert c.links.refused() == ""


async def test_who_is_not_invited_does_not_join_and_a_key_joins_once(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        with pytest.raises(KeyTaken):
            await members["a"].operate.invite(members.neighbours["b"].key, server="x")
        with pytest.raises(ValueError, match="Z85"):
            await members["a"].operate.invite("short", server="x")
        key = make_keys().public
        node = await members["a"].operate.invite(key, server="x")
        assert await members["a"].operate.invite(key, server="x") == node, "what it said may be lost"
        with pytest.raises(KeyTaken):
            await members["a"].operate.invite(key, server="y")
        await until(lambda: agree(members))
        assert node not in members["b"].nodes
        assert (await members["a"].operate.remove(node)).lost == ()
        await until(lambda: members["b"].membership.roster.members[node].state == REMOVED)


async def test_why_another_node_made_no_move_is_said_with_its_remedy_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members.node("b")
        group = a.group("kept")
        await until(lambda: any(group.primary(p) == b for p in range(KEPT.partitions)))
        p = next(p for p in range(KEPT.partitions) if group.primary(p) == b)

        async def told(*_: object) -> str:
            return str(NoMove("it isn't there"))

        monkeypatch.setattr(a.operate, "_ask", told)
        with pytest.raises(NoMove) as raised:
            await a.operate.move("kept", p, a.me)
        assert str(raised.value) == str(NoMove("it isn't there"))


async def test_labels_and_weights_are_changed_on_any_node_and_are_there_after_a_start(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        b = members.node("b")
        await members["a"].operate.change(b, weight=0, rack="r2")
        await until(lambda: members["b"].membership.own.rack == "r2")
        assert members["b"].group("kept").carrier.state.ranked(0) == (members.node("a"),)
        await members.stop("b")
        await members.start("b")
        assert (members["b"].membership.own.rack, members["b"].membership.own.weight) == ("r2", 0)
        with pytest.raises(ValueError, match="weight"):
            await members["a"].operate.change(b, key="another")


async def test_heirs_go_to_other_racks_as_soon_as_somebody_says_which_these_are(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc", KEPT) as members:
        state = members["a"].group("kept").carrier.state
        before = [state.ranked(p) for p in range(KEPT.partitions)]
        a, b, c = map(members.node, "abc")
        for node in (a, b):
            await members["c"].operate.change(node, rack="r1")
        await until(
            lambda: [members["a"].membership.roster.members[node].rack for node in (a, b)] == ["r1"] * 2
        )
        after = [state.ranked(p) for p in range(KEPT.partitions)]
        assert all(c in order[:2] for order in after)
        assert [order[0] for order in after] == [order[0] for order in before]


async def test_a_key_is_rotated_while_everybody_runs(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        before = members["a"].membership.own.key
        await until(lambda: members["a"].is_alive(members.node("b")))
        key = await members["a"].operate.rotate_key()
        assert key != before
        await until(lambda: members["b"].membership.roster.members[members.node("a")].keys == (key,))
        await fill(members, "b")
        await members.stop("a")
        members.changes = {"node": members.node("a")}
        await members.start("a")  # with the key that is on its disk now
        await all_there(members)
        await members.stop("b")
        with pytest.raises(NotNow):
            await until(lambda: not members["a"].is_alive(members.node("b")))
            await members["a"].operate.rotate_key()


async def test_who_binds_its_entrances_anew_for_another_key_is_not_dead_however_long_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebind, shut = Binder.rebind, trio.Event()

    async def slowly(binder: Binder, entrance: Entrance) -> None:
        raw = entrance.socket.raw
        endpoint = bytes(raw.getsockopt(zmq.LAST_ENDPOINT)).decode("ascii").rstrip("\0")
        raw.unbind(endpoint)
        await shut.wait()
        raw.bind(endpoint)
        await rebind(binder, entrance)

    monkeypatch.setattr(Binder, "rebind", slowly)
    async with members_of(tmp_path, "ab", KEPT) as members:
        a, b = members["a"], members["b"]
        await until(lambda: a.is_alive(b.me) and b.is_alive(a.me))
        state = b.detector.state
        state.settings = attrs.evolve(
            state.settings, ended_ms=1
        )  # beats go on, but are due less often in earnest
        was_refused = b._refused
        seen: list[bool] = []
        monkeypatch.setattr(
            b.links._knocker, "_refused", lambda peer: seen.append(was_refused(peer)) or seen[-1]
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.operate.rotate_key)
            await until(lambda: len(seen) > 3)
            assert not any(seen)
            assert b.detector.statistics()["refusals"] == 0
            told: list[Any] = []
            monkeypatch.setattr(b, "_judged", told.append)
            b._knocked(a.me, a.me, 1, True)
            assert not told, "nor does it tell others so"
            monkeypatch.undo()
            shut.set()
        await until(lambda: b.membership.roster.members[a.me].next_key == "")
        await until(lambda: b.is_alive(a.me))
        assert b.detector.statistics()["ended"] == 0


async def test_a_partition_is_moved_from_any_node(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc", KEPT) as members:
        await fill(members, "a")
        primary = members.server("kept", 3)
        target = next(one for one in "abc" if one != primary)
        asked = next(one for one in "abc" if one not in (primary, target))
        await members[asked].operate.move("kept", 3, members.node(target))
        await until(lambda: members.server("kept", 3) == target)
        status = members[asked].operate.status()
        assert {one["alive"] for one in status["members"]} == {"this", "alive"}
        assert sum(one["primary"] for one in status["members"]) == KEPT.partitions
        assert status["spoken"] == SPEAKS[1]


async def test_links_follow_a_changed_address_and_come_back_from_a_wrong_one(tmp_path: Path) -> None:
    async with members_of(tmp_path, "abc", KEPT) as members:
        await fill(members, "a")
        a, b, c = (members[name] for name in "abc")

        def reached(cluster: Any, address: str) -> bool:
            """b, there."""
            link = cluster.links._links[None, b.me]
            return str(link.aim) == address and cluster.links.is_connected(b.me, "kept")

        own = b.membership.own.address
        host, _, port = own.rpartition(":")
        first, second, third, fourth = host.split(".")
        other = f"{first}.{second}.{256 * int(third) + int(fourth)}:{port}"  # the same by another name
        await c.operate.change(b.me, address=other, public="phones.example:7443")
        await until(lambda: reached(a, other) and reached(c, other))
        await until(lambda: b.membership.own.public == "phones.example:7443")
        await all_there(members)
        await c.operate.change(b.me, address=f"{host}:{free_port()}")
        await until(lambda: not (a.links.is_connected(b.me, None) or c.links.is_connected(b.me, None)))
        await until(lambda: b.links.is_connected(a.me, None))
        await a.operate.change(b.me, address=own)
        await until(lambda: reached(a, own) and reached(c, own) and agree(members))
        await until(lambda: a.is_alive(b.me) and c.is_alive(b.me))
        await all_there(members)
        await members.stop("a")
        await members.start("a")
        assert members["a"].membership.roster.members[b.me].address == own


async def test_adjacent_versions_work_together_and_speak_what_both_understand(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT, start="") as members:
        members.changes = {"speaks": (1, 1)}
        await members.start("a")
        members.changes = {}
        await members.start("b")
        await members.ready("kept")
        await until(lambda: agree(members) and members["b"].membership.spoken == 1)
        state = members["b"].group("kept").carrier.state
        assert not state.relaying
        assert not state.pledges
        await fill(members, "a")
        await members.stop("a")
        await members.start("a")  # it was upgraded
        await until(lambda: members["b"].membership.spoken == SPEAKS[1])
        assert state.relaying
        assert state.pledges
        await all_there(members)


async def test_a_release_that_is_too_old_or_too_new_is_refused_at_the_door(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        asked: list[Any] = [9, 9, "host:1", ""]
        node = await members["a"].operate.invite(make_keys().public, server="x")
        told = members["a"].operate.joins(node, asked)
        assert isinstance(told, str)
        assert f"speaks versions 1 to {SPEAKS[1]}" in told
        assert isinstance(members["a"].operate.joins(node, [1]), str)
        with pytest.raises(JoinRefused):
            raise JoinRefused(told)
        assert isinstance(members["a"].operate.joins(node, [*SPEAKS, "host:1", ""]), list)
        await trio.lowlevel.checkpoint()


def test_the_time_for_somebody_to_turn_up_is_longer_than_a_detector_needs() -> None:
    assert core.FORSAKEN_MS > core.STRANGER_MS
