"""Bringing results back to the loop: a queue that other threads fill, and an eventfd that says so.

Everything that is called back runs on the loop's thread, in `deliver`.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from store.errors import StoreError
from store.limits import RESULTS_PER_PASS


def _kind_of(error: BaseException | None) -> str:
    return repr(error) if error is None or isinstance(error, StoreError) else type(error).__name__


@attrs.frozen(slots=True)
class Result:
    """How a submit or a read ended.

    `error` is None, or what went wrong: an error of the store, or whatever the function of a transaction or read
    raised. `sequence` is the last one that the submit was given; `value` is what the function returned. No repr shows
    a value, nor the text of an error that isn't the store's: either may hold a body.
    """

    error: BaseException | None = attrs.field(default=None, repr=_kind_of)
    sequence: int = 0
    value: Any = attrs.field(default=None, repr=False)


Ready = tuple[Callable[[Any], None], Any]
"""(what to call on the loop, with what)"""


class Results:
    """What waits to be called on the loop. `add` from any thread, `deliver` on the loop."""

    __slots__ = ("_ready", "delivered", "eventfd")

    def __init__(self) -> None:
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ready: deque[Ready] = deque()
        self.delivered = 0

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, ready: Iterable[Ready]) -> None:
        """Queue calls and wake the loop."""
        self._ready.extend(ready)
        self.wake()

    def wake(self) -> None:
        """Make the eventfd readable."""
        if self.eventfd >= 0:
            os.eventfd_write(self.eventfd, 1)

    def deliver(self) -> int:
        """Make the calls that were waiting, RESULTS_PER_PASS at most; those they add wait too. Gives how many.

        What is left, also because one raised, stays queued and the eventfd readable.
        """
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.eventfd)
        ready = self._ready
        waiting = min(len(ready), RESULTS_PER_PASS)
        done = 0
        try:
            while done < waiting:
                call, argument = ready.popleft()
                done += 1
                call(argument)
        finally:
            self.delivered += done
            if ready:
                self.wake()
        return done

    def close(self) -> None:
        """Give the eventfd back."""
        if self.eventfd >= 0:
            os.close(self.eventfd)
            self.eventfd = -1
