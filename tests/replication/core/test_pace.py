"""How many partitions stand still at once follows from how long they do."""

from replication.core.pace import AT_ONCE_FIRST, QUICK_MS, REST_MS, SLOW_MS, Pace


def test_as_long_as_nothing_was_slow_each_that_was_quick_makes_room_for_one_more_up_to_the_most() -> None:
    pace = Pace()
    for n in range(1_000):
        assert pace.at_once == min(AT_ONCE_FIRST + n, 64)
        pace.ended(1_000 + n, QUICK_MS, 64)


def test_after_the_first_slow_one_as_many_as_may_stand_still_make_room_for_one_more() -> None:
    pace = Pace()
    pace.ended(1_000, SLOW_MS + 1, 64)
    fewer = AT_ONCE_FIRST // 2
    for n in range(fewer):
        assert pace.at_once == fewer
        pace.ended(2_000 + n, QUICK_MS, 64)
    assert pace.at_once == fewer + 1


def test_what_a_machine_had_time_for_long_ago_says_nothing_of_now() -> None:
    pace = Pace()
    for n in range(100):
        pace.ended(1_000 + n, QUICK_MS, 64)
    pace.begins(1_099 + REST_MS - 1)
    assert pace.at_once == 64
    pace.begins(1_099 + REST_MS)
    assert pace.at_once == AT_ONCE_FIRST
    pace.ended(30_000, SLOW_MS + 1, 64)
    pace.begins(30_000 + REST_MS)
    assert pace.at_once == AT_ONCE_FIRST // 2, "nor does it allow more than was too much then"
    pace.ended(50_000, 10, 64)
    assert pace.at_once == AT_ONCE_FIRST // 2 + 1


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
