from hypothesis import given
from hypothesis import strategies as st

from node.accounts.budgets import Budgets

steps = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3_000)), max_size=80)


@given(steps, st.integers(1, 5), st.integers(1, 1_000))
def test_in_any_span_a_key_spends_its_burst_and_one_each_interval_at_most(
    steps: list[tuple[int, int]], burst: int, every: int
) -> None:
    budgets = Budgets(burst=burst, every_ms=every, keys_max=16)
    spent: dict[int, list[int]] = {}
    now = 0
    for key, passed in steps:
        now += passed
        expected = budgets.wait(key, now)
        assert budgets.spend(key, now) == expected
        if not expected:
            spent.setdefault(key, []).append(now)
    for times in spent.values():
        for first, start in enumerate(times):
            for last, end in enumerate(times[first:], first):
                assert last - first + 1 <= burst + (end - start) // every


@given(st.integers(1, 5), st.integers(1, 1_000))
def test_whoever_waits_as_long_as_told_may_spend_and_not_before(burst: int, every: int) -> None:
    budgets = Budgets(burst=burst, every_ms=every, keys_max=16)
    for _ in range(burst):
        assert budgets.spend("a", 0) == 0
    wait = budgets.spend("a", 0)
    assert wait == every
    assert budgets.spend("a", wait - 1) == 1
    assert budgets.spend("a", wait) == 0


def test_what_is_refunded_was_never_spent() -> None:
    budgets = Budgets(burst=2, every_ms=100, keys_max=16)
    for now in range(50):
        assert budgets.spend("a", now) == 0
        budgets.refund("a", now)
    assert budgets.debt("a", 50) == 0
    assert budgets.statistics().keys == 0


def test_keys_do_not_share_a_budget() -> None:
    budgets = Budgets(burst=1, every_ms=100, keys_max=16)
    assert budgets.spend("a", 0) == 0
    assert budgets.spend("b", 0) == 0
    assert budgets.spend("a", 0) == 100


def test_the_table_is_bounded_and_forgets_who_spent_longest_ago() -> None:
    budgets = Budgets(burst=1, every_ms=1_000, keys_max=3)
    for key in "abc":
        budgets.spend(key, 0)
    assert budgets.spend("a", 1_000) == 0
    budgets.spend("d", 1_001)
    statistics = budgets.statistics()
    assert statistics.keys == 3
    assert statistics.forgotten == 0, "b's debt was paid"
    assert budgets.debt("b", 1_001) == 0
    assert budgets.debt("a", 1_001) > 0
    budgets.spend("e", 1_001)
    budgets.spend("f", 1_001)
    assert budgets.statistics().forgotten == 1


def test_a_clock_set_back_makes_nobody_wait_longer_than_an_empty_budget() -> None:
    budgets = Budgets(burst=3, every_ms=100, keys_max=16)
    budgets.spend("a", 10**12)
    assert budgets.wait("a", 0) <= 100
    assert budgets.spend("a", 100) == 0
