"""The alterations of a group that are under way, as the loop sees them: which step is next, who waits, what stalls.

One step of each is in the committer's queue at a time; the next is queued when the loop hears of the last, so others'
commits go between. This module must never know what a step does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from store.altering import perform
from store.environment import is_full
from store.errors import StoreBusy, StoreError, StoreFatal
from store.groupstate import GroupState
from store.operations import Operation
from store.results import Result
from store.steps import Progress, Steps
from store.submit import Submit

Done = Callable[[Result], None]


class Queue(Protocol):
    """The way to the committer. `always`: however much waits there."""

    def __call__(self, submit: Submit, *, always: bool = False) -> None: ...


class _Job:
    __slots__ = ("stalled", "steps", "waiting")

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.stalled: BaseException | None = None
        self.waiting: list[Done] = []

    def tell(self, result: Result) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(result)


class Alterations:
    """Those of one group. On the loop's thread only."""

    __slots__ = ("_asked", "_idle", "_jobs", "_queue")

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._asked = 0
        self._jobs: list[_Job] = []
        self._idle: list[Done] = []

    def ask(self, operation: Operation, done: Done) -> None:
        """Have an operation performed. Raises StoreBusy, StoreClosed, StoreFatal."""
        self._queue(Submit([], 0, partial(self._started, done), alter=partial(perform, operation)))
        self._asked += 1

    def begin(self, several: Iterable[Steps], done: Done | None = None) -> None:
        """Go through these steps. `done` is called once those that are awaited are complete: at once if none are."""
        for steps in several:
            job = _Job(steps)
            self._jobs.append(job)
            if steps.awaited and done is not None:
                job.waiting.append(done)
                done = None
            self._next(job)
        if done is not None:
            done(Result())

    def _started(self, done: Done, result: Result) -> None:
        self._asked -= 1
        if result.error is not None:
            done(result)
        else:
            self.begin(result.value, done)
        self._tell_idle()

    def progress(self) -> tuple[Progress, ...]:
        """Of each that is under way."""
        return tuple(
            Progress(job.steps.what, job.steps.done, max(job.steps.done, job.steps.total), job.stalled)
            for job in self._jobs
        )

    def when_idle(self, done: Done) -> None:
        """Call `done` once nothing is under way; with an error if what is left can't go on."""
        self._idle.append(done)
        self._tell_idle()

    def retry(self) -> None:
        """Something was committed: those that stalled may go on."""
        for job in tuple(self._jobs):
            if job.stalled is not None:
                job.stalled = None
                self._next(job)

    @property
    def stalled(self) -> bool:
        """Whether there is anything to retry."""
        return any(job.stalled is not None for job in self._jobs)

    def _next(self, job: _Job) -> None:
        self._submit(job, job.steps.step, partial(self._stepped, job))

    def _submit(self, job: _Job, step: Callable[[GroupState], object], done: Done) -> None:
        try:
            self._queue(Submit([], 0, done, alter=step), always=True)
        except StoreError as error:  # closed, or dead: the next open goes on with it
            self._end(job, Result(error))

    def _stepped(self, job: _Job, result: Result) -> None:
        error = result.error
        if error is None:
            if result.value is None:
                self._next(job)
            else:
                self.begin(result.value)
                self._end(job, Result(job.steps.error, result.sequence))
        elif isinstance(error, StoreFatal):
            self._end(job, result)
        elif isinstance(error, StoreBusy) or (isinstance(error, StoreError) and is_full(error)):
            job.stalled = error
            job.tell(result)
            self._tell_idle()
        else:
            self._submit(job, job.steps.give_up, partial(self._gave_up, job, result))

    def _gave_up(self, job: _Job, why: Result, result: Result) -> None:
        if result.error is None:
            self.begin(result.value)
        self._end(job, why)

    def _end(self, job: _Job, result: Result) -> None:
        self._jobs.remove(job)
        job.tell(result)
        self._tell_idle()

    def _tell_idle(self) -> None:
        stalled = [job.stalled for job in self._jobs]
        if not self._asked and all(error is not None for error in stalled):
            idle, self._idle = self._idle, []
            for done in idle:
                done(Result(stalled[0] if stalled else None))
