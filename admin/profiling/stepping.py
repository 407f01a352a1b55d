"""What Trio tells of its tasks: which one is being stepped, how often each was, and since when each is there.

Instruments (trio.abc.Instrument) are called on the loop. `Births` stays for as long as the node runs, since it costs
nothing but when a task begins or ends, and connections are no tasks; the other two are there during a look only, since
they are called for every step. They hold tasks weakly: a look must never keep what it looks at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from weakref import WeakKeyDictionary

import trio

Task = trio.lowlevel.Task


class Births(trio.abc.Instrument):
    """When tasks began. Those that were there before are as old as this."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._born: WeakKeyDictionary[Task, float] = WeakKeyDictionary()

    def task_spawned(self, task: Task) -> None:
        self._born[task] = self._clock()

    def task_exited(self, task: Task) -> None:
        self._born.pop(task, None)

    def age_s(self, task: Task) -> float | None:
        """None: it was there before this listened."""
        born = self._born.get(task)
        return None if born is None else self._clock() - born

    def __len__(self) -> int:
        return len(self._born)


class Stepped(trio.abc.Instrument):
    """`name`: of the task that is being stepped; None between two steps. Any thread may look."""

    def __init__(self) -> None:
        self.name: str | None = None

    def before_task_step(self, task: Task) -> None:
        self.name = task.name

    def after_task_step(self, task: Task) -> None:
        self.name = None


class Steps(trio.abc.Instrument):
    """How often each task was stepped."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()  # by id: all of them are there as long as somebody compares

    def before_task_step(self, task: Task) -> None:
        self.counts[id(task)] += 1
