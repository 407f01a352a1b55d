"""Nobody is buried alive: a process that is called dead since it has ended has ended.

A pause, a cut or a loss of power must never be taken for it, nor a filter that refuses one node in another's name, if
there is a third one to ask. Silence may be taken for a death, and is judged by nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import CalledEnded


class Buried:
    """Looks at what detectors say.

    Args:
        boot_of: the boot id of whatever runs on a machine, standing still or not; None: nothing does.
    """

    rule: ClassVar[str] = "buried alive"

    def __init__(self, boot_of: Callable[[int], bytes | None]) -> None:
        self._boot_of = boot_of
        self.found = 0

    def subscriptions(self) -> dict[type, object]:
        """Deaths by refusal."""
        return {CalledEnded: self._called}

    def _called(self, event: CalledEnded) -> None:
        self.found += 1
        runs = self._boot_of(event.peer)
        if event.others and runs is not None and runs == event.boot:
            raise Violation(self.rule, f"node {event.node} says that node {event.peer} has ended, which runs")

    def verdict(self, disks: Disks) -> None:
        """All was judged when it was said."""
