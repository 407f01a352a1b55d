"""Loops beside the hub: one step again and again, and what becomes of a node if a step fails.

A bug ends a node, as it does in the hub. But while new code is watched somebody may take it back and say so (`RESCUE`),
and then the loop goes on with the old one. This module must never know what code was replaced, or by whom.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import trio
from trio.lowlevel import RunVar

RESCUE: Final[RunVar[Callable[[Exception], bool] | None]] = RunVar("rescue", default=None)
"""Says whether a failure was mended, so that whoever failed may go on. One for a whole process, as code is."""
AFTER_S: Final = 0.1
"""Between a step that failed and the next: what fails again mustn't be all that a process does."""


def rescued(error: Exception) -> bool:
    """Whether somebody has mended what made a step fail."""
    rescue = RESCUE.get()
    return rescue is not None and rescue(error)


async def go_round(step: Callable[[], Awaitable[object]]) -> NoReturn:
    """`step` until cancelled.

    Raises:
        Whatever it raises, unless that was mended.
    """
    while True:
        await _go_once(step)


async def _go_once(step: Callable[[], Awaitable[object]]) -> None:
    try:
        await step()
    except Exception as error:
        if not rescued(error):
            raise
        await trio.sleep(AFTER_S)
