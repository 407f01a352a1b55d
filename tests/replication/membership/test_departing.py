"""Members that leave, and are killed meanwhile: they go when they hold nothing, whoever said so."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import trio

from replication.claim import Claim
from replication.core.settings import ReplicaSettings
from replication.core.state import ReplicaState
from replication.detectorstate import ALIVE, DEAD
from replication.membership.departing import SURE_MS, Around, Departing
from replication.membership.exchange import Exchange
from replication.membership.member import ACTIVE, LEAVING, REMOVED, Member
from replication.membership.membership import Membership
from replication.membership.roster import Roster
from replication.membership.settings import MembershipSettings
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


class Lonely:
    """A member `a` that leaves and holds nothing, and another one, of which it may have heard."""

    def __init__(self, state: int = ACTIVE) -> None:
        self.me, self.node = b"a" * 8, b"b" * 8
        self.at, self.thought, self.edited = 0, ALIVE, list[Member]()
        self.roster = Roster(
            [
                Member(node=self.me, key="a" * 40, server="s1", state=LEAVING, departs=True),
                Member(node=self.node, key="b" * 40, server="s2", state=state),
            ]
        )
        self.exchange = Exchange(self.me, self.roster, MembershipSettings())
        replica = SimpleNamespace(starting=False, parts=(), peers={})
        around = SimpleNamespace(
            me=self.me,
            groups={"users": SimpleNamespace(carrier=SimpleNamespace(state=replica))},
            links=SimpleNamespace(flush=lambda: None),
            detector=SimpleNamespace(state_of=lambda _: self.thought),
            now=lambda: self.at,
            within=nullcontext,
        )
        membership = SimpleNamespace(
            own=self.roster.members[self.me],
            roster=self.roster,
            exchange=self.exchange,
            nodes=(self.me, self.node),
            removed=trio.Event(),
            edit_soon=self.edited.extend,
        )
        self.departing = Departing(cast(Around, around), cast(Membership, membership))

    def beat(self, digest: bytes, *, kept: bool = True) -> None:
        self.exchange.beat(self.node, digest, self.at, kept=kept)

    def goes(self) -> bool:
        """Whether it goes within the time after which it would be sure."""
        self.edited.clear()
        for _ in range(2):
            self.departing.step()
            self.at += SURE_MS
        return [row.state for row in self.edited] == [REMOVED]


def test_nobody_goes_before_somebody_who_stays_knows() -> None:
    lonely = Lonely()
    assert not lonely.goes()  # nothing was heard
    lonely.beat(b"of a roster of before")  # the other one is heard, and doesn't hear
    assert not lonely.goes()
    lonely.beat(lonely.roster.digest, kept=False)  # what isn't on its disk may be forgotten
    assert not lonely.goes()
    lonely.beat(lonely.roster.digest)
    lonely.thought = DEAD
    assert not lonely.goes()
    lonely.thought = ALIVE
    assert lonely.goes()


def test_who_leaves_itself_is_nobody_who_stays() -> None:
    lonely = Lonely(LEAVING)
    lonely.beat(lonely.roster.digest)
    assert not lonely.goes()
