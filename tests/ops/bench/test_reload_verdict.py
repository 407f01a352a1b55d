"""What is said of reloads: what was promised, and what was seen."""

from typing import Any

import pytest

from ops.bench.reload_verdict import FULL, GROWTH_BYTES_MAX, JUDGED_MIN, broken, growth_of

FAST = {"p50": 1.0, "max": 20.0}
RELOADS = 50


def memory(first: int = 400_000, later: int = 1_000, reloads: int = RELOADS) -> list[int]:
    """Before, and after each: what the first ones add, and those after the first FULL."""
    found = [50_000_000]
    for number in range(1, reloads + 1):
        found.append(found[-1] + (first if number <= FULL else later))
    return found


def test_what_is_kept_for_the_way_back_is_no_growth() -> None:
    grown = memory()
    assert broken(3.0, FAST, FAST, grown) == []
    assert growth_of(grown) == {
        "memory_growth_bytes": FULL * 400_000 + (RELOADS - FULL) * 1_000,
        "memory_growth_after_reloads": FULL,
        "memory_growth_after_bytes": (RELOADS - FULL) * 1_000,
        "memory_growth_after_bytes_max": (RELOADS - FULL) * GROWTH_BYTES_MAX,
    }


def test_what_goes_on_growing_is_told() -> None:
    (cause,) = broken(3.0, FAST, FAST, memory(later=GROWTH_BYTES_MAX + 1))
    assert cause == (
        "memory grew by 1,966,110 bytes in 30 reloads after the first 20, 1,966,080 at most were promised"
    )
    assert broken(3.0, FAST, FAST, memory(later=GROWTH_BYTES_MAX)) == []


def test_few_reloads_say_nothing_about_growth() -> None:
    for reloads in (1, FULL, FULL + JUDGED_MIN - 1):
        few = memory(later=10_000_000, reloads=reloads)
        assert growth_of(few)["memory_growth_after_bytes"] is None
        assert broken(3.0, FAST, FAST, few) == []
    assert broken(3.0, FAST, FAST, memory(later=10_000_000, reloads=FULL + JUDGED_MIN)) != []


@pytest.mark.parametrize(
    ("pause_ms", "delays", "cause"),
    [
        (20.1, FAST, "the loop stood still for 20.1 ms, 20 at most were promised"),
        (3.0, {"max": 100.5}, "a message took 100 ms (20 ms without reloads), 100 at most were promised"),
        (3.0, {"max": None}, "no message was delivered meanwhile"),
    ],
)
def test_who_waited_is_told(pause_ms: float, delays: dict[str, Any], cause: str) -> None:
    assert broken(pause_ms, delays, FAST, memory()) == [cause]


def test_at_the_bound_is_kept() -> None:
    assert broken(20.0, {"max": 100.0}, {"max": None}, memory()) == []
