"""Code that tasks are in the middle of: a suspended coroutine keeps its old body until it ends.

This module must never end or wake a task.
"""

from collections.abc import Iterator
from types import CodeType
from typing import Any, Final

import trio

DEPTH_MAX: Final = 200
"""Coroutines that await one another."""
TASKS_MAX: Final = 100_000


def suspended() -> dict[CodeType, int]:
    """Code → how many tasks are in it. To be called inside of Trio."""
    counts: dict[CodeType, int] = {}
    root = trio.lowlevel.current_root_task()
    left = [root] if root is not None else []
    seen = 0
    while left and seen < TASKS_MAX:
        task = left.pop()
        seen += 1
        for code in set(_codes(task.coro)):
            counts[code] = counts.get(code, 0) + 1
        for nursery in task.child_nurseries:
            left += nursery.child_tasks
    return counts


def _codes(running: Any) -> Iterator[CodeType]:
    """Of a coroutine, and of what it awaits."""
    for _ in range(DEPTH_MAX):
        for kind in ("cr", "gi", "ag"):
            if hasattr(running, f"{kind}_frame"):
                yield getattr(running, f"{kind}_code")
                waits_for = "gi_yieldfrom" if kind == "gi" else f"{kind}_await"
                running = getattr(running, waits_for)
                break
        else:
            return
