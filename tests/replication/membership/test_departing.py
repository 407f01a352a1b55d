"""Members that leave, and are killed meanwhile: they go when they hold nothing, whoever said so."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import trio

from replication.claim import Claim
from replication.core.settings import ReplicaSettings
from replication.core.state import ReplicaState
from replication.membership.departing import Around, Departing
from replication.membership.member import ACTIVE, LEAVING, REMOVED
from replication.membership.membership import Membership
from tests.replication.members import members_of
from tests.replication.membership.test_membership_running import KEPT, SOON, all_there, fill
from tests.replication.zeromq.cluster import until


async def test_a_leave_that_was_cut_off_goes_on_after_a_start(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        await fill(members, "a")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(members["a"].operate.leave)
            await until(lambda: members["a"].membership.own.departs)
            nursery.cancel_scope.cancel()
        assert members["a"].membership.own.state == LEAVING
        await members.stop("a")
        await members.start("a")
        for cluster in members.up.values():
            cluster.operate.rebalancer.settings = SOON
        await until(members["a"].membership.removed.is_set)
        # Its last word is on the way: a node waits for a while before it ends, for what isn't sent by then is lost.
        await until(lambda: members["b"].membership.roster.members[members.node("a")].state == REMOVED)
        await members.stop("a")
        await all_there(members)


async def test_who_is_only_emptied_stays_a_member_and_who_is_told_to_stay_too(tmp_path: Path) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        await fill(members, "a")
        for cluster in members.up.values():
            cluster.operate.rebalancer.settings = SOON
        a = members["a"]
        await a.operate.empty()
        await until(lambda: a.operate.held() == 0)
        await trio.sleep(1.5)  # longer than who leaves for good would wait
        assert a.membership.own.state == LEAVING
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.operate.leave)  # now for good
            await until(lambda: a.membership.own.departs)
            nursery.cancel_scope.cancel()
        await a.operate.stay()
        assert (a.membership.own.state, a.membership.own.departs) == (ACTIVE, False)
        assert not a.membership.removed.is_set()
        await all_there(members)


@attrs.define
class Alone:
    """A cluster of which only the groups are looked at."""

    me: bytes
    groups: dict[str, Any]


def test_what_its_primary_has_not_asked_for_is_held() -> None:
    """Written here alone, on one side of a split: it would go with this node."""
    state = ReplicaState(
        b"a",
        (b"a", b"b"),
        4,
        lambda _: (b"b", b"a"),
        ReplicaSettings(),
        incarnation=1,
        sequence=0,
        position=max,
    )
    groups = {"users": SimpleNamespace(carrier=SimpleNamespace(state=state))}
    departing = Departing(cast(Around, Alone(b"a", groups)), cast(Membership, None))
    assert departing.held() == 0
    state.peers[b"b"].offers[2] = 7
    assert departing.held() == 1
    state.parts[3].claim = Claim(1, b"b", b"a")
    assert departing.held() == 2
