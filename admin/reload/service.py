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
from typing import Any, Final, TypeVar

import attrs
import structlog
import trio

from admin.reload.ending import ends_node
from admin.reload.errors import (
    HistoryNotWritten,
    HubGone,
    NothingToReload,
    NothingToRollBack,
    NoWayBack,
    ReloadError,
    ReloadRefused,
    SourcesMoved,
    SwapFailed,
)
from admin.reload.health import Pulse, verdict
from admin.reload.history import History
from admin.reload.planning import Plan
from admin.reload.policy import PACKAGES
from admin.reload.proposing import import_outside, plan_of, with_draft
from admin.reload.recording import Recorder
from admin.reload.settings import ReloadSettings
from admin.reload.sources import Sources, read_sources
from admin.reload.swapping import roll_back, swap
from admin.reload.turns import alone, between_batches
from admin.reload.watching import Done, Watch

log = structlog.get_logger()

UNDOS_MAX: Final = 16
"""Reloads that can be rolled back, one after the other; what is older stays."""
DISK_REMEDY: Final = "the files are as they were: put the right ones in place, or the next start takes these"
FORGIVEN_S: Final = 10.0
"""After code was undone, so long a task may still be in its body: it is suspended there, and ends in it."""
ITSELF: Final = "health watch"
T = TypeVar("T")


