"""The coordinator's side of the generator processes: start them, give orders, add up their reports.

This module must never know which server they load.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final, Self

import attrs
import msgspec

from ops.bench.latency import Latencies
from ops.bench.orders import end, gone, hear, send
from ops.bench.plan import Counts, Histogram, Order, Plan, Report, Shape
from ops.bench.session import LoadError

_POLL_SECONDS: Final = 0.05


@attrs.frozen
class Mark:
    """What all generators report at one moment.

    Attributes:
        at: seconds of the monotonic clock, the mean of the reports' moments.
        cpu_seconds: of each process.
    """

    at: float
    counts: Counts
    cpu_seconds: tuple[float, ...]
    overdue_us_max: int
    _reports: Sequence[Report]

    @property
    def to_deliver(self) -> Latencies:
        """From send to deliver, since the mark before."""
        return self._merged(lambda report: report.to_deliver)

    @property
    def to_accepted(self) -> Latencies:
        """From send to accepted, since the mark before."""
        return self._merged(lambda report: report.to_accepted)

    @property
    def to_receipted(self) -> Latencies:
        """From send to the receipt, since the mark before."""
        return self._merged(lambda report: report.to_receipted)

    def _merged(self, histogram: Callable[[Report], Histogram]) -> Latencies:
        """All processes' counts in one. Not done by `mark`, for the measured server's clock goes on."""
        merged = Latencies()
        for report in self._reports:
            merged.merge(histogram(report))
        return merged


class Fleet:
    """Generator processes with one plan. Every user belongs to one of them.

    Use `Fleet.of(plan, processes)` as a context; leaving it ends the processes.
    """

    def __init__(self, plan: Plan, count: int) -> None:
        assert count >= 1
        self._shape = plan.shape
        self._count = count
        self._errors: list[IO[bytes]] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        share = attrs.evolve(
            plan, rate=plan.rate / count, logins_parallel=max(1, plan.logins_parallel // count)
        )
        try:
            for _ in range(count):
                errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
                self._errors.append(errors)
                process = subprocess.Popen(
                    [sys.executable, "-m", "ops.bench.generator"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,  # Ctrl-C is the coordinator's to handle
                )
                self._processes.append(process)
                send(process, msgspec.json.encode(share))
        except BaseException:
            self.stop()
            raise

    @classmethod
    @contextmanager
    def of(cls, plan: Plan, count: int) -> Iterator[Self]:
        """A fleet that is ended at the end of the block."""
        fleet = cls(plan, count)
        try:
            yield fleet
        finally:
            fleet.stop()

    def connect(self, first: int, last: int, each: Callable[[Counts], None], seconds_max: float) -> None:
        """Log in users first … last - 1; return when all are. `each` is called with the counts meanwhile.

        Raises:
            LoadError: a generator gave up, or it took too long.
        """
        wanted = self.counts().connected + last - first
        for place, process in enumerate(self._processes):
            low, high = self._part(place, first, last)
            send(process, msgspec.json.encode(Order("connect", first=low, last=high)))
        self._reports()
        self.wait(lambda counts: counts.connected >= wanted, each, seconds_max, "logging in")

    def _part(self, place: int, first: int, last: int) -> tuple[int, int]:
        """The users that this process takes. Those who write to one another stay together."""
        size = 1 if self._shape.recipients else self._shape.partners + 1
        groups = -(-(last - first) // size)
        low = first + groups * place // self._count * size
        return low, min(last, first + groups * (place + 1) // self._count * size)

    def begin(self, messages: int = 0) -> None:
        """Begin to send; at most so many messages in all (0: until `end`)."""
        assert messages == 0 or messages >= self._count
        for place, process in enumerate(self._processes):
            share = messages * (place + 1) // self._count - messages * place // self._count
            send(process, msgspec.json.encode(Order("begin", messages=share)))
        self._reports()

    def end(self) -> None:
        """Start no more messages."""
        self._order("end")

    def counts(self) -> Counts:
        """The counts of all processes since they began."""
        return _sum(report.counts for report in self._order("count"))

    def mark(self) -> Mark:
        """Counts, CPU, and the latencies since the last mark."""
        reports = self._order("mark")
        return Mark(
            at=sum(report.at_us for report in reports) / len(reports) / 1e6,
            counts=_sum(report.counts for report in reports),
            cpu_seconds=tuple(report.cpu_seconds for report in reports),
            overdue_us_max=max(report.overdue_us_max for report in reports),
            reports=reports,
        )

    def wait(
        self,
        until: Callable[[Counts], bool],
        each: Callable[[Counts], None],
        seconds_max: float,
        what: str,
    ) -> Counts:
        """Look at the counts until they are as wanted.

        Raises:
            LoadError: a generator gave up, or it took longer than `seconds_max`.
        """
        deadline = time.monotonic() + seconds_max
        while True:
            counts = self.counts()
            each(counts)
            if until(counts):
                return counts
            if time.monotonic() > deadline:
                raise LoadError(f"{what} took more than {seconds_max:.0f} s; reached: {counts}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """End the processes; what they say doesn't matter any more."""
        for process in self._processes:
            end(process)
        for process in self._processes:
            gone(process)
        for errors in self._errors:
            errors.close()
        self._processes.clear()
        self._errors.clear()

    def _order(self, do: str) -> list[Report]:
        for process in self._processes:
            send(process, b'{"do":"%s"}' % do.encode())
        return self._reports()

    def _reports(self) -> list[Report]:
        """One report of each process."""
        both = zip(self._processes, self._errors, strict=True)
        return [hear(process, errors, Report) for process, errors in both]


def pairs_shape(users: int, partners: int) -> Shape:
    """Users who write to one another in groups of partners + 1; the last group is filled up."""
    size = partners + 1
    return Shape(senders=-(-users // size) * size, recipients=0, partners=partners)


def _sum(all_counts: Iterator[Counts]) -> Counts:
    return Counts(*(sum(column) for column in zip(*map(attrs.astuple, all_counts), strict=True)))
