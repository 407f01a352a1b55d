"""Profiling of a node, put together: one look of a kind at a time, and what is kept of the last.

On the loop; what takes long goes to threads or in slices. It must never be on while nobody looks, but for `Births`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import trio

from admin.profiling import allocations, heap, report, waiting
from admin.profiling.heap import Heap
from admin.profiling.places import Places
from admin.profiling.sampling import Sampler, Samples
from admin.profiling.stepping import Births, Stepped, Steps
from admin.profiling.ticking import NoTimer, ticking

THREAD: Final = "profiler"
NAMES_S: Final = 0.25
"""How often threads that came meanwhile are learnt by name."""


class Busy(Exception):
    """Somebody looks in the same way already."""


class Profiling:
    """Of one node; made on its loop's thread, when Trio runs."""

    def __init__(self) -> None:
        self._loop = threading.get_ident()
        self._births = Births(trio.current_time)
        self._before: Heap | None = None
        self._looking: set[str] = set()
        self._profiles = self._samples = self._heaps = 0
        self._cost_seconds = 0.0
        trio.lowlevel.add_instrument(self._births)

    def close(self) -> None:
        """Listen no more. On the loop."""
        trio.lowlevel.remove_instrument(self._births)

    def statistics(self) -> dict[str, Any]:
        """looking: looks that go on now. cost_seconds: of the loop, for samples."""
        return {
            "looking": len(self._looking),
            "profiles": self._profiles,
            "samples": self._samples,
            "cost_seconds": round(self._cost_seconds, 6),
            "heaps": self._heaps,
            "tasks_known": len(self._births),
        }

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        if what in self._looking:
            raise Busy
        self._looking.add(what)
        try:
            yield
        finally:
            self._looking.discard(what)

    async def profile(
        self, seconds: float, rate: int, *, top: int, resting: bool, with_stacks: bool
    ) -> dict[str, Any]:
        """Where the time goes, for so long. Cancelled, the sampler ends with its next sample.

        Raises:
            Busy
        """
        with self._alone("profile"):
            samples = await self._sample(seconds, rate)
            self._profiles += 1
            self._samples += samples.taken
            self._cost_seconds += samples.cost_seconds
            return await trio.to_thread.run_sync(
                lambda: report.told(samples, self._loop, top=top, resting=resting, with_stacks=with_stacks)
            )

    async def _sample(self, seconds: float, rate: int) -> Samples:
        stepped = Stepped()
        sampler = Sampler(rate, self._loop, lambda: stepped.name)
        trio.lowlevel.add_instrument(stepped)
        try:
            await self._take(sampler, seconds, rate)
        finally:
            trio.lowlevel.remove_instrument(stepped)
        return sampler.samples()

    async def _take(self, sampler: Sampler, seconds: float, rate: int) -> None:
        try:
            with ticking(rate, sampler.tick):
                await _wait(sampler, seconds)
            return
        except NoTimer:
            pass
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.to_thread.run_sync, sampler.run, thread_name=THREAD))
            try:
                await _wait(sampler, seconds)
            finally:
                sampler.stop.set()

    async def snapshot(self, over_s: float) -> dict[str, Any]:
        """Tasks and threads now; over_s: having counted each task's steps for so long. Raises Busy."""
        steps: Steps | None = None
        with self._alone("snapshot"):
            if over_s > 0:
                steps = Steps()
                trio.lowlevel.add_instrument(steps)
                try:
                    await trio.sleep(over_s)
                finally:
                    trio.lowlevel.remove_instrument(steps)
            places = Places()
            rows, beyond = waiting.tasks(
                trio.lowlevel.current_root_task(),
                places,
                self._births,
                steps.counts if steps is not None else None,
            )
        return {"tasks": rows, "tasks_left_out": beyond, "threads": waiting.all_threads(places)}

    async def heap(self, top: int, by: str) -> dict[str, Any]:
        """Objects by type, and how many more than at the last look. Raises Busy."""
        with self._alone("heap"):
            found = await heap.count()
            told = heap.told(found, self._before, top, by)
            self._before = found
            self._heaps += 1
        return told

    async def allocations(self, seconds: float, top: int) -> dict[str, Any]:
        """Which lines allocated what is kept, over so long. Raises Busy, TracingAlready."""
        with self._alone("allocations"):
            traced = await allocations.trace(seconds)
            return await trio.to_thread.run_sync(allocations.told, traced, top)


async def _wait(sampler: Sampler, seconds: float) -> None:
    until = trio.current_time() + seconds
    while (left := until - trio.current_time()) > 0:
        sampler.name_threads()
        await trio.sleep(min(left, NAMES_S))
    sampler.name_threads()
