"""The coordinator's side of the processes of phones in a storm: start them, give orders, gather what they report.

This module must never judge a figure.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, Any, Final, Self

import attrs
import msgspec

from ops.bench import process
from ops.bench.session import LoadError
from ops.bench.storm_plan import Crowd, Order, Report

_POLL_SECONDS: Final = 0.1
_STOP_SECONDS_MAX: Final = 10.0


class Crowds:
    """Processes of phones. Use `Crowds.of(…)`; leaving it ends them."""

    def __init__(self) -> None:
        self._processes: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    @classmethod
    @contextmanager
    def of(cls, crowds: Sequence[Crowd]) -> Iterator[Self]:
        """A process for each; they begin to log in at once."""
        one = cls()
        with ExitStack() as stack:
            stack.callback(one._end)
            for crowd in crowds:
                errors = stack.enter_context(tempfile.TemporaryFile())
                started = subprocess.Popen(
                    [sys.executable, "-m", "ops.bench.storm_crowd"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is the coordinator's to handle
                )
                one._processes.append((started, errors))
                one._say(started, crowd)
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
            self._say(one, order)
        return [self._hear(one, errors) for one, errors in self._processes]

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

    def _say(self, to: subprocess.Popen[bytes], value: Any) -> None:
        assert to.stdin is not None
        try:
            to.stdin.write(msgspec.json.encode(value) + b"\n")
            to.stdin.flush()
        except BrokenPipeError:
            return  # the reason is in its last report

    def _hear(self, from_: subprocess.Popen[bytes], errors: IO[bytes]) -> Report:
        assert from_.stdout is not None
        line = from_.stdout.readline()
        if not line:
            errors.seek(0)
            tail = errors.read().decode(errors="replace").strip()[-2000:]
            raise LoadError(f"a process of phones ended: {tail or from_.wait(_STOP_SECONDS_MAX)}")
        report = msgspec.json.decode(line, type=Report)
        if report.reason:
            raise LoadError(report.reason)
        return report

    def _end(self) -> None:
        for one, _ in self._processes:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdout.close()
            try:
                one.stdin.close()  # they end at the end of their input
            except BrokenPipeError:
                continue
        for one, _ in self._processes:
            try:
                one.wait(_STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()


def together(reports: Sequence[Report]) -> Report:
    """One report of all."""
    names = ("online", "sent", "open", "repeated", "disordered")
    sums = {name: sum(getattr(report, name) for report in reports) for name in names}
    return attrs.evolve(
        Report(**sums),
        returns=tuple(one for report in reports for one in report.returns),
        messages=tuple(one for report in reports for one in report.messages),
    )
