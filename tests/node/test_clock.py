"""The time that mail counts by."""

from node.clock import SteadyClock


def test_it_starts_with_the_wall_clock_and_then_follows_the_monotonic_one() -> None:
    wall, monotonic = 1_700_000_000.25, 50.0
    clock = SteadyClock(lambda: wall, lambda: monotonic)
    assert clock() == 1_700_000_000_250
    monotonic += 1.5
    assert clock() == 1_700_000_001_750


def test_a_wall_clock_that_is_set_changes_nothing() -> None:
    wall, monotonic = 1_700_000_000.0, 50.0
    clock = SteadyClock(lambda: wall, lambda: monotonic)
    before = clock()
    wall -= 86_400
    assert clock() == before
    monotonic += 0.001
    assert clock() >= before


def test_it_is_real_by_default() -> None:
    clock = SteadyClock()
    first = clock()
    assert first > 1_600_000_000_000
    assert clock() >= first
