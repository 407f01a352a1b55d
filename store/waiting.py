"""Awaiting one result: from a callback to a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from store.results import Result


class _Waiter:
    """One task waiting for one result."""

    __slots__ = ("_task", "parked", "result")

    def __init__(self, task: trio.lowlevel.Task) -> None:
        self._task: trio.lowlevel.Task | None = task
        self.parked = False
        self.result: Result | None = None

    def done(self, result: Result) -> None:
        self.result = result
        if self.parked and self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    def cancel(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


async def wait_result(start: Callable[[Callable[[Result], None]], None]) -> Result:
    """Call `start(done)` and wait until `done(result)` is called on the loop, which may be at once.

    Raises what `start` raises, and the result's error. Cancelled, it stops waiting; what was started goes on.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    waiter = _Waiter(trio.lowlevel.current_task())
    start(waiter.done)
    if waiter.result is None:
        waiter.parked = True
        await trio.lowlevel.wait_task_rescheduled(waiter.cancel)
    else:
        await trio.lowlevel.cancel_shielded_checkpoint()
    assert waiter.result is not None
    if waiter.result.error is not None:
        raise waiter.result.error
    return waiter.result
