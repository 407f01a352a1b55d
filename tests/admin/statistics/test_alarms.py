"""Alarms are raised after a while above, cleared after a while well below, and in between stay as they are."""

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.statistics import alarms, sampler
from admin.statistics.alarms import PAST_MAX, Alarm, AlarmSettings, AlarmState, Event
from admin.statistics.series import SamplerState

SETTINGS = AlarmSettings(
    backlog=100, lag_s=0, raise_after_s=2, clear_after_s=3, clear_share=0.5, disk_bytes=0, loop_lag_ms=0
)


class Watched:
    """A node whose figures a test sets, a second at a time."""

    def __init__(self, settings: AlarmSettings = SETTINGS) -> None:
        self.settings = settings
        self.sampler = SamplerState()
        self.alarms = AlarmState()
        self.second = 0

    def see(self, figures: dict[str, Any]) -> list[tuple[str, str]]:
        self.second += 1
        sampler.take(self.sampler, float(self.second), figures)
        events = alarms.step(self.alarms, self.settings, self.sampler, 1_000.0 + self.second)
        assert len(self.alarms.raised) <= alarms.RAISED_MAX
        return [(event.what, event.alarm.name) for event in events]

    def queue(self, length: int) -> list[tuple[str, str]]:
        return self.see({"mail": {"pending": length, "taken": 10**6}})


def test_it_is_raised_once_after_staying_above_and_cleared_once_after_staying_well_below() -> None:
    node = Watched()
    lengths = [0, 100, 150, 120, 90, 60, 49, 0, 0, 0, 0]
    events = [node.queue(length) for length in lengths]
    assert events == [
        [],
        [],
        [],
        [("raised", "backlog mail")],
        [],
        [],
        [],
        [],
        [],
        [("cleared", "backlog mail")],
        [],
    ]
    (event,) = node.alarms.past
    assert (event.alarm.since, event.at, event.alarm.worst) == (1_004, 1_010, 120)


def test_one_that_hovers_at_its_threshold_rings_once() -> None:
    node = Watched()
    events = [event for length in [100] * 3 + [99, 101, 70, 110] * 20 for event in node.queue(length)]
    assert events == [("raised", "backlog mail")]


def test_a_peak_is_no_alarm() -> None:
    node = Watched()
    assert [event for length in [100, 100, 0] * 20 for event in node.queue(length)] == []


@given(st.lists(st.integers(0, 200), max_size=60))
def test_raised_and_cleared_take_turns(lengths: list[int]) -> None:
    node = Watched()
    events = [what for length in lengths for what, _ in node.queue(length)]
    assert events == ["raised", "cleared"] * (len(events) // 2) + ["raised"] * (len(events) % 2)
    assert bool(node.alarms.raised) == (len(events) % 2 == 1)


def test_a_threshold_of_zero_turns_a_kind_off_and_clears_what_stands() -> None:
    node = Watched()
    for _ in range(4):
        node.queue(500)
    assert set(node.alarms.raised) == {"backlog mail"}
    node.settings = attrs.evolve(SETTINGS, backlog=0)
    assert node.queue(500) == [("cleared", "backlog mail")]


def test_a_queue_with_a_limit_rings_before_it_is_full() -> None:
    node = Watched(attrs.evolve(SETTINGS, raise_after_s=0, backlog_share=0.5))
    courier = {"waiting": 5, "in_hand": 0, "waiting_max": 10}
    assert node.see({"accounts": {"courier": courier}}) == [("raised", "backlog pins")]


def test_what_waits_too_long_rings_however_short_its_queue_is() -> None:
    node = Watched(attrs.evolve(SETTINGS, lag_s=5, raise_after_s=0))
    seen = [node.queue(1) for _ in range(8)]
    assert [index for index, events in enumerate(seen) if events] == [5]
    assert (
        "for 5 s" in node.alarms.raised["lag mail"].text or "for 7 s" in node.alarms.raised["lag mail"].text
    )


@pytest.mark.parametrize(
    ("figures", "name"),
    [
        ({"loop": {"late_ms": 600}}, "loop lag"),
        ({"system": {"disk": {"free_share": 0.05}}}, "disk"),
        ({"system": {"disk": {"free_bytes": 1 << 20}}}, "disk space"),
        ({"system": {"memory": {"resident_bytes": 95, "limit_bytes": 100}}}, "memory"),
        ({"system": {"memory": {"resident_bytes": 1, "limit_bytes": 100, "available_bytes": 2}}}, "memory"),
        ({"system": {"memory": {"resident_bytes": 60, "limit_bytes": 100, "available_bytes": 4}}}, "memory"),
        ({"store": {"groups": {"mail": {"fatal": "a sync failed"}}}}, "store mail"),
    ],
)
def test_what_goes_wrong_besides_queues_rings(figures: dict[str, Any], name: str) -> None:
    node = Watched(AlarmSettings(raise_after_s=0, clear_after_s=0))
    assert node.see(figures) == [("raised", name)]
    good: dict[str, Any] = {
        "loop": {"late_ms": 1},
        "system": {
            "disk": {"free_share": 0.5, "free_bytes": 1 << 40},
            "memory": {"resident_bytes": 10, "limit_bytes": 100, "available_bytes": 50},
        },
    }
    assert node.see(good) == [("cleared", name)]


def test_the_past_is_bounded() -> None:
    node = Watched(attrs.evolve(SETTINGS, raise_after_s=0, clear_after_s=0))
    for _ in range(PAST_MAX + 5):
        node.queue(500)
        node.queue(0)
    assert len(node.alarms.past) == PAST_MAX
    assert isinstance(node.alarms.past[0], Event)
    assert isinstance(node.alarms.past[0].alarm, Alarm)


def test_a_threshold_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"statistics\.alarms\.disk_share is 3: choose a value from 0 to 1"):
        AlarmSettings(disk_share=3)
