"""Traffic: what routers say to one another is in proportion to what happens. Nothing breeds messages.

What happens is what phones say, what is handed over to them, each session that logs in; and, for everything that edges
keep and announce anew then, each connection and each partition that begins to be served or ends. A message of a phone
takes a few of routers': it is sent, answered, delivered, acknowledged, confirmed, told, and that is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import Carried, Connected, Seated, Spoken
from ops.simulation.mail.events import Handed, Said
from ops.simulation.tables.events import Ceased, Serving


class Traffic:
    """Counts.

    Args:
        each: messages of routers for one thing that happens to one phone.
        change: for a connection, or a partition's change.
        least: what is never too much.
    """

    rule: ClassVar[str] = "traffic"

    def __init__(self, each: float, change: float, least: int) -> None:
        self._each = each
        self._change = change
        self._least = least
        self.carried = 0
        self.happened = 0
        self.changes = 0

    def subscriptions(self) -> Mapping[type, object]:
        """All that is counted."""
        small = dict.fromkeys((Spoken, Seated, Handed, Said), self._happens)
        large = dict.fromkeys((Connected, Serving, Ceased), self._changes)
        return {**small, **large, Carried: self._carries}

    def _carries(self, _: object) -> None:
        self.carried += 1

    def _happens(self, _: object) -> None:
        self.happened += 1

    def _changes(self, _: object) -> None:
        self.changes += 1

    def verdict(self, disks: Disks) -> None:
        """Over a whole run."""
        allowed = self._least + self._each * self.happened + self._change * self.changes
        if self.carried > allowed:
            raise Violation(
                self.rule,
                f"{self.carried} messages between routers, for {self.happened} things that happened to phones and"
                f" {self.changes} to connections and partitions",
            )
