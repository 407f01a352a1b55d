"""How many partitions stand still at once follows from how long they do."""

from replication.core.pace import AT_ONCE_FIRST, QUICK_MS, SLOW_MS, Pace


def test_when_as_many_as_may_stand_still_were_taken_over_quickly_one_more_may_up_to_the_most() -> None:
    pace = Pace()
    for n in range(AT_ONCE_FIRST):
        assert pace.at_once == AT_ONCE_FIRST
        pace.ended(1_000 + n, QUICK_MS, 64)
    assert pace.at_once == AT_ONCE_FIRST + 1
    for n in range(1_000):
        pace.ended(2_000 + n, QUICK_MS, AT_ONCE_FIRST + 5)
    assert pace.at_once == AT_ONCE_FIRST + 5


def test_what_takes_neither_short_nor_long_changes_nothing() -> None:
    pace = Pace()
    pace.ended(1_000, QUICK_MS + 1, 64)
    pace.ended(1_100, SLOW_MS, 64)
    assert pace.at_once == AT_ONCE_FIRST


def test_what_takes_long_halves_it_once_for_all_that_stood_still_together() -> None:
    pace = Pace()
    for n in range(AT_ONCE_FIRST):
        pace.ended(1_000 + n, SLOW_MS + 100, 64)
    assert pace.at_once == AT_ONCE_FIRST // 2
    pace.ended(1_000 + 2 * SLOW_MS, SLOW_MS + 1, 64)
    assert pace.at_once == AT_ONCE_FIRST // 4, "this one began later"


def test_one_may_always_stand_still() -> None:
    pace = Pace()
    for n in range(20):
        pace.ended(10_000 * n, 1_000, 64)
    assert pace.at_once == 1
    pace.ended(10**6, 10, 64)
    assert pace.at_once == 2
