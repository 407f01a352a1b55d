"""Numbers without a PIN take as many guesses as those with one; what is remembered of them is bounded."""

from random import Random

from node.accounts.pins import DAY_MS, PinRules
from node.accounts.standins import StandIns

RULES = PinRules(
    valid_ms=600_000,
    attempts_max=3,
    requests_per_day=5,
    wait_ms=60_000,
    wait_factor=2.0,
    wait_ms_max=3_600_000,
)
NOW = 1_800_000_000_000


def make(most: int = 10) -> StandIns:
    return StandIns(RULES, most, Random(1))


def test_each_guess_counts_up_to_the_limit_and_a_day_later_from_the_start() -> None:
    stand_ins = make()
    assert [stand_ins.guessed(1, NOW).attempts for _ in range(5)] == [0, 1, 2, 3, 3]
    assert stand_ins.guessed(2, NOW).attempts == 0
    assert stand_ins.guessed(1, NOW + DAY_MS).attempts == 0


def test_the_time_that_it_pretends_is_not_that_of_the_guess() -> None:
    stand_ins = make(100)
    ages = {NOW - stand_ins.guessed(user, NOW).requests[0] for user in range(1, 101)}
    assert all(0 <= age < RULES.wait_ms for age in ages)
    assert len(ages) > 50


def test_a_clock_set_back_makes_nobody_wait_for_longer() -> None:
    stand_ins = make()
    stand_ins.guessed(1, NOW)
    assert stand_ins.guessed(1, NOW - DAY_MS).requests == (NOW - DAY_MS,)


def test_the_one_not_guessed_at_for_longest_is_forgotten() -> None:
    stand_ins = make(most=2)
    for user in (1, 2, 1, 3):
        stand_ins.guessed(user, NOW)
    assert len(stand_ins) == 2
    assert stand_ins.guessed(1, NOW).attempts == 2
    assert stand_ins.guessed(2, NOW).attempts == 0
