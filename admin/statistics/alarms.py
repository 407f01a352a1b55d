"""Alarms: raised when something stays above its threshold for a while, cleared when it stays well below.

Both "for a while" and "well below" keep one that hovers at its threshold from ringing all night. Pure: samples in,
events out. What is looked at: queues (how long, how old), how late the loop is, disk, memory, whether the store has
stopped writing, and copies on other nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from admin.statistics.series import SamplerState

_GROUPS: Final = "replication.groups."
RAISED_MAX: Final = 128
"""Alarms that may stand at once; a node has some 60 things to look at."""
PAST_MAX: Final = 64
"""Of those that were cleared, so many are remembered."""


@attrs.frozen(kw_only=True)
class AlarmSettings:
    """[statistics.alarms]: thresholds. 0: no alarm of this kind.

    Raises ValueError, naming option and remedy.
    """

    backlog: int = 10_000
    """Entries in one queue …"""
    backlog_share: float = 0.8
    """… or so much of its limit, for a queue that has one."""
    lag_s: float = 10.0
    """Age of what has waited longest in one queue."""
    loop_lag_ms: float = 500.0
    """How late the loop comes to what is due."""
    disk_share: float = 0.9
    """Of the data directory's file system in use …"""
    disk_bytes: int = 1_073_741_824
    """… or so few bytes left."""
    memory_share: float = 0.9
    """Of what this process may have, or of the machine's memory, in use."""
    raise_after_s: float = 5.0
    """How long something stays above its threshold before it is an alarm …"""
    clear_after_s: float = 30.0
    """… and below `clear_share` of it before it is none any more."""
    clear_share: float = 0.8

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("backlog", 0, 1_000_000_000),
            ("backlog_share", 0, 1),
            ("lag_s", 0, 86_400),
            ("loop_lag_ms", 0, 86_400_000),
            ("disk_share", 0, 1),
            ("disk_bytes", 0, 1 << 50),
            ("memory_share", 0, 1),
            ("raise_after_s", 0, 3_600),
            ("clear_after_s", 0, 86_400),
            ("clear_share", 0.1, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"statistics.alarms.{name} is {value}: choose a value from {low} to {high}")


@attrs.frozen
class Measure:
    """Something that is looked at now. It is too high at 1 and above; `text` says it for people."""

    name: str
    kind: str
    value: float
    threshold: float
    height: float
    text: str


@attrs.frozen
class Alarm:
    """One that stands. since: Unix seconds."""

    name: str
    kind: str
    since: float
    value: float
    threshold: float
    worst: float
    text: str


@attrs.frozen
class Event:
    """An alarm was raised, or cleared. at: Unix seconds."""

    what: str
    at: float
    alarm: Alarm


RAISED: Final = "raised"
CLEARED: Final = "cleared"


class AlarmState:
    """Which stand, and what is on its way to become one, or none."""

    __slots__ = ("above", "below", "past", "raised")

    def __init__(self) -> None:
        self.raised: dict[str, Alarm] = {}
        self.above: dict[str, float] = {}  # name → above the threshold since
        self.below: dict[str, float] = {}  # name → a raised one's: well below since
        self.past: list[Event] = []


def measures(sampler: SamplerState, settings: AlarmSettings) -> Iterator[Measure]:
    """Everything that is looked at, with how high it is."""
    for name, line in sampler.lines.items():
        threshold = float(settings.backlog)
        if line.limit and settings.backlog_share:
            share = line.limit * settings.backlog_share
            threshold = min(threshold, share) if threshold else share
        if threshold:
            yield Measure(
                f"backlog {name}", "backlog", line.length, threshold, line.length / threshold,
                f"{line.length:.0f} wait in the queue {name}",
            )  # fmt: skip
        if settings.lag_s:
            yield Measure(
                f"lag {name}", "lag", line.age_s, settings.lag_s, line.age_s / settings.lag_s,
                f"something waits in the queue {name} for {line.age_s:.0f} s",
            )  # fmt: skip
    levels = sampler.levels

    def level(path: str) -> float | None:
        found = levels.get(path)
        return None if found is None else found.value

    late_ms = level("loop.late_ms")
    if late_ms is not None and settings.loop_lag_ms:
        yield Measure(
            "loop lag", "loop_lag", late_ms, settings.loop_lag_ms, late_ms / settings.loop_lag_ms,
            f"the loop is {late_ms:.0f} ms late",
        )  # fmt: skip
    yield from _room(level, settings)
    if settings.lag_s:
        yield from _copies(levels, settings.lag_s)
    alone = (level("cluster.members") or 0) < 2
    for name, said in (("unserved", "are served by nobody"), ("at_one_copy", "stand at one copy")):
        count = level(f"cluster.partitions.{name}")
        if count is not None and not alone:
            yield Measure(
                f"partitions {name}", "cluster", count, 1.0, count, f"{count:.0f} partitions {said}"
            )
    for path, words in sampler.words.items():
        if path.endswith(".fatal") and words.value is not None:
            yield Measure(
                f"store {path.split('.')[2]}", "store", 1.0, 1.0, 1.0,
                f"group {path.split('.')[2]} of the store writes no more: see the node's log",
            )  # fmt: skip


