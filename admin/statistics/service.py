"""The sampler of a node that serves: once a second it looks, keeps, and sees whether something rings.

One task. What may block (the system's files, the history's file) is done in a thread, in one go; the figures of the
node are read on the loop, where they are true. What all of this costs is itself a figure.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs
import structlog
import trio

from admin.statistics import alarms, sampler
from admin.statistics.alarms import RAISED, AlarmState, Event
from admin.statistics.exposition import render
from admin.statistics.garbage import Garbage
from admin.statistics.glance import glance
from admin.statistics.history import HistoryWriter
from admin.statistics.machine import Machine
from admin.statistics.series import SamplerState
from admin.statistics.settings import StatisticsSettings
from admin.statistics.telling import Teller
from node.histogram import Histogram
from replication.rounds import go_round

log = structlog.get_logger()

INTERVAL_S: Final = 1.0


@attrs.define
class Costs:
    """What statistics have cost, and what they missed."""

    cpu_seconds: float = 0.0
    missed: int = 0
    failures: int = 0
    scrapes_answered: int = 0
    scrapes_refused: int = 0


class Statistics:
    """Of one node. `parts`: what else has statistics, by the name that its figures begin with; more may come while it
    runs.

    Args:
        figures: the node's own, as `Running.statistics`.
        history: where records are kept; None: nowhere. It belongs to whoever made it.
        teller: who is told of alarms; None: nobody.
        wall, monotonic: seconds.
    """

    def __init__(
        self,
        settings: StatisticsSettings,
        figures: Callable[[], Mapping[str, Any]],
        machine: Machine,
        *,
        history: HistoryWriter | None = None,
        teller: Teller | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.sampler = SamplerState()
        self.alarms = AlarmState()
        self.costs = Costs()
        self.history = history
        self.parts: dict[str, Callable[[], Mapping[str, Any]]] = {}
        self._teller = teller
        self._figures = figures
        self._machine = machine
        self._wall = wall
        self._monotonic = monotonic
        self._garbage = Garbage()
        self._lateness_us = Histogram()
        self._beside: dict[str, Any] = {}
        self._row: tuple[float, float, dict[str, float]] | None = None  # sampled, and not kept yet
        self._began = self._due = monotonic()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Sample until cancelled. The last second is kept before the end."""
        self._garbage.watch()
        try:
            async with trio.open_nursery() as nursery:
                if self._teller is not None:
                    nursery.start_soon(self._teller.run)
                await self.look(0.0)
                task_status.started()
                self._due = self._monotonic() + INTERVAL_S
                await go_round(self._on_time)
        finally:
            self._garbage.unwatch()
            self._keep()

    async def _on_time(self) -> None:
        self._due = await self.step(self._due)

    async def step(self, due: float) -> float:
        """Wait until a sample is due, and take it. Gives when the next one is due."""
        await trio.sleep(max(0.0, due - self._monotonic()))
        late_s = max(0.0, self._monotonic() - due)
        await self.look(late_s)
        missed = int((self._monotonic() - due) / INTERVAL_S)
        self.costs.missed += missed
        return due + INTERVAL_S * (1 + missed)

    async def look(self, late_s: float) -> None:
        """One sample, by a loop that came so late to it."""
        self._lateness_us.record(int(late_s * 1e6))
        try:
            system, seconds = await trio.to_thread.run_sync(self._apart)
            began = time.thread_time()
            self._take(system, late_s)
            self.costs.cpu_seconds += seconds + time.thread_time() - began
        except Exception:  # whatever it is: no statistic is worth a node
            if not self.costs.failures:
                log.exception("sample_failed")
            self.costs.failures += 1

    def _apart(self) -> tuple[dict[str, Any], float]:
        """In a thread: what may block. Gives the system's figures, and the CPU that it took."""
        began = time.thread_time()
        self._keep()
        return self._machine.read(), time.thread_time() - began

    def _keep(self) -> None:
        row, self._row = self._row, None
        if row is not None and self.history is not None:
            self.history.keep(*row)

    def _take(self, system: dict[str, Any], late_s: float) -> None:
        nursery_figures = trio.lowlevel.current_statistics()
        lateness = self._lateness_us.picture()
        now, wall = self._monotonic(), self._wall()
        parts = {name: part() for name, part in self.parts.items()}
        self._beside = {
            "system": system,
            "gc": self._garbage.statistics(),
            "loop": {
                "late_ms": round(late_s * 1000, 3),
                "lateness_us": attrs.asdict(lateness),
                "tasks": nursery_figures.tasks_living,
                "runnable": nursery_figures.tasks_runnable,
            },
            "statistics": self.statistics(),
        }
        sampler.take(self.sampler, now, {**self._figures(), **self._beside, **parts})
        for event in alarms.step(self.alarms, self.settings.alarms, self.sampler, wall):
            self._rang(event)
        if self.history is not None and self.sampler.interval_s > 0:
            self._row = (wall, self.sampler.interval_s, sampler.row(self.sampler))

    def _rang(self, event: Event) -> None:
        alarm = event.alarm
        tell = log.warning if event.what == RAISED else log.info
        tell(
            f"alarm_{event.what}",
            alarm=alarm.name,
            cause=alarm.text,
            value=alarm.value,
            threshold=alarm.threshold,
        )
        if self._teller is not None:
            self._teller.tell(event)

    def statistics(self) -> dict[str, Any]:
        """Of the statistics themselves."""
        found: dict[str, Any] = {
            "samples": self.sampler.samples,
            "figures_left_out": self.sampler.left_out,
            "missed": self.costs.missed,
            "failures": self.costs.failures,
            "cpu_seconds": round(self.costs.cpu_seconds, 6),
            "alarms": len(self.alarms.raised),
            "uptime_seconds": round(self._monotonic() - self._began, 3),
            "scrapes": {
                "answered": self.costs.scrapes_answered,
                "refused": self.costs.scrapes_refused,
            },
        }
        if self.history is not None:
            found |= {"history_errors": self.history.errors, "figures_dropped": self.history.dropped}
        if self._teller is not None:
            found["webhook"] = self._teller.statistics()
        return found

    # ---- for commands ----------------------------------------------------------------------------

    def scrape(self) -> str:
        """The last sample as Prometheus reads it."""
        began = time.thread_time()
        text = render(
            self.sampler, raised=[(alarm.name, alarm.kind) for alarm in self.alarms.raised.values()]
        )
        self.costs.cpu_seconds += time.thread_time() - began
        return text

    def scraped(self, answered: bool) -> None:
        """Somebody asked for it."""
        if answered:
            self.costs.scrapes_answered += 1
        else:
            self.costs.scrapes_refused += 1

    def beside(self) -> dict[str, Any]:
        """What the last sample took beside the node's own figures, and the alarms that stand."""
        return {**self._beside, "alarms": self.raised()}

    def figures(self) -> dict[str, Any]:
        """Every figure of the last sample, flat, by path."""
        return sampler.values(self.sampler)

    def rates(self) -> dict[str, tuple[float, ...]]:
        """What each counter adds a second, over 1, 10 and 100 s."""
        return sampler.rates(self.sampler)

    def queues(self) -> list[dict[str, Any]]:
        """Every queue: length, rates, age, projected drain time."""
        return sampler.lines(self.sampler)

    def glance(self) -> dict[str, Any]:
        """The last sample in a few figures."""
        return glance(sampler.row(self.sampler), self.queues(), self.raised())

    def raised(self) -> list[dict[str, Any]]:
        """The alarms that stand, the oldest first."""
        standing = sorted(self.alarms.raised.values(), key=lambda alarm: alarm.since)
        return [attrs.asdict(alarm) for alarm in standing]

    def past(self) -> list[dict[str, Any]]:
        """Alarms that were cleared, the newest first."""
        return [{**attrs.asdict(event.alarm), "cleared": event.at} for event in reversed(self.alarms.past)]