class Reload:
    """Of one node. `open` first; `run` beside the node for as long as it serves."""

    def __init__(
        self,
        folder: Path,
        soon: Callable[[Callable[[], None]], None],
        pulse: Callable[[], Pulse],
        *,
        stopped: trio.Event,
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
            stopped: nothing is called any more (`Hub.stopped`).
            wall: seconds since 1970.
            packages, root: what is ours, and where it was imported from; tests bring a world of their own.
        """
        self.settings = settings or ReloadSettings()
        self._history = History(folder / "history.jsonl")
        self._recorder = Recorder(self._history)
        self._soon = soon
        self._pulse = pulse
        self._stopped = stopped
        self._wall = wall
        self._packages = tuple(packages)
        self._root = root or Path(__file__).resolve().parents[2]
        self._runs: Sources | None = None
        self._inspecting = trio.Lock()
        self._swapping = trio.Lock()  # short: a rollback doesn't wait for an inspection
        self._pulses: deque[Pulse] = deque(maxlen=math.ceil(self.settings.before_s / self.settings.sample_s))
        self._done: deque[Done] = deque(maxlen=UNDOS_MAX)
        self._watches: list[Watch] = []  # the oldest first
        self._turning = False  # a step between two batches is on its way
        self._forgiven_until = -math.inf
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

    def go_over(
        self, soon: Callable[[Callable[[], None]], None], pulse: Callable[[], Pulse], stopped: trio.Event
    ) -> None:
        """Another node serves in this process, by the same code. It counts from nought: what was watched is compared
        with nothing any more, and is taken back only if something fails by it.
        """
        self._soon, self._pulse, self._stopped = soon, pulse, stopped
        self._pulses.clear()
        for watch in self._watches:
            watch.before = ()
            watch.after.clear()

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
            HubTooBusy, HubGone, HistoryNotWritten
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
                    await self._recorder.begin({**entry, "state": "refused", "cause": refusals[0]["cause"]})
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
            NothingToRollBack, NoWayBack, SwapFailed, HubTooBusy, HubGone
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
            "watching": len(self._watches),
            "pause_ms_last": self._pause_ms_last,
            "pause_ms_max": self._pause_ms_max,
            "history_failed": self._recorder.failed,
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
        runs = with_draft(self._running, sources, plan.draft)
        before = (*self._pulses, self._pulse())  # by the old code
        number = await self._recorder.begin({**entry, "state": "begun"})

        def put() -> Done:
            """In the hub's batch, so that what fails by it from the next moment on is taken back."""
            done = Done(number, plan.id, swap(plan.steps), self._running, entry["modules"])
            self._is_done(done, runs, Watch(done, before, before[-1].at_s + watch_s) if watch_s > 0 else None)
            return done

        try:
            with trio.CancelScope(shield=True):  # from here on it is done, and recorded, or it failed
                applied = (await self._turn(put)).applied
        except ReloadError as error:
            await self._recorder.go_on(number, state="failed", cause=str(error))
            raise
        pause_ms = max(applied.pause_ms, plan.prepare_ms)
        self._paused(pause_ms)
        state = "watched" if watch_s > 0 else "kept"
        with trio.CancelScope(shield=True):
            if all(one.number != number for one in self._done):  # it failed at once, and was taken back
                state = "rolled_back"
            await self._recorder.go_on(number, state=state, pause_ms=pause_ms)
        log.info("reloaded", reload=number, version=plan.id, who=entry["who"], pause_ms=round(pause_ms, 3))
        return {
            **plan.told(),
            "reload": number,
            "state": state,
            "pause_ms": pause_ms,
            "swap_ms": applied.pause_ms,
            "watch_s": watch_s,
        }

    async def _turn(self, function: Callable[[], T]) -> T:
        """Between two batches. Meanwhile nobody else changes code."""
        self._turning = True
        try:
            return await between_batches(self._soon, self._stopped, partial(self._turn_now, function))
        finally:
            self._turning = False

    def _turn_now(self, function: Callable[[], T]) -> T:
        try:
            return function()
        finally:
            self._turning = False

    def _is_done(self, done: Done, runs: Sources, watch: Watch | None) -> None:
        if len(self._done) == self._done.maxlen:
            oldest = self._done[0]
            self._forget(oldest, "too many others followed to take it back")
        self._done.append(done)
        self._runs = runs
        self._applied += 1
        if watch is not None:
            self._watches.append(watch)

    def _forget(self, done: Done, cause: str) -> None:
        """It is no longer watched, and stays."""
        if any(one.done is done for one in self._watches):
            self._watches = [one for one in self._watches if one.done is not done]
            self._recorder.note(done.number, state="kept", cause=cause)  # written at the next step

    async def _roll_back(self, who: str, cause: str) -> dict[str, Any]:
        if not self._done:
            raise NothingToRollBack
        done = self._done[-1]
        if done.applied.no_way_back:
            raise NoWayBack(done.applied.no_way_back)
        with trio.CancelScope(shield=True):
            pause_ms = await self._turn(partial(self._take_back, done, who))
            await self._recorder.go_on(done.number, **self._ended(who, pause_ms, cause))
        log.warning("rolled back", reload=done.number, who=who, cause=cause, remedy=DISK_REMEDY)
        return {
            "reload": done.number,
            "state": "rolled_back",
            "version": done.before.version,
            "cause": cause,
            "pause_ms": pause_ms,
            "note": DISK_REMEDY,
        }

    def _take_back(self, done: Done, who: str) -> float:
        """The newest. Gives the pause, in ms."""
        assert done is self._done[-1]
        pause_ms = roll_back(done.applied)
        self._done.pop()
        self._runs = done.before
        self._watches = [one for one in self._watches if one.done is not done]
        self._pulses.clear()  # nobody is to be compared with what was bad
        self._rolled_back += 1
        self._undone += who == ITSELF
        self._forgiven_until = trio.current_time() + FORGIVEN_S
        self._paused(pause_ms)
        return pause_ms

    def _ended(self, who: str, pause_ms: float, cause: str) -> dict[str, Any]:
        ended = {"rolled_back_at": self._wall(), "rolled_back_by": who, "rollback_pause_ms": pause_ms}
        return {"state": "rolled_back", **ended, **({"cause": cause} if cause else {})}

    def _paused(self, pause_ms: float) -> None:
        self._pause_ms_last = pause_ms
        self._pause_ms_max = max(self._pause_ms_max, pause_ms)

    # ---- watching -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Take pictures, and undo what makes them worse."""
        while True:
            try:
                await self.step()
            except Exception as error:  # whatever it is: no picture is worth a node
                if not self.rescue_beside(error):
                    log.exception("a picture of the node's health failed")
                await trio.sleep(self.settings.sample_s)

    async def step(self) -> None:
        """One picture, and what follows from it."""
        await self._recorder.flush()
        pulse = self._pulse()
        self._pulses.append(pulse)
        for watch in tuple(self._watches):
            watch.after.append(pulse)
        for watch in tuple(self._watches):
            await self._judge(watch, pulse)
        await trio.sleep(self.settings.sample_s)

    def rescue(self, error: Exception, what: str = "a pass of the hub") -> bool:
        """For the hub, on whose thread it is called: `what` failed. True: a reload that is watched was undone, and the
        node may go on. What the pass had begun may be done twice, which phones are used to.
        """
        if not self._watches or not self._done or ends_node(error) or self._turning:
            return False
        done = self._done[-1]  # if it wasn't that one, the next failure takes back the one before
        if done.applied.no_way_back:
            return False
        cause = f"{type(error).__name__} ended {what}"
        try:
            pause_ms = self._take_back(done, ITSELF)
        except SwapFailed as failed:  # nothing was taken back, nor will be: what failed is no worse by it
            self._keep_all(cause, failed, done.number)
            return False
        self._recorder.note(done.number, **self._ended(ITSELF, pause_ms, cause))  # written at the next step
        log.error(
            "a reload failed outside of any connection, and was undone", reload=done.number, cause=cause
        )
        return True

    def rescue_beside(self, error: Exception) -> bool:
        """For tasks beside the hub. One that was in code that is undone by now may fail by it once more."""
        if self.rescue(error, "a task beside the hub"):
            return True
        if trio.current_time() >= self._forgiven_until or ends_node(error):
            return False
        log.warning("a task failed in code that was undone, and goes on", cause=type(error).__name__)
        return True

    async def _judge(self, watch: Watch, pulse: Pulse) -> None:
        worse = verdict(watch.before, tuple(watch.after))
        if worse:
            async with self._swapping:
                await self._undo(watch, worse)
        elif pulse.at_s >= watch.until_s and watch in self._watches:
            self._watches.remove(watch)
            await self._recorder.go_on(watch.done.number, state="kept")

    async def _undo(self, watch: Watch, worse: str) -> None:
        """It, and before it all that followed: any of them may be what made the node worse."""
        while watch in self._watches:  # nobody was faster
            number = self._done[-1].number
            try:
                await self._roll_back(ITSELF, worse)
            except HubGone:  # it takes the code with it
                return
            except ReloadError as error:
                self._keep_all(worse, error, number)
                await self._recorder.flush()

    def _keep_all(self, cause: str, error: ReloadError, number: int) -> None:
        """No watch goes on: this one can't be undone, and those before it only after it."""
        log.error("a reload made the node worse and can't be undone", cause=cause, remedy=str(error))
        for one in self._watches:
            self._recorder.note(one.done.number, state="kept", cause=cause, remedy=str(error), held_by=number)
        self._watches = []
