"""A thread that writes down, many times a second, where all other threads are.

It takes the interpreter's lock for each sample, some 30 µs; what that costs is part of the profile. Python gives the
lock away at calls and jumps backwards, so a sample falls on one of these: time in C (a commit, a cipher) is counted for
the function that called it. It sees functions and nothing of what they hold.
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
    weren't taken. beyond: those of stacks that weren't kept apart. cpu_seconds: what the thread itself took."""

    seconds: float
    rate: int
    taken: int
    missed: int
    beyond: int
    cpu_seconds: float
    busy: dict[Key, int]
    resting: dict[Key, int]
    threads: dict[int, str]


class Sampler:
    """Takes samples in `run`, which is for a thread of its own, until `stop` is set.

    Args:
        loop: the thread of the loop; `task` names the task that it steps.
    """

    __slots__ = ("_beyond", "_busy", "_is_rest", "_loop", "_names", "_rate", "_resting", "_task", "stop")

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
        self.stop = threading.Event()

    def run(self) -> Samples:
        """Blocking."""
        own = threading.get_ident()
        cpu = time.thread_time()
        began = time.perf_counter()
        interval_s = 1 / self._rate
        taken, due = 0, 1
        while not self.stop.wait(max(0.0, began + due * interval_s - time.perf_counter())):
            self.take(sys._current_frames(), own)
            taken += 1
            due = max(due + 1, int((time.perf_counter() - began) * self._rate) + 1)
        return Samples(
            seconds=time.perf_counter() - began,
            rate=self._rate,
            taken=taken,
            missed=due - 1 - taken,
            beyond=self._beyond,
            cpu_seconds=time.thread_time() - cpu,
            busy=dict(self._busy),
            resting=dict(self._resting),
            threads=self._names,
        )

    def take(self, frames: dict[int, FrameType], own: int = 0) -> None:
        """One sample."""
        task = self._task()
        for thread, innermost in frames.items():
            if thread == own:
                continue
            if thread not in self._names:
                self._name(thread)
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

    def _name(self, thread: int) -> None:
        names = {one.ident: one.name for one in threading.enumerate()}
        if len(self._names) < THREADS_MAX:
            self._names[thread] = names.get(thread, f"thread {thread}")
