"""The coordinator's side of the processes of phones in a storm: start them, give orders, gather what they report.

This module must never judge a figure.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Final, Self

import attrs
import msgspec

from ops.bench import process
from ops.bench.orders import end, gone, hear, send
from ops.bench.storm_plan import Crowd, Order, Report

_POLL_SECONDS: Final = 0.1


class Crowds:
    """Processes of phones. Use `Crowds.of(…)`; leaving it ends them."""

    def __init__(self) -> None:
        self._processes: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    @classmethod
    @contextmanager
    def of(cls, crowds: Sequence[Crowd], prefixes: Sequence[Sequence[str]] = ()) -> Iterator[Self]:
        """A process for each; they begin to log in at once. prefixes: words before the command of each."""
        one = cls()
        with ExitStack() as stack:
            stack.callback(one._end)
            for crowd, prefix in zip(crowds, prefixes or ((),) * len(crowds), strict=True):
                errors = stack.enter_context(tempfile.TemporaryFile())
                started = subprocess.Popen(
                    [*prefix, sys.executable, "-m", "ops.bench.storm_crowd"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is the coordinator's to handle
                )
                one._processes.append((started, errors))
                send(started, msgspec.json.encode(crowd))
            yield one

    def cpu_seconds(self) -> float:
        """Of all processes."""
        return sum(process.cpu_seconds(one.pid) for one, _ in self._processes)

    def order(self, order: Order) -> list[Report]:
        """Each process' answer.

        Raises:
            LoadError: a process gave up.
        """
        for one, _ in self._processes:
            send(one, msgspec.json.encode(order))
        return [hear(one, errors, Report) for one, errors in self._processes]

    def wait(
        self,
        until: Callable[[Report], bool],
        seconds_max: float,
        each: Callable[[Report], None] = lambda _: None,
    ) -> bool:
        """Look at the counts of all until they are as wanted; False if they weren't in time.

        Raises:
            LoadError: a process gave up.
        """
        deadline = time.monotonic() + seconds_max
        while True:
            report = together(self.order(Order("count")))
            each(report)
            if until(report):
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)

    def _end(self) -> None:
        for one, _ in self._processes:
            end(one)
        for one, _ in self._processes:
            gone(one)


def together(reports: Sequence[Report]) -> Report:
    """One report of all."""
    names = ("online", "sent", "open", "repeated", "disordered", "lost")
    sums = {name: sum(getattr(report, name) for report in reports) for name in names}
    return attrs.evolve(
        Report(**sums),
        returns=tuple(one for report in reports for one in report.returns),
        messages=tuple(one for report in reports for one in report.messages),
    )