def _copies(levels: Mapping[str, Any], lag_s: float) -> Iterator[Measure]:
    """Peers that don't take in what was written: nothing of it, or not as fast as it comes."""
    for path, level in levels.items():
        if not path.startswith(_GROUPS) or not path.endswith(".lag_ms"):
            continue
        place = path.removesuffix("lag_ms")
        group, _, peer = place.removeprefix(_GROUPS).removesuffix(".").rpartition(".peers.")
        silent_s = level.value / 1000
        oldest = levels.get(f"{place}oldest_ms")
        behind_s = max(silent_s, oldest.value / 1000 if oldest is not None else 0.0)
        text = f"{peer} has acknowledged nothing of group {group} for {silent_s:.0f} s"
        if silent_s < lag_s <= behind_s:
            text = f"{peer} is {behind_s:.0f} s behind in group {group}{_worst(levels, place)}"
        yield Measure(f"replication {group} {peer}", "lag", behind_s, lag_s, behind_s / lag_s, text)


def _worst(levels: Mapping[str, Any], place: str) -> str:
    """The table with the oldest row of which the peer at this place of the figures knows nothing yet."""
    begin, end = f"{place}tables.", ".oldest_ms"
    found = [
        (level.value, path)
        for path, level in levels.items()
        if path.startswith(begin) and path.endswith(end) and level.value
    ]
    return f", above all in table {max(found)[1][len(begin) : -len(end)]}" if found else ""


def _room(level: Any, settings: AlarmSettings) -> Iterator[Measure]:
    free_share, free = level("system.disk.free_share"), level("system.disk.free_bytes")
    if free_share is not None and settings.disk_share:
        used = 1.0 - free_share
        yield Measure(
            "disk", "disk", round(used, 4), settings.disk_share, used / settings.disk_share,
            f"the data directory's file system is {used:.0%} full",
        )  # fmt: skip
    if free is not None and settings.disk_bytes:
        yield Measure(
            "disk space", "disk", free, settings.disk_bytes, settings.disk_bytes / max(free, 1.0),
            f"{free / (1 << 20):.0f} MiB are left for the data directory",
        )  # fmt: skip
    resident, limit, available = (
        level(f"system.memory.{name}") for name in ("resident_bytes", "limit_bytes", "available_bytes")
    )
    if settings.memory_share and resident is not None and limit:
        left = limit - resident
        if available is not None:
            left = min(left, available)  # what others use can't be had
        used = 1.0 - left / limit
        yield Measure(
            "memory", "memory", round(used, 4), settings.memory_share, used / settings.memory_share,
            f"{left / (1 << 20):.0f} MiB of memory are left, {used:.0%} are in use",
        )  # fmt: skip


def step(state: AlarmState, settings: AlarmSettings, sampler: SamplerState, wall: float) -> list[Event]:
    """A sample was taken: what was raised or cleared by it. `wall`: Unix seconds, for people."""
    now = sampler.at or 0.0
    events: list[Event] = []
    looked_at: set[str] = set()
    for measure in measures(sampler, settings):
        name = measure.name
        looked_at.add(name)
        standing = state.raised.get(name)
        if standing is None:
            _rise(state, settings, measure, now, wall, events)
        else:
            alarm = attrs.evolve(
                standing,
                value=measure.value,
                threshold=measure.threshold,
                worst=_worse(measure, standing.worst),
                text=measure.text,
            )
            state.raised[name] = alarm
            if measure.height >= settings.clear_share:
                state.below.pop(name, None)
            elif now - state.below.setdefault(name, now) >= settings.clear_after_s:
                _clear(state, alarm, wall, events)
    for name in [name for name in state.above if name not in looked_at]:
        del state.above[name]
    for name in [
        name for name in state.raised if name not in looked_at
    ]:  # the queue is gone, or the threshold is 0
        _clear(state, state.raised[name], wall, events)
    return events


def _rise(
    state: AlarmState, settings: AlarmSettings, measure: Measure, now: float, wall: float, events: list[Event]
) -> None:
    name = measure.name
    if measure.height < 1.0:
        state.above.pop(name, None)
    elif now - state.above.setdefault(name, now) >= settings.raise_after_s and len(state.raised) < RAISED_MAX:
        del state.above[name]
        alarm = Alarm(name, measure.kind, wall, measure.value, measure.threshold, measure.value, measure.text)
        state.raised[name] = alarm
        events.append(Event(RAISED, wall, alarm))


def _clear(state: AlarmState, alarm: Alarm, wall: float, events: list[Event]) -> None:
    del state.raised[alarm.name]
    state.below.pop(alarm.name, None)
    event = Event(CLEARED, wall, alarm)
    events.append(event)
    state.past.append(event)
    del state.past[:-PAST_MAX]


def _worse(measure: Measure, before: float) -> float:
    """Of free space the least is the worst, of all else the most."""
    return min(before, measure.value) if measure.name == "disk space" else max(before, measure.value)
