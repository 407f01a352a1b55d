"""How a write ends, and the task that waits for that."""

from __future__ import annotations

from typing import Any

import attrs
import trio


@attrs.frozen
class Written:
    """copies: on how many nodes it is durable: 2 primary and heir, 1 the primary alone. value: of a transaction."""

    copies: int
    value: Any = attrs.field(default=None, repr=False)


class Waiter:
    """One task that waits for one outcome, which may come first."""

    __slots__ = ("_error", "_task", "_written")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self._written: Written | None = None
        self._error: Exception | None = None

    def done(self, copies: int, error: Exception | None) -> None:
        """It has ended, without a value."""
        self.ran(copies, error, None)

    def ran(self, copies: int, error: Exception | None, value: Any) -> None:
        """It has ended."""
        self._written = Written(copies, value)
        self._error = error
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)
            self._task = None

    async def wait(self) -> Written:
        """Raises the error with which it has ended. Cancelled, it stops waiting."""
        if self._written is None:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._cancel)
        else:
            await trio.lowlevel.checkpoint()
        if self._error is not None:
            raise self._error
        assert self._written is not None
        return self._written

    def _cancel(self, _: Any) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED
