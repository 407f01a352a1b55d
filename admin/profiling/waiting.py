"""The tree of tasks, with what each waits for; and the threads. A look at one moment; changes nothing.

Tasks side by side that are the same but for their age, as idle workers are, are one row.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Mapping
from types import FrameType
from typing import Any, Final

import attrs
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
    """A row for each task, or several that are alike, below its parent; and how many tasks had no room. On the loop.

    Args:
        steps: how often each was stepped, by its id; shown if it is given, of several together.
    """
    rows: list[dict[str, Any]] = []
    beyond = 0
    left: list[tuple[_Alike, int]] = _alike([root], places, 0) if root is not None else []
    while left:
        some, depth = left.pop()
        first = some.tasks[0]
        left += reversed(_alike(_below(first), places, depth + 1))
        if len(rows) >= TASKS_MAX:
            beyond += len(some.tasks)
            continue
        ages = [births.age_s(task) for task in some.tasks] if births is not None else []
        known = [age for age in ages if age is not None]
        row = {
            "task": f"{'· ' * depth}{first.name}",
            "times": len(some.tasks),
            **some.wait,
            "age_s": round(max(known), 3) if known and len(known) == len(ages) else None,
        }
        if steps is not None:
            row["steps"] = sum(steps.get(id(task), 0) for task in some.tasks)
        rows.append(row)
    return rows, beyond


@attrs.frozen
class _Alike:
    """Tasks of one name that wait for the same thing at the same place, and have none below them; or a single one."""

    tasks: list[Task]
    wait: dict[str, Any]


def _below(task: Task) -> list[Task]:
    return [child for nursery in task.child_nurseries for child in nursery.child_tasks]


def _alike(tasks: Iterable[Task], places: Places, depth: int) -> list[tuple[_Alike, int]]:
    """By name."""
    found: dict[tuple[Any, ...], _Alike] = {}
    for task in sorted(tasks, key=lambda one: one.name):
        wait = _wait(task, places)
        own = id(task) if _below(task) else None
        found.setdefault((task.name, *wait.values(), own), _Alike([], wait)).tasks.append(task)
    return [(some, depth) for some in found.values()]


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
