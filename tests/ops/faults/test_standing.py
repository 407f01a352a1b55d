"""What the members counted is put together, and what the machine took is known."""

import threading
import time
from pathlib import Path
from typing import Any

from ops.faults.lateness import Lateness
from ops.faults.looking import Looking
from ops.faults.standing import holds, standing
from ops.faults.starvation import Starvation
from replication.cluster import TICK_MS
from replication.core.holds import LONG_MS
from replication.core.settings import ReplicaSettings


def status(**counts: int) -> dict[str, Any]:
    return {
        "detector": {"deaths": 2, "wrong_deaths": counts.get("wrong", 0)},
        "rebalancing": {
            "moved": 3, "hold_ms_most": counts.get("most", 0), "at_once": counts.get("at_once", 8),
        },
    }  # fmt: skip


def test_counts_are_added_and_of_holds_the_longest_counts() -> None:
    found = standing([status(wrong=1, most=40), status(wrong=2, most=700, at_once=3), status()])
    assert found == {"deaths": 6, "wrong_deaths": 3, "moved": 9, "hold_ms_most": 700, "at_once": 3}


def test_a_move_is_given_up_in_time_to_hold_nothing_for_so_long() -> None:
    """Looked at in each tick of a replica: between the last one in time and the next one lies no more than that."""
    assert ReplicaSettings().move_wait_ms + TICK_MS + TICK_MS // 2 < LONG_MS


def test_holds_of_all_lives_are_read_from_logs() -> None:
    line = "timestamp=t level=info event=stood_still holds={} holds_over_500_ms={} hold_ms_most={}\n"
    logs = [
        line.format(90, 0, 120) + "event=other holds=7\n" + line.format(60, 1, 700),
        line.format(50, 1, 30),
    ]
    assert holds(logs) == {"holds": 200, "holds_over_500_ms": 2, "hold_ms_most": 700}


def test_a_machine_that_is_late_with_one_turn_of_ten_is_busy() -> None:
    lateness = Lateness()
    found = [lateness.is_busy]
    for n in range(100):
        lateness.note(1.0 if n < 10 else 0.001)
    found.append(lateness.is_busy)
    lateness.note(1.0)
    assert [*found, lateness.is_busy] == [False, False, True]
    assert (lateness.turns, lateness.late, lateness.most_s) == (101, 11, 1.0)


def test_of_a_span_nobody_had_what_late_turns_took_of_it() -> None:
    lateness = Lateness()
    lateness.note(2.0, now=12.0)  # 10 to 12
    lateness.note(0.001, now=13.0)
    lateness.note(30.0, now=50.0)  # 20 to 50
    assert lateness.lost_s(0.0, 9.0) == 0.0
    assert lateness.lost_s(11.5, 14.0) == 0.5
    assert lateness.lost_s(11.0, 21.0) == 2.0
    assert lateness.lost_s(30.0, 31.0) == 1.0
    assert lateness.lost_s(50.0, 60.0) == 0.0


def test_turns_are_looked_at_while_it_runs() -> None:
    with Lateness() as lateness:
        until = time.monotonic() + 30.0
        while not lateness.turns and time.monotonic() < until:
            time.sleep(0.01)
    assert lateness.turns


def test_nodes_are_starved_that_wait_for_a_processor_for_longer_than_they_have_one(tmp_path: Path) -> None:
    def counted(pid: int, ran: int, waited: int) -> None:
        place = tmp_path / str(pid) / "task" / str(pid)
        place.mkdir(parents=True, exist_ok=True)
        (place / "schedstat").write_text(f"{ran} {waited} 17\n")

    starvation = Starvation(lambda: (7, 8, 9), tmp_path)
    starvation.look()
    assert (starvation.share, starvation.is_starved) == (0.0, False)
    counted(7, 2_000_000_000, 0)
    counted(8, 1_000_000_000, 3_000_000_000)
    starvation.look()
    assert (starvation.ran_s, starvation.waited_s, starvation.is_starved) == (3.0, 3.0, False)
    counted(8, 1_000_000_000, 3_100_000_000)
    (tmp_path / "7" / "task" / "7" / "schedstat").unlink()  # it has ended, and what it counted counts
    starvation.look()
    assert (starvation.ran_s, starvation.is_starved) == (3.0, True)


def test_who_looks_does_so_until_the_end_and_knows_when_it_was_to_be() -> None:
    class Seen(Looking):
        def __init__(self) -> None:
            super().__init__(0.001)
            self.late: list[float] = []
            self.twice = threading.Event()

        def look(self, due: float) -> None:
            self.late.append(time.monotonic() - due)
            if len(self.late) == 2:
                self.twice.set()

    before = threading.active_count()
    with Seen() as seen:
        assert seen.twice.wait(30)
    assert min(seen.late) >= 0
    assert threading.active_count() == before
