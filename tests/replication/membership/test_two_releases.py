"""Members of two releases, over real links: what the newer one says more is passed over, and two releases that have no
version in common don't come together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio

from replication.cluster import Cluster
from replication.clustersettings import SPEAKS
from replication.control import WHOSE
from replication.detectorstate import ALIVE, DEAD, UNREACHABLE
from replication.membership import reaching
from replication.membership.errors import NotNow
from replication.membership.far import CALL, CLAIMED, REST, RESTED
from replication.placed import Placed
from replication.zeromq import words
from replication.zeromq.errors import VersionsApart
from store.schema import Group
from store.writes import PUT
from tests.replication.members import Members, members_of, table
from tests.replication.zeromq.cluster import until

KEPT = Placed(group=Group("kept", (table("kept", partitioned=True),)), partitions=8)
LATER = 200
KIND = 12
NEXT = (SPEAKS[1] + 1, SPEAKS[1] + 2)


def make_newer(cluster: Cluster, said: set[int]) -> None:
    """From now on it appends something to each message, and says something new before."""
    send = cluster.links.send

    def more(peer: bytes, channel: str | None, message: Sequence[Any] | bytes) -> bool:
        assert not isinstance(message, bytes)
        if channel is None:
            said.add(message[0])
        send(peer, channel, (LATER, "new"))
        return send(peer, channel, (*message, ["more", None]))

    cluster.links.send = more  # type: ignore[method-assign, assignment]


async def write(cluster: Cluster, value: int) -> None:
    """A record in each partition, wherever it is served."""
    group = cluster.group("kept")
    for p in range(KEPT.partitions):
        await group.commit([(PUT, group.table("kept").id, (p, "key"), value)])


async def test_what_a_newer_release_says_more_is_counted_by_name_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say = words.say
    monkeypatch.setattr(words, "say", lambda kind, *rest: say(kind, *rest, "more"))
    async with members_of(tmp_path, "abc", KEPT) as members:
        said: set[int] = set()
        a, b, c = (members[name] for name in "abc")
        for cluster in (a, b, c):
            make_newer(cluster, said)
        link = b.links._links[None, a.me]
        assert link.socket is not None
        assert link.socket.send_nowait(words.say(KIND, "new"))
        await write(b, 1)
        for p in range(KEPT.partitions):
            target = next(one for one in (a, b, c) if one.me != b.group("kept").primary(p))
            await b.operate.move("kept", p, target.me)
        assert (await c.operate.losses(a.me)).lost == ()
        members.split("b", "c")
        await a.operate.change(b.me, weight=50)
        await until(lambda: b.detector.state_of(c.me) == c.detector.state_of(b.me) == UNREACHABLE)
        monkeypatch.setattr(reaching, "JUDGE_S", 0.2)
        with pytest.raises(NotNow, match="isn't known to be dead, but unreachable"):
            await c.operate.remove(b.me)
        await c.operate.change(b.me, rack="r")
        members.heal()
        await until(lambda: len({one.membership.roster.digest for one in (a, b, c)}) == 1)
        await until(lambda: b.detector.state_of(c.me) == ALIVE)
        await write(c, 2)
        await members.stop("c")
        await until(lambda: a.detector.has_ended(c.me) and b.detector.has_ended(c.me))
        await b.handing.hand_over(5.0)
        await b.handing.say_gone()
        await until(lambda: all(a.group("kept").primary(p) != b.me for p in range(KEPT.partitions)))
        assert said >= WHOSE.keys() - {CLAIMED, REST, RESTED, CALL}
        understood(a)
        await members.stop("b")


def understood(cluster: Cluster) -> None:
    """Nothing made no sense, and what is new is named."""
    status, statistics = cluster.operate.status(), cluster.statistics()
    assert cluster.membership.statistics()["malformed"] == 0
    assert statistics["detector"]["misunderstood"] == 0
    assert all(link["malformed"] == 0 for link in statistics["links"]["links"])
    assert cluster.group("kept").carrier.state.counts.malformed == 0
    found = statistics["not_understood"]
    assert found.keys() == {"links", "control", "kept", "schema"}
    assert found["links"] == {str(KIND): 1}
    assert all(found[name].keys() == {str(LATER)} for name in ("control", "kept", "schema"))
    assert status["not_understood"] == found


async def start_apart(members: Members, name: str) -> str:
    """Start it, with its `changes`, until it ends of itself; what it says then."""
    with trio.fail_after(30), pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            await nursery.start(members._live, name)
    found: BaseException = caught.value
    while isinstance(found, BaseExceptionGroup):
        (found,) = found.exceptions
    assert isinstance(found, VersionsApart)
    return str(found)


async def test_a_release_that_is_two_apart_ends_and_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    members: Members
    async with members_of(tmp_path, "ab", KEPT) as members:
        await write(members["a"], 1)
        await members["a"].operate.change(members.node("a"), rack="r")  # its row is on the other's disk
        await until(lambda: members["b"].membership.roster.members[members.node("a")].rack == "r")
        await members.stop("b")
        await until(lambda: members["a"].detector.state_of(members.node("b")) == DEAD)
        members.changes = {"speaks": NEXT, "release": "9.0"}
        why = await start_apart(members, "b")
        for word in ("9.0", f"versions {NEXT[0]} to {NEXT[1]}", f"versions {SPEAKS[0]} to {SPEAKS[1]}"):
            assert word in why
        assert members.node("a").hex() in why
        assert members.node("b").hex() in why
        assert all(members["a"].group("kept").serves(p) for p in range(KEPT.partitions))
        members.changes = {"speaks": (SPEAKS[1], NEXT[0]), "release": "8.0"}
        await members.start("b")
        await members.ready("kept")
        a, b = members["a"], members["b"]
        await until(lambda: a.membership.roster.members[b.me].speaks == (SPEAKS[1], NEXT[0]))
        assert a.membership.spoken == b.membership.spoken == SPEAKS[1]
        releases = {one["node"]: one["release"] for one in a.operate.status()["members"]}
        assert releases == {a.me.hex(): "", b.me.hex(): "8.0"}
        await write(b, 2)


async def test_who_can_not_know_which_of_two_is_wrong_serves_nothing_and_waits(tmp_path: Path) -> None:
    members: Members
    async with members_of(tmp_path, "ab", KEPT) as members:
        await write(members["a"], 1)
        await members.stop("ab")
        members.changes = {"speaks": NEXT, "release": "9.0"}
        await members.start("a")  # it was brought on twice, while nobody saw it
        await until(lambda: members["a"].group("kept").serves(0))
        members.changes = {}
        await members.start("b")
        b = members["b"]
        await until(lambda: bool(b.links.apart()))
        wait_s = b.group("kept").carrier.state.settings.start_wait_ms / 1000
        await trio.sleep(2 * wait_s)
        assert b.group("kept").carrier.state.starting
        assert not any(b.group("kept").serves(p) for p in range(KEPT.partitions))
        (down,) = [one for one in b.operate.status()["links"] if one["channel"] is None]
        assert "release 9.0 speaks versions" in down["ended"]
        members.changes = {"speaks": (SPEAKS[1], NEXT[0])}
        await members.stop("a")
        await members.start("a")  # … and one back
        await members.ready("kept")
        await write(b, 2)
