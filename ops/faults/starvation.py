"""How long the nodes of a run were ready to go on and had no processor, beside how long they ran: Linux counts both for
each thread (`schedstat`, its Documentation/scheduler/sched-stats.rst). What holds or waits came to on a machine that
others kept busy says little of the nodes.

    with Starvation(lambda: pids) as starvation:
        …
    starvation.share

It must never know what a node does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from ops.faults.looking import Looking

STEP_S: Final = 0.5
STARVED_SHARE: Final = 0.5
"""Nodes waited for a processor longer than they had one."""


class Starvation(Looking):
    """Context manager. ran_s, waited_s: of the main threads of all processes that were looked at, their loops."""

    def __init__(self, pids: Callable[[], Iterable[int]], proc: Path = Path("/proc")) -> None:
        super().__init__(STEP_S)
        self._pids = pids
        self._proc = proc
        # Process → nanoseconds that it ran and waited, when last seen.
        self._seen: dict[int, tuple[int, int]] = {}

    def look(self, due: float = 0.0) -> None:
        """Read the counters of those that live."""
        for pid in tuple(self._pids()):
            try:
                ran, waited, *_ = (
                    (self._proc / str(pid) / "task" / str(pid) / "schedstat").read_text().split()
                )
            except (OSError, ValueError):  # it has ended, or this kernel doesn't count
                continue
            self._seen[pid] = int(ran), int(waited)

    @property
    def ran_s(self) -> float:
        return sum(ran for ran, _ in self._seen.values()) / 1e9

    @property
    def waited_s(self) -> float:
        return sum(waited for _, waited in self._seen.values()) / 1e9

    @property
    def share(self) -> float:
        """Of the time in which the nodes had something to do, that in which they had no processor."""
        there = self.ran_s + self.waited_s
        return self.waited_s / there if there else 0.0

    @property
    def is_starved(self) -> bool:
        """Whether times of this run say nothing of the nodes."""
        return self.share > STARVED_SHARE
