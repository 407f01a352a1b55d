"""Plans: the same seed, the same faults."""

from collections import Counter

from ops.faults.drill import random_cut
from ops.faults.plan import DURATIONS, Kind, make_plan

WANTED = {Kind.NODE_KILL: 3, Kind.POWER_LOSS: 2, Kind.CLIENT_PAUSE: 1}


def test_a_seed_decides_the_plan() -> None:
    assert make_plan(1, WANTED, 1.0) == make_plan(1, WANTED, 1.0)
    assert make_plan(1, WANTED, 1.0) != make_plan(2, WANTED, 1.0)
    assert random_cut(5) == random_cut(5)


def test_a_plan_has_what_was_wanted_within_its_bounds() -> None:
    plan = make_plan(3, WANTED, pause=2.0, haste=2.0)
    assert Counter(fault.kind for fault in plan) == WANTED
    for fault in plan:
        low, high = DURATIONS[fault.kind]
        assert low / 2 <= fault.seconds <= high / 2
        assert 0.6 <= fault.pause <= 3.4
        assert 0 <= fault.victim < 1


def test_every_kind_has_a_duration() -> None:
    assert set(DURATIONS) == set(Kind)
