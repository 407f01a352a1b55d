"""Hot reload as commands use it: one at a time, recorded, watched, and undone if the node gets worse by it.

Files are never written: what is on disk is what a node starts with, whatever happened to the running one. This module
must never know who may ask.
"""

import math
import sys
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import structlog
import trio

from admin.reload.errors import (
    HistoryNotWritten,
    NothingToReload,
    NothingToRollBack,
    NoWayBack,
    ReloadError,
    ReloadRefused,
    SourcesMoved,
)
from admin.reload.health import PICTURES, Pulse, verdict
from admin.reload.history import History
from admin.reload.planning import Plan
from admin.reload.policy import PACKAGES
from admin.reload.proposing import import_outside, plan_of, with_draft
from admin.reload.settings import ReloadSettings
from admin.reload.sources import Sources, read_sources
from admin.reload.swapping import Applied, roll_back, swap
from admin.reload.turns import alone, between_batches
from store.errors import StoreFatal

log = structlog.get_logger()

UNDOS_MAX: Final = 16
"""Reloads that can be rolled back, one after the other; what is older stays."""
DISK_REMEDY: Final = "the files are as they were: put the right ones in place, or the next start takes these"
HISTORY_LOG_EVERY: Final = 600
"""Of the failures to write it, which come once a second while a disk is full, so many are one line of the log."""
ITSELF: Final = "health watch"


@attrs.frozen
class Done:
    """A reload that is in effect. plan: its id. before: the sources that ran until then. modules: what it replaced →
    version.
    """

    number: int
    plan: str
    applied: Applied
    before: Sources
    modules: dict[str, str]


@attrs.define
class Watch:
    """One under way. before: pictures of the time before the change."""

    done: Done
    before: tuple[Pulse, ...]
    until_s: float
    after: deque[Pulse] = attrs.Factory(lambda: deque(maxlen=PICTURES))


