"""Partitions go home by rate, after a calm time, and only to who is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from replication.core import moving, replica
from replication.core.holds import HOLDS_MS
from replication.core.pace import AT_ONCE_FIRST
from replication.core.state import MOVING, SERVING
from replication.membership.member import Member
from replication.membership.rebalancing import Rebalancer, misplaced
from replication.membership.roster import Roster
from replication.membership.settings import MembershipSettings
from tests.replication.core.stand import Node, Stand

RATE = MembershipSettings(moves_per_s=2, moves_max=2, calm_ms=5_000)


class Group:
    """A replica of the stand, as the rebalancer sees it."""

    name = "users"

    def __init__(self, node: Node) -> None:
        self.carrier = self
        self.state = node.state
        self._node = node

    def flush(self) -> None:
        """Nothing is gathered."""

    def drain(self) -> None:
        self._node.carry_out()


class Around:
    """A cluster of one group."""

    def __init__(self, stand: Stand, letter: str) -> None:
        self._stand = stand
        self.groups: dict[str, Any] = {"users": Group(stand[letter])}
        self.membership = self
        self.others = ()
        self.roster = Roster(Member(node=node) for node in stand.names)
        self.changed_at = 0

    def now(self) -> int:
        return self._stand.now

    @contextmanager
    def within(self) -> Iterator[None]:
        yield


def away_and_back() -> tuple[Stand, Around, Rebalancer]:
    """A served six partitions with B and C; it went, and comes back: others have taken over."""
    stand = Stand(3, partitions=6).ready()
    around = Around(stand, "B")
    rebalancer = Rebalancer(around, RATE)  # type: ignore[arg-type]
    stand.crash("A")
    stand.see()
    stand.run(3_000)
    stand.start("A")
    stand.run(3_000)
    around.changed_at = stand.now
    return stand, around, rebalancer


def steps(stand: Stand, rebalancer: Rebalancer, length_ms: int) -> None:
    for _ in range(length_ms // 100):
        stand.run(100)
        rebalancer.step()


def served(stand: Stand, letter: str) -> set[int]:
    return {part.number for part in stand[letter].state.parts if part.phase == SERVING}


def test_nothing_moves_before_it_was_calm_and_then_all_goes_home() -> None:
    stand, _, rebalancer = away_and_back()
    wanted = {p for p, _ in misplaced(stand["B"].state)}
    assert wanted
    steps(stand, rebalancer, 4_000)
    assert rebalancer.moved == 0
    assert {p for p, _ in misplaced(stand["B"].state)} == wanted
    steps(stand, rebalancer, 12_000)
    assert not list(misplaced(stand["B"].state))
    assert rebalancer.moved > 0
    assert rebalancer.failed == 0


def test_a_node_that_comes_and_goes_moves_nothing() -> None:
    stand, around, rebalancer = away_and_back()
    for _ in range(6):
        steps(stand, rebalancer, 3_000)
        around.changed_at = stand.now
    assert rebalancer.moved == 0


def test_it_goes_at_its_rate() -> None:
    stand, _, rebalancer = away_and_back()
    rebalancer.settings = attrs.evolve(RATE, moves_per_s=0.1)
    there = len(served(stand, "B"))
    assert rebalancer.ask() > 1
    steps(stand, rebalancer, 16_000)
    # One at once, and one in ten seconds: an heir is brought home, then its partition is moved.
    assert there - 2 < len(served(stand, "B")) <= there
    steps(stand, rebalancer, 12_000)
    assert there - 3 < len(served(stand, "B")) < there


def test_who_has_no_copy_becomes_heir_first_and_takes_over_when_it_is_complete() -> None:
    stand = Stand(3, partitions=1).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    around = Around(stand, "A")
    rebalancer = Rebalancer(around, RATE)  # type: ignore[arg-type]
    stand.names = [b"C", b"A", b"B"]  # another node is first in rank now
    for node in stand.nodes.values():
        replica.placed(node.state)
    assert list(misplaced(stand["A"].state)) == [(0, None)]
    rebalancer.ask()
    seen = set()
    for _ in range(60):
        steps(stand, rebalancer, 100)
        claim = stand["A"].state.parts[0].claim
        assert claim is not None
        seen.add((claim.primary, claim.heir))
    assert (b"A", b"C") in seen, "it was heir first"
    assert stand["C"].serves
    assert stand["C"].store.values(0) == {"k": 1}


def test_who_is_not_there_gets_nothing() -> None:
    stand, _, rebalancer = away_and_back()
    stand.crash("A")
    stand.see()
    rebalancer.ask()
    steps(stand, rebalancer, 2_000)
    assert rebalancer.moved == 0
    assert not list(misplaced(stand["B"].state))
    assert not rebalancer.asked, "there was nothing to do"


def test_few_partitions_stand_still_at_once_before_any_were_moved_and_more_from_move_to_move() -> None:
    """A fresh cluster has everything to spread: what is to be moved and has no room yet is served meanwhile."""
    stand = Stand(2, partitions=64).ready()
    around = Around(stand, "A")
    fast = attrs.evolve(RATE, moves_per_s=1_000, moves_max=32)
    rebalancer = Rebalancer(around, fast)  # type: ignore[arg-type]
    stand.names = [b"B", b"A"]
    for node in stand.nodes.values():
        replica.placed(node.state)
    assert rebalancer.ask() > AT_ONCE_FIRST
    state = stand["A"].state
    state.peers[b"B"].tells_served = True
    still, waiting = [], []
    for _ in range(80):
        rebalancer.step()
        stand.tick()
        while state.standing or state.given:
            still.append(len(state.standing) + len(state.given))
            waiting.append(sum(part.move_to is not None and part.phase == SERVING for part in state.parts))
            assert still[-1] <= state.pace.at_once
            stand.deliver(count=1)
            stand["A"].disk(1)
            stand["B"].disk(1)
        stand.work()
    assert still[0] == AT_ONCE_FIRST
    assert waiting[0] > waiting[-1]
    assert max(still) > AT_ONCE_FIRST, "it rises"
    assert not list(misplaced(stand["A"].state))
    assert rebalancer.failed == 0


def test_how_long_partitions_stood_still_is_counted() -> None:
    stand, _, rebalancer = away_and_back()
    assert rebalancer.statistics()["holds"] == 0
    steps(stand, rebalancer, 20_000)
    found = rebalancer.statistics()
    assert found["holds"] == found["moved"] > 0
    assert 0 <= found["hold_ms_most"] < stand["B"].state.settings.move_wait_ms
    assert found["at_once"] == stand["B"].state.pace.at_once
    assert not stand["B"].state.given, "they are served"
    over = [found[f"holds_over_{ms}_ms"] for ms in HOLDS_MS]
    assert over == sorted(over, reverse=True)


def test_a_hold_that_is_given_up_is_counted_with_its_length() -> None:
    stand, _, rebalancer = away_and_back()
    state = stand["B"].state
    part = state.parts[min(served(stand, "B"))]
    part.phase, part.move_to, part.move_until = MOVING, b"A", state.now + 700
    state.settings = attrs.evolve(state.settings, move_wait_ms=1_000)
    moving.give_up(state, part, "it is a test")
    found = rebalancer.statistics()
    assert (found["holds"], found["hold_ms_most"]) == (1, 300)
    assert (found["holds_over_250_ms"], found["holds_over_500_ms"]) == (1, 0)


def test_an_heir_of_another_cluster_comes_home_though_nobody_asks_and_nothing_moves_by_itself() -> None:
    """Or a partition that was assigned would wait for the former cluster with each write, for good."""
    stand = Stand(3, partitions=6).ready()
    around = Around(stand, "A")
    state = stand["A"].state
    abroad = stand["B"].state.me
    mine = [part for part in state.parts if part.phase == SERVING]
    held = [part.number for part in mine if part.claim is not None and part.claim.heir == abroad]
    assert held
    ranked = state.ranked
    for letter in "ABC":
        other = stand[letter].state
        other.far = frozenset((abroad,))
        other.ranked = lambda p: [one for one in ranked(p) if one != abroad]
    around.others = (abroad,)  # type: ignore[assignment]
    settings = attrs.evolve(RATE, rebalance=False, moves_per_s=100)
    rebalancer = Rebalancer(around, settings)  # type: ignore[arg-type]
    steps(stand, rebalancer, 8_000)
    for p in held:
        claim = state.parts[p].claim
        assert claim is None or claim.heir != abroad
