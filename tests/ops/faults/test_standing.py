"""What the members counted is put together, and a partition that stood still for too long is found."""

from typing import Any

from ops.faults.standing import hold_ms_max, standing, too_long


def status(**counts: int) -> dict[str, Any]:
    return {
        "detector": {"deaths": 2, "wrong_deaths": counts.get("wrong", 0)},
        "rebalancing": {"moved": 3, "hold_ms_most": counts.get("most", 0)},
    }


def test_counts_are_added_and_of_holds_the_longest_counts() -> None:
    found = standing([status(wrong=1, most=40), status(wrong=2, most=700), status()])
    assert found == {"deaths": 6, "wrong_deaths": 3, "moved": 9, "hold_ms_most": 700}


def test_a_hold_is_too_long_when_no_fault_explains_it() -> None:
    least = hold_ms_max([])
    assert not too_long(standing([status(most=least)]), [])
    assert "stood still" in too_long(standing([status(most=least + 1)]), [])
    assert not too_long(standing([status(most=least + 4_000)]), [0.5, 4.0])
    assert not too_long({}, []), "nothing was moved"
