"""A member that stops hands what it serves to its heirs, and whoever hears its last word waits for no detector."""

from __future__ import annotations

from pathlib import Path

from replication.core.state import ALIVE, DEAD, SERVING
from replication.detectorstate import ALIVE as HEARD
from replication.membership.handing import GOING, GONE
from replication.membership.settings import MembershipSettings
from replication.placed import Placed
from store.schema import Group
from store.writes import PUT
from tests.replication.members import Members, members_of, table
from tests.replication.zeromq.cluster import until

KEPT = Placed(group=Group("kept", (table("kept", partitioned=True),)), partitions=16)
EAGER = MembershipSettings(moves_per_s=1_000, moves_max=16, calm_ms=0)


async def fill(members: Members, name: str) -> None:
    """A record in each partition."""
    group = members[name].group("kept")
    number = group.table("kept").id
    for p in range(KEPT.partitions):
        await group.commit([(PUT, number, (p, "key"), p)])


def served(members: Members, name: str) -> int:
    return sum(members[name].group("kept").serves(p) for p in range(KEPT.partitions))


async def heirs_complete(members: Members) -> None:
    """Everything has two copies, and is served by who is first in rank."""

    def complete() -> bool:
        states = [cluster.group("kept").carrier.state for cluster in members.up.values()]
        parts = [(state, part) for state in states for part in state.parts if part.phase == SERVING]
        first = [state.me == state.ranked(part.number)[0] for state, part in parts]
        return len(parts) == KEPT.partitions and all(part.heir_live for _, part in parts) and all(first)

    await until(complete)


async def test_everything_is_handed_over_and_stays_there_though_others_are_eager_until_it_is_back(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "abc", KEPT) as members:
        for cluster in members.up.values():
            cluster.operate.rebalancer.settings = EAGER
        await fill(members, "a")
        await heirs_complete(members)
        before = served(members, "a")
        assert before > 0
        handed = await members["a"].handing.hand_over(10.0, 500.0)
        assert handed.left == 0
        assert handed.moved >= before
        assert served(members, "a") == 0
        await members.ready("kept")
        moved = [members[name].operate.rebalancer.moved for name in "bc"]
        for name in "bc":
            members[name].operate.rebalance()  # not even when an operator asks
            members[name].operate.rebalancer.step()
        assert [members[name].operate.rebalancer.moved for name in "bc"] == moved
        assert not any(members[name].operate.rebalancer.statistics()["under_way"] for name in "bc")
        await members["a"].handing.say_gone()
        await members.stop("a")
        await members.start("a")
        await until(lambda: served(members, "a") == before)  # long before it had to be


async def test_who_says_that_it_has_ended_is_succeeded_before_any_detector_finds_out(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "abc", KEPT) as members:
        await fill(members, "a")
        await heirs_complete(members)
        a = members.node("a")
        await members["a"].handing.say_gone()
        states = {name: members[name].group("kept").carrier.state for name in "bc"}
        await until(lambda: all(state.peers[a].liveness == DEAD for state in states.values()))
        assert members["b"].detector.state_of(a) == HEARD
        await members.stop("a")
        await members.ready("kept")
        group = members["b"].group("kept")
        for p in range(KEPT.partitions):
            assert await group.read("kept", (p, "key")) == p
        await members.start("a")
        await until(lambda: all(state.peers[a].liveness == ALIVE for state in states.values()))
        await members.ready("kept")


async def test_a_last_word_of_a_former_start_is_none_and_nobody_hands_over_to_one_that_stops_too(
    tmp_path: Path,
) -> None:
    async with members_of(tmp_path, "ab", KEPT) as members:
        await fill(members, "a")
        await heirs_complete(members)
        b = members.node("b")
        state = members["a"].group("kept").carrier.state
        members["a"].handing.received(b, [GONE, b"former 1"])
        members["a"].handing.received(b, [GONE])
        members["a"].handing.received(b"stranger", [GOING, 1])
        assert state.peers[b].liveness == ALIVE
        before = served(members, "a")
        members["a"].handing.received(b, [GOING, 60_000])
        handed = await members["a"].handing.hand_over(10.0)
        assert (handed.moved, handed.left) == (0, 0)
        assert served(members, "a") == before > 0