class Reload:
    """Of one node. `open` first; `run` beside the node for as long as it serves."""

    def __init__(
        self,
        folder: Path,
        soon: Callable[[Callable[[], None]], None],
        pulse: Callable[[], Pulse],
        *,
        wall: Callable[[], float],
        settings: ReloadSettings | None = None,
        packages: Sequence[str] = PACKAGES,
        root: Path | None = None,
    ) -> None:
        """
        Args:
            folder: the history's; made if need be.
            soon: calls a function between two batches (`Hub.soon`).
            pulse: takes a picture of the node's health.
            wall: seconds since 1970.
            packages, root: what is ours, and where it was imported from; tests bring a world of their own.
        """
        self.settings = settings or ReloadSettings()
        self._history = History(folder / "history.jsonl")
        self._soon = soon
        self._pulse = pulse
        self._wall = wall
        self._packages = tuple(packages)
        self._root = root or Path(__file__).resolve().parents[2]
        self._runs: Sources | None = None
        self._inspecting = trio.Lock()
        self._swapping = trio.Lock()  # short: a rollback doesn't wait for an inspection
        self._pulses: deque[Pulse] = deque(maxlen=math.ceil(self.settings.before_s / self.settings.sample_s))
        self._done: deque[Done] = deque(maxlen=UNDOS_MAX)
        self._watch: Watch | None = None
        self._history_failed = 0
        self._applied = 0
        self._rolled_back = 0
        self._undone = 0
        self._refused = 0
        self._pause_ms_last = 0.0
        self._pause_ms_max = 0.0

    async def open(self, runs: Sources | None = None) -> None:
        """Read the history.

        Args:
            runs: the sources of what runs; None: read now. Files must not have changed since they were imported.

        Raises:
            NoSources, OSError
        """
        if runs is None:
            runs = await trio.to_thread.run_sync(read_sources, self._root, self._packages)
        self._runs = runs
        for entry in await trio.to_thread.run_sync(self._history.open):
            log.warning(
                "a reload was under way or watched when this node ended; it has started from the files on disk",
                reload=entry["id"],
                version=entry.get("version"),
                runs=runs.version,
            )

    # ---- what is asked ---------------------------------------------------------------------------

    async def plan(self, wheel: Path | None = None) -> Plan:
        """What differs between what runs and the files on disk (or a wheel), and what would be in the way.

        Raises:
            ReloadBusy, NoSources, InspectionFailed, SourcesMoved
        """
        async with alone(self._inspecting):
            plan, _ = await self._plan(wheel)
            return plan

    async def apply(
        self, who: str, wheel: Path | None = None, *, only: str = "", watch_s: float | None = None
    ) -> dict[str, Any]:
        """Plan, and put it in place: everything, between two batches of the hub, or nothing.

        Args:
            only: the id of a plan: if the files are no longer those, nothing is done.

        Raises:
            ReloadRefused, NothingToReload, SwapFailed, ReloadBusy, NoSources, InspectionFailed, SourcesMoved,
            HubTooBusy, HistoryNotWritten
        """
        async with alone(self._inspecting):
            runs = self._running
            plan, sources = await self._plan(wheel)
            if self._running is not runs:
                raise SourcesMoved("a reload was rolled back")
            if only and plan.id != only:
                raise SourcesMoved(f"{plan.id} is there, {only} was planned")
            if plan.empty:
                raise NothingToReload
            entry = {
                "at": self._wall(),
                "who": who,
                "what": "apply",
                "from": plan.root,
                "version": plan.id,
                "before": plan.came_from,
                "modules": {one.name: one.new_version for one in plan.draft.modules},
            }
            if plan.refusals:
                self._refused += 1
                refusals = [attrs.asdict(one) for one in plan.refusals]
                with suppress(HistoryNotWritten):  # it is told to whoever asked, which is more
                    await self._record({**entry, "state": "refused", "cause": refusals[0]["cause"]})
                raise ReloadRefused(refusals)
            await import_outside(plan.draft.outside)
            async with self._swapping:
                if self._running is not runs:
                    raise SourcesMoved("a reload was rolled back")
                return await self._apply(
                    plan, sources, entry, self.settings.watch_s if watch_s is None else watch_s
                )

    async def rollback(self, who: str, *, only: str = "") -> dict[str, Any]:
        """Undo the last reload that is in effect.

        Args:
            only: the id of a plan: if the last one is of another, nothing is done.

        Raises:
            NothingToRollBack, NoWayBack, SwapFailed, HubTooBusy
        """
        async with self._swapping:
            if only and self._done and self._done[-1].plan != only:
                raise NothingToRollBack
            return await self._roll_back(who, "")

    def history(self) -> list[dict[str, Any]]:
        """Every reload that is remembered, the oldest first."""
        return self._history.entries()

    def versions(self) -> dict[str, str]:
        """Module → version, of all of ours that run."""
        runs = self._running
        return {name: runs.modules[name].version for name in sorted(self._loaded())}

    def statistics(self) -> dict[str, Any]:
        """Cheap: for once a second. `version` is of all modules together, `modules` has the reloaded ones."""
        return {
            "version": self._running.version,
            "applied": self._applied,
            "rolled_back": self._rolled_back,
            "undone": self._undone,
            "refused": self._refused,
            "in_effect": len(self._done),
            "watching": int(self._watch is not None),
            "pause_ms_last": self._pause_ms_last,
            "pause_ms_max": self._pause_ms_max,
            "history_failed": self._history_failed,
            "history_waiting": self._history.waiting,
            "modules": {name: version for done in self._done for name, version in done.modules.items()},
        }

    # ---- what runs ---------------------------------------------------------------------------------

    @property
    def _running(self) -> Sources:
        assert self._runs is not None, "open() comes first"
        return self._runs

    def _loaded(self) -> list[str]:
        return [name for name in self._running.modules if name in sys.modules]

    async def _plan(self, wheel: Path | None) -> tuple[Plan, Sources]:
        return await plan_of(self._running, wheel or self._root, self._packages, self._loaded())

    # ---- putting in place ---------------------------------------------------------------------------

    async def _apply(
        self, plan: Plan, sources: Sources, entry: dict[str, Any], watch_s: float
    ) -> dict[str, Any]:
        number = await self._record({**entry, "state": "begun"})
        try:
            with trio.CancelScope(shield=True):  # from here on it is done, and recorded, or it failed
                applied = await between_batches(self._soon, partial(swap, plan.steps))
        except ReloadError as error:
            await self._go_on(number, state="failed", cause=str(error))
            raise
        done = Done(number, plan.id, applied, self._running, entry["modules"])
        self._runs = with_draft(self._running, sources, plan.draft)
        self._done.append(done)
        self._applied += 1
        pause_ms = max(applied.pause_ms, plan.prepare_ms)
        self._paused(pause_ms)
        if (former := self._watch) is not None:
            self._watch = None
            await self._go_on(former.done.number, state="kept", cause="another reload followed")
        if watch_s > 0:
            self._watch = Watch(done, (*self._pulses, self._pulse()), self._pulse().at_s + watch_s)
        state = "watched" if watch_s > 0 else "kept"
        with trio.CancelScope(shield=True):
            await self._go_on(number, state=state, pause_ms=pause_ms)
        log.info("reloaded", reload=number, version=plan.id, who=entry["who"], pause_ms=round(pause_ms, 3))
        return {
            **plan.told(),
            "reload": number,
            "state": state,
            "pause_ms": pause_ms,
            "swap_ms": applied.pause_ms,
            "watch_s": watch_s,
        }

    async def _roll_back(self, who: str, cause: str) -> dict[str, Any]:
        if not self._done:
            raise NothingToRollBack
        done = self._done[-1]
        if done.applied.no_way_back:
            raise NoWayBack(done.applied.no_way_back)
        with trio.CancelScope(shield=True):
            pause_ms = await between_batches(self._soon, partial(roll_back, done.applied))
            self._is_undone(done, who, pause_ms)
            await self._go_on(done.number, **self._ended(who, pause_ms, cause))
        log.warning("rolled back", reload=done.number, who=who, cause=cause, remedy=DISK_REMEDY)
        return {
            "reload": done.number,
            "state": "rolled_back",
            "version": done.before.version,
            "cause": cause,
            "pause_ms": pause_ms,
            "note": DISK_REMEDY,
        }

    def _is_undone(self, done: Done, who: str, pause_ms: float) -> None:
        self._done.pop()
        self._runs = done.before
        self._watch = None
        self._pulses.clear()  # nobody is to be compared with what was bad
        self._rolled_back += 1
        self._undone += who == ITSELF
        self._paused(pause_ms)

    def _ended(self, who: str, pause_ms: float, cause: str) -> dict[str, Any]:
        ended = {"rolled_back_at": self._wall(), "rolled_back_by": who, "rollback_pause_ms": pause_ms}
        return {"state": "rolled_back", **ended, **({"cause": cause} if cause else {})}

    def _paused(self, pause_ms: float) -> None:
        self._pause_ms_last = pause_ms
        self._pause_ms_max = max(self._pause_ms_max, pause_ms)

    async def _record(self, entry: dict[str, Any]) -> int:
        """Before anything is touched: what can't be written down isn't done.

        Raises:
            HistoryNotWritten
        """
        try:
            return await trio.to_thread.run_sync(self._history.begin, entry)
        except OSError as error:
            self._not_written(error)
            raise HistoryNotWritten(str(error.strerror)) from None

    async def _go_on(self, number: int, **changes: Any) -> None:
        """What has happened: if the disk doesn't take it, it is written at a later step."""
        self._history.go_on(number, **changes)
        await self._flush()

    async def _flush(self) -> None:
        try:
            await trio.to_thread.run_sync(self._history.flush)
        except OSError as error:
            self._not_written(error)

    def _not_written(self, error: OSError) -> None:
        if not self._history_failed % HISTORY_LOG_EVERY:
            log.error(
                "the history of reloads can't be written",
                cause=error.strerror,
                outcomes_waiting=self._history.waiting,
            )
        self._history_failed += 1

    # ---- watching -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take pictures, and undo what makes them worse."""
        while True:
            await self.step()

    async def step(self) -> None:
        """One picture, and what follows from it."""
        if self._history.waiting:
            await self._flush()
        pulse = self._pulse()
        self._pulses.append(pulse)
        watch = self._watch
        if watch is not None:
            watch.after.append(pulse)
            await self._judge(watch, pulse)
        await trio.sleep(self.settings.sample_s)

    def rescue(self, error: Exception) -> bool:
        """For the hub, on whose thread it is called: a pass failed. True: a reload that is watched was undone, and the
        node may go on. What the pass had begun may be done twice, which phones are used to.
        """
        watch = self._watch
        if watch is None or isinstance(error, StoreFatal) or self._swapping.locked():
            return False
        done = watch.done
        if done.applied.no_way_back or self._done[-1] is not done:
            return False
        pause_ms = roll_back(done.applied)
        self._is_undone(done, ITSELF, pause_ms)
        cause = f"{type(error).__name__} ended a pass of the hub"
        self._history.go_on(done.number, **self._ended(ITSELF, pause_ms, cause))  # written at the next step
        log.error(
            "a reload failed outside of any connection, and was undone", reload=done.number, cause=cause
        )
        return True

    async def _judge(self, watch: Watch, pulse: Pulse) -> None:
        worse = verdict(watch.before, tuple(watch.after))
        if worse:
            async with self._swapping:
                if self._watch is watch:  # nobody was faster
                    await self._undo(watch, worse)
        elif pulse.at_s >= watch.until_s and self._watch is watch:
            self._watch = None
            await self._go_on(watch.done.number, state="kept")

    async def _undo(self, watch: Watch, worse: str) -> None:
        self._watch = None
        try:
            await self._roll_back(ITSELF, worse)
        except ReloadError as error:
            log.error("a reload made the node worse and can't be undone", cause=worse, remedy=str(error))
            await self._go_on(watch.done.number, state="kept", cause=worse, remedy=str(error))
