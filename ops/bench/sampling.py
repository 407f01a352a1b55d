"""Measuring over time: waiting until a server is at rest, memory each second, medians of several runs.

This module must never know what the server does.
"""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from ops.bench.process import machine_cpu_seconds
from ops.bench.server import Measured

_LOOK_SECONDS: Final = 0.5
_REST_CPU_SHARE: Final = 0.03
_REST_RSS_BYTES: Final = 65_536
_SETTLE_SECONDS_MAX: Final = 20.0
_SERIES_SHOWN_MAX: Final = 60
_MIB: Final = 1 << 20
_OTHERS_CORES_MAX: Final = 0.15


def settle(server: Measured) -> float:
    """Wait until two looks in a row find the server at rest: next to no CPU and no growth of memory.

    Returns the seconds waited; after 20 s it isn't waited any longer.
    """
    began = last = time.monotonic()
    cpu, rss, calm = server.cpu_seconds(), server.rss_bytes(), 0
    while calm < 2 and last - began < _SETTLE_SECONDS_MAX:
        time.sleep(_LOOK_SECONDS)
        now, cpu_now, rss_now = time.monotonic(), server.cpu_seconds(), server.rss_bytes()
        busy = (cpu_now - cpu) / (now - last)
        calm = calm + 1 if busy < _REST_CPU_SHARE and abs(rss_now - rss) < _REST_RSS_BYTES else 0
        last, cpu, rss = now, cpu_now, rss_now
    return last - began


@define
class MemorySeries:
    """Resident memory over time.

    Attributes:
        points: (seconds since the beginning, bytes).
    """

    points: list[tuple[float, int]] = field(factory=list)

    def look(self, server: Measured, at: float) -> None:
        """Add one point."""
        self.points.append((at, server.rss_bytes()))

    def slope(self) -> float | None:
        """Bytes a second, by least squares; None for fewer than three points."""
        if len(self.points) < 3:
            return None
        times, values = zip(*self.points, strict=True)
        return statistics.linear_regression(times, values).slope

    def summary(self) -> dict[str, Any]:
        """First, last, most, slope, and at most 60 points in MiB."""
        values = [value for _, value in self.points]
        step = -(-len(values) // _SERIES_SHOWN_MAX) or 1
        return {
            "first_bytes": values[0] if values else None,
            "last_bytes": values[-1] if values else None,
            "max_bytes": max(values, default=None),
            "slope_bytes_per_s": self.slope(),
            "series_mib": [round(value / _MIB, 2) for value in values[::step]],
        }


class Disturbance:
    """How much CPU others used while something was measured: it makes caches cold, and everything later.

    Args:
        mine: CPU seconds so far of all that belongs to the measurement, but for this process.
    """

    def __init__(self, mine: float) -> None:
        self._began = time.monotonic()
        self._others = self._of_others(mine)

    @staticmethod
    def _of_others(mine: float) -> float:
        return machine_cpu_seconds() - mine - time.process_time()

    def cores(self, mine: float) -> float:
        """Cores' worth of CPU that others used since."""
        return max(0.0, self._of_others(mine) - self._others) / (time.monotonic() - self._began)

    @staticmethod
    def warnings(cores: float) -> list[str]:
        """What to say of it."""
        if cores < _OTHERS_CORES_MAX:
            return []
        return ["other processes used the CPU meanwhile (others_cores): repeat on a machine at rest"]


def watch(seconds: float, each: Callable[[float], None]) -> None:
    """Call `each` with the seconds gone, once a second, for so long."""
    began = time.monotonic()
    gone = 0.0
    while gone < seconds:
        time.sleep(min(1.0, seconds - gone))
        gone = time.monotonic() - began
        each(gone)


def median_of(runs: Sequence[Any]) -> Any:
    """The runs' values with a median for every number; what isn't a number is taken from the first run."""
    first = runs[0]
    if isinstance(first, dict):
        return {name: median_of([run[name] for run in runs if name in run]) for name in first}
    numbers = [run for run in runs if isinstance(run, int | float) and not isinstance(run, bool)]
    if numbers and len(numbers) == len(runs):
        return statistics.median(numbers)
    return first


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def filesystem_of(path: Path) -> str:
    """The type of the file system that `path` is on, from /proc/mounts."""
    longest, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mounted_at, this_kind, *_ = line.split()
        if path.resolve().is_relative_to(mounted_at) and len(mounted_at) >= len(longest):
            longest, kind = mounted_at, this_kind
    return kind


class TooFewFilesError(Exception):
    """The limit on open files is too low for the count. Raise it with `ulimit -n`, or lower the count."""


def allow_files(wanted: int) -> None:
    """Let this process and those it starts open so many files.

    Raises:
        TooFewFilesError: the hard limit is lower.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise TooFewFilesError(
            f"a process may open {hard:,} files here, {wanted:,} are needed: raise the limit (ulimit -n) or lower"
            " the count"
        )
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
