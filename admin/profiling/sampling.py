"""Where all threads are, written down many times a second.

Either the loop's thread is interrupted by a timer and looks (`tick`; see ticking), or, where that can't be had, a
thread of its own looks (`run`). What a sample takes of the loop's time is part of the profile. Time in C (a cipher, a
system call) is counted for the function that called it. It sees functions and nothing of what they hold.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Final

import attrs

RATE_MAX: Final = 1_000
DEPTH_MAX: Final = 128
"""Frames of one stack, from the innermost; what lies further out is left off."""
STACKS_MAX: Final = 20_000
"""Different stacks that are kept apart; samples of others are counted and not kept."""
THREADS_MAX: Final = 256
"""Threads that are told by their names."""

LOOPS_OWN: Final = "unrolled_run"
"""The function of Trio that steps tasks: what lies outside of it is the same for every task, and left off."""

RESTING: Final = frozenset(
    {
        ("_io_epoll.py", "get_events"),
        ("_thread_cache.py", "_work"),
        ("threading.py", "wait"),
        ("threading.py", "_wait_for_tstate_lock"),
        ("queue.py", "get"),
        ("selectors.py", "select"),
        ("poll.py", "poll"),
        ("committer.py", "step"),
    }
)
"""File and function in which a thread has nothing to do. What waits elsewhere, for a disk say, is shown."""

Key = tuple[int, str | None, tuple[CodeType, ...]]
"""Thread, task if it is known, and the functions, the innermost first."""


@attrs.frozen(kw_only=True)
class Samples:
    """What was seen. resting: samples of threads that had nothing to do. missed: samples that were due and
    weren't taken. beyond: those of stacks that weren't kept apart. cost_seconds: what taking them took."""

    seconds: float
    rate: int
    taken: int
    missed: int
    beyond: int
    cost_seconds: float
    busy: dict[Key, int]
    resting: dict[Key, int]
    threads: dict[int, str]


class Sampler:
    """Of one profile, from its making on.

    Args:
        loop: the thread of the loop; `task` names the task that it steps.
    """

    __slots__ = (
        "_began",
        "_beyond",
        "_busy",
        "_cost_s",
        "_is_rest",
        "_loop",
        "_names",
        "_rate",
        "_resting",
        "_taken",
        "_task",
        "stop",
    )

    def __init__(self, rate: int, loop: int, task: Callable[[], str | None]) -> None:
        assert 0 < rate <= RATE_MAX
        self._rate = rate
        self._loop = loop
        self._task = task
        self._busy: Counter[Key] = Counter()
        self._resting: Counter[Key] = Counter()
        self._beyond = 0
        self._names: dict[int, str] = {}
        self._is_rest: dict[CodeType, bool] = {}
        self._taken = 0
        self._cost_s = 0.0
        self._began = time.perf_counter()
        self.stop = threading.Event()

    def run(self) -> None:
        """Look from this thread, until `stop` is set. Blocking."""
        own = threading.get_ident()
        interval_s = 1 / self._rate
        due = 1
        while not self.stop.wait(max(0.0, self._began + due * interval_s - time.perf_counter())):
            began = time.perf_counter()
            self.take(sys._current_frames(), own)
            self._cost_s += time.perf_counter() - began
            due = max(due + 1, int((time.perf_counter() - self._began) * self._rate) + 1)

    def tick(self, frame: FrameType) -> None:
        """Look from the loop's thread, which was interrupted in this frame."""
        began = time.perf_counter()
        frames = sys._current_frames()
        frames[self._loop] = frame
        self.take(frames)
        self._cost_s += time.perf_counter() - began

    def samples(self) -> Samples:
        """What was seen until now."""
        seconds = time.perf_counter() - self._began
        return Samples(
            seconds=seconds,
            rate=self._rate,
            taken=self._taken,
            missed=max(0, int(seconds * self._rate) - self._taken),
            beyond=self._beyond,
            cost_seconds=self._cost_s,
            busy=dict(self._busy),
            resting=dict(self._resting),
            threads=dict(self._names),
        )

    def name_threads(self) -> None:
        """Learn how the threads that are there are called. Not from within a tick: it takes a lock."""
        for one in threading.enumerate():
            if one.ident is not None and len(self._names) < THREADS_MAX:
                self._names[one.ident] = one.name

    def take(self, frames: dict[int, FrameType], own: int = 0) -> None:
        """One sample. `own`: a thread that isn't looked at."""
        self._taken += 1
        task = self._task()
        for thread, innermost in frames.items():
            if thread == own:
                continue
            of_loop = thread == self._loop
            codes: list[CodeType] = []
            frame: FrameType | None = innermost
            while frame is not None and len(codes) < DEPTH_MAX:
                code = frame.f_code
                if of_loop and code.co_name == LOOPS_OWN:
                    break
                codes.append(code)
                frame = frame.f_back
            key = (thread, task if of_loop else None, tuple(codes))
            counts = self._resting if self._rests(innermost.f_code) else self._busy
            if key in counts or len(self._busy) + len(self._resting) < STACKS_MAX:
                counts[key] += 1
            else:
                self._beyond += 1

    def _rests(self, code: CodeType) -> bool:
        rests = self._is_rest.get(code)
        if rests is None:
            rests = self._is_rest[code] = (code.co_filename.rpartition("/")[2], code.co_name) in RESTING
        return rests
