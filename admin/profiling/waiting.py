"""The tree of tasks, with what each waits for; and the threads. A look at one moment; changes nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any, Final

import trio

from admin.profiling.places import Places
from admin.profiling.stepping import Births, Task

TASKS_MAX: Final = 2_000
"""Tasks that are told; connections are none, so a node has some dozens."""
OTHERS: Final = ("trio/", "<")
"""Files of a wait itself; what lies outside of them is who waits."""


def tasks(
    root: Task | None, places: Places, births: Births | None = None, steps: Mapping[int, int] | None = None
) -> tuple[list[dict[str, Any]], int]:
    """A row for each task, below its parent; and how many had no room. On the loop.

    Args:
        steps: how often each was stepped, by its id; shown if it is given.
    """
    rows: list[dict[str, Any]] = []
    beyond = 0
    left: list[tuple[Task, int]] = [(root, 0)] if root is not None else []
    while left:
        task, depth = left.pop()
        below = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
        left += [(child, depth + 1) for child in sorted(below, key=lambda one: one.name, reverse=True)]
        if len(rows) >= TASKS_MAX:
            beyond += 1
            continue
        age_s = births.age_s(task) if births is not None else None
        row = {
            "task": f"{'· ' * depth}{task.name}",
            **_wait(task, places),
            "age_s": None if age_s is None else round(age_s, 3),
        }
        if steps is not None:
            row["steps"] = steps.get(id(task), 0)
        rows.append(row)
    return rows, beyond


def _wait(task: Task, places: Places) -> dict[str, Any]:
    """waits: the function it called that waits. at: who called it, the innermost place that isn't Trio's."""
    if task is trio.lowlevel.current_task():
        return {"waits": "(it looks)", "at": None}
    try:
        frames = list(task.iter_await_frames())
    except TypeError:  # it waits through something that Trio can't follow either
        frames = []
    if not frames:
        return {"waits": None, "at": None}
    ours = [i for i, (frame, _) in enumerate(frames) if not places.file(frame.f_code).startswith(OTHERS)]
    last = ours[-1] if ours else -1
    waits = frames[last + 1][0].f_code.co_name if last + 1 < len(frames) else None
    if last < 0:
        return {"waits": waits, "at": None}
    frame, line = frames[last]
    return {"waits": waits, "at": places.at(frame.f_code, line)}


def threads(frames: Mapping[int, FrameType], places: Places) -> list[dict[str, Any]]:
    """Python's threads, and the line that each is on."""
    names = {one.ident: one.name for one in threading.enumerate()}
    rows = [
        {
            "thread": names.get(thread, f"thread {thread}"),
            "at": places.at(frame.f_code, frame.f_lineno or 0),
        }
        for thread, frame in frames.items()
    ]
    return sorted(rows, key=lambda row: row["thread"])


def all_threads(places: Places) -> list[dict[str, Any]]:
    """Now."""
    return threads(sys._current_frames(), places)
