"""One of two nodes of different clusters parts, and the other doesn't; and a member is removed, by whom it may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication.detectorstate import DEAD
from replication.membership import reaching
from replication.membership.errors import NotNow
from replication.membership.member import REMOVED
from tests.replication.members import Members, members_of
from tests.replication.membership.test_far import FAR, KEPT
from tests.replication.zeromq.cluster import until


def hears(members: Members, one: str, other: str) -> bool:
    """Whether one node's replica has a peer in the other that can be asked for something."""
    state = members[one].group("kept").carrier.state
    peer = state.peers.get(members.node(other))
    return peer is not None and state.reachable(peer)


async def test_who_parted_alone_is_told_again_what_the_other_knows(tmp_path: Path) -> None:
    async with members_of(tmp_path, "a", KEPT) as members:
        members.changes = {"membership": FAR}
        await members.join("c", "a", cluster="south")
        await until(lambda: hears(members, "a", "c") and hears(members, "c", "a"))
        a, far = members.node("a"), members["c"].membership.far
        far.part(a)  # as of one that is thought dead
        assert not hears(members, "c", "a")
        far._quiet.clear()
        far.use(a)
        await until(lambda: hears(members, "a", "c") and hears(members, "c", "a"))


async def test_a_member_is_removed_by_its_own_cluster_and_by_another_if_none_of_that_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "REACH_S", 2.0)
    async with members_of(tmp_path, "a", KEPT) as members:
        members.changes = {"membership": FAR}
        await members.join("c", "a", cluster="south")
        await members.join("d", "c", cluster="south")
        a, c, d = (members[name] for name in "acd")
        await until(lambda: len({one.membership.roster.digest for one in (a, c, d)}) == 1)
        await a.operate.assign(range(4), "south")
        await until(lambda: all(is_whole(members, p) for p in range(4)))
        rested = [one for one in (c, d) if one.me not in a.membership.far.engaged]
        for one in (*rested, c, d):
            with pytest.raises(NotNow, match=r"alive|ask node .* of that one"):
                await a.operate.remove(one.me)
            told = await a.operate.losses(one.me)
            assert (told.lost, told.silent) == ((), ()), "the other one has everything"
        await members.stop("d")
        await until(lambda: c.detector.state_of(d.me) == DEAD)
        with pytest.raises(NotNow, match=r"alive|ask node .* of that one"):
            await a.operate.remove(d.me)
        await c.operate.remove(d.me)
        await until(lambda: a.membership.roster.members[d.me].state == REMOVED)
        await until(lambda: all(a.group("kept").primary(p) == c.me for p in range(4)))
        await members.stop("c")
        await until(lambda: a.detector.state_of(c.me) == DEAD)
        told = await a.operate.remove(c.me)
        assert told.silent == (), "nobody is left there: a cluster that is lost as a whole can be removed"
        assert a.membership.roster.members[c.me].state == REMOVED


def is_whole(members: Members, p: int) -> bool:
    """Whether a partition is south's, both copies."""
    groups = [members[name].group("kept") for name in "cd"]
    claims = {members[name].group("kept").carrier.state.parts[p].claim for name in "acd"}
    return len(claims) == 1 and all(group.is_live(p) or group.serves(p) for group in groups)
