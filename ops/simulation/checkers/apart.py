"""Copies fail apart: once nothing happens any more, primary and heir of each partition are on different servers.

Knows only which node is on which server, and what claims are on disks: not how copies are placed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.bound import Bound
from ops.simulation.tables.claims import highest, node_of


class Apart:
    """Looks at claims, whenever it is asked to.

    Args:
        bound: how long it may take until copies are where they are wanted.
        members: who may hold copies now, if all of them run; else nobody.
        server_of: what a node is on.
    """

    rule: ClassVar[str] = "on one server"

    def __init__(
        self,
        bound: Bound,
        partitions: int,
        members: Callable[[], Collection[int]],
        server_of: Callable[[int], str],
    ) -> None:
        self._bound = bound
        self._partitions = partitions
        self._members = members
        self._server_of = server_of
        self.looked = 0

    def subscriptions(self) -> dict[type, object]:
        """Nothing: disks are enough."""
        return {}

    def look(self) -> None:
        """Called every few milliseconds. Raises Violation."""
        members = self._members()
        waited = self._bound.overdue(members)
        if waited is None:
            return
        if len({self._server_of(node) for node in members}) < 2:
            return
        self.looked += 1
        for p in range(self._partitions):
            claim = highest(self._bound.disks, self._bound.group, p)
            if claim is None or claim.heir is None:
                continue
            primary, heir = node_of(claim.rank[1]), node_of(claim.heir)
            if self._server_of(primary) == self._server_of(heir):
                raise Violation(
                    self.rule,
                    f"partition {p} is on nodes {primary} and {heir}, both on {self._server_of(heir)},"
                    f" {waited} ms after the last thing that happened",
                )

    def verdict(self, disks: Disks) -> None:
        """At the end it may have been disturbed a moment before."""
