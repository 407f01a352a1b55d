"""What the members counted is put together, and a partition that stood still for too long is found."""

import time
from typing import Any

from ops.faults.lateness import Lateness
from ops.faults.standing import HOLD_MS, hold_ms_max, holds, standing, too_long
from replication.cluster import TICK_MS
from replication.core.settings import ReplicaSettings


def status(**counts: int) -> dict[str, Any]:
    return {
        "detector": {"deaths": 2, "wrong_deaths": counts.get("wrong", 0)},
        "rebalancing": {"moved": 3, "hold_ms_most": counts.get("most", 0)},
    }


def test_counts_are_added_and_of_holds_the_longest_counts() -> None:
    found = standing([status(wrong=1, most=40), status(wrong=2, most=700), status()])
    assert found == {"deaths": 6, "wrong_deaths": 3, "moved": 9, "hold_ms_most": 700}


def test_a_hold_of_more_than_half_a_second_is_too_long() -> None:
    assert not too_long(standing([status(most=500)]))
    assert "501 ms while it was moved, more than 500" in too_long(standing([status(most=501)]))
    assert not too_long({}), "nothing was moved"


def test_but_for_nodes_that_were_paused_or_a_machine_without_time() -> None:
    busy = hold_ms_max([], busy=True)
    assert busy > 500
    assert not too_long({"hold_ms_most": busy}, busy=True)
    assert "stood still" in too_long({"hold_ms_most": busy + 1}, busy=True)
    assert not too_long({"hold_ms_most": busy + 4_000}, [0.5, 4.0])
    assert "stood still" in too_long({"hold_ms_most": busy + 4_001}, [0.5, 4.0])


def test_a_move_is_given_up_in_time_to_hold_nothing_for_so_long() -> None:
    """Looked at in each tick of a replica: between the last one in time and the next one lies no more than that."""
    assert ReplicaSettings().move_wait_ms + TICK_MS + TICK_MS // 2 < HOLD_MS


def test_holds_of_all_lives_are_read_from_logs() -> None:
    line = "timestamp=t level=info event=stood_still holds={} holds_over_500_ms={} hold_ms_most={}\n"
    logs = [
        line.format(90, 0, 120) + "event=other holds=7\n" + line.format(60, 1, 700),
        line.format(50, 1, 30),
    ]
    found = holds(logs)
    assert found == {"holds": 200, "holds_over_500_ms": 2, "hold_ms_most": 700}
    assert too_long(found)
    assert not too_long(holds([])), "nothing was moved"


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
