"""What the members counted is put together, and a partition that stood still for too long is found."""

import time
from typing import Any

from ops.faults.lateness import Lateness
from ops.faults.standing import hold_ms_max, holds, standing, too_long, too_many


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


def test_holds_of_all_lives_are_read_from_logs_and_few_may_be_long() -> None:
    line = "timestamp=t level=info event=stood_still holds={} holds_over_500_ms={} hold_ms_most={}\n"
    logs = [
        line.format(90, 0, 120) + "event=other holds=7\n" + line.format(60, 1, 700),
        line.format(50, 1, 30),
    ]
    found = holds(logs)
    assert found == {"holds": 200, "holds_over_500_ms": 2, "hold_ms_most": 700}
    assert not too_many(found)
    assert "3 of 200" in too_many(found | {"holds_over_500_ms": 3})
    assert not too_many(holds([])), "nothing was moved"


def test_a_machine_that_is_late_with_one_turn_of_ten_is_busy() -> None:
    lateness = Lateness()
    found = [lateness.is_busy]
    for n in range(100):
        lateness.note(1.0 if n < 10 else 0.001)
    found.append(lateness.is_busy)
    lateness.note(1.0)
    assert [*found, lateness.is_busy] == [False, False, True]
    assert (lateness.turns, lateness.late) == (101, 11)


def test_turns_are_looked_at_while_it_runs() -> None:
    with Lateness() as lateness:
        until = time.monotonic() + 30.0
        while not lateness.turns and time.monotonic() < until:
            time.sleep(0.01)
    assert lateness.turns
