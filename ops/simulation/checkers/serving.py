"""A partition has a primary again in bound: once nothing happens any more, whoever has a copy that counts serves it.

The copies that count are those of the claim that wins, as disks have it: its primary's, and its heir's if that one has
written down that it is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.tables.claims import highest, is_live_on, node_of
from ops.simulation.tables.events import Ceased, Serving
from ops.simulation.trace import Down


class Served:
    """Looks at what is served, whenever it is asked to.

    Args:
        runs: whether a node is up.
        calm_since: since when nothing has happened among these nodes; None if something is the matter now.
    """

    rule: ClassVar[str] = "served again"

    def __init__(
        self,
        disks: Disks,
        group: str,
        partitions: int,
        now: Callable[[], int],
        runs: Callable[[int], bool],
        calm_since: Callable[[Collection[int]], int | None],
        bound_ms: int,
    ) -> None:
        self._disks = disks
        self._group = group
        self._partitions = partitions
        self._now = now
        self._runs = runs
        self._calm_since = calm_since
        self._bound = bound_ms
        self._by: dict[int, set[int]] = {p: set() for p in range(partitions)}
        self._since: dict[int, int] = dict.fromkeys(range(partitions), 0)  # when it was served last
        self.looked = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What nodes serve."""
        return {Serving: self._serves, Ceased: self._ceases, Down: self._down}

    def _serves(self, serving: Serving) -> None:
        if serving.group == self._group:
            self._by[serving.partition].add(serving.node)

    def _ceases(self, ceased: Ceased) -> None:
        if ceased.group == self._group:
            self._leaves(ceased.partition, ceased.node)

    def _down(self, down: Down) -> None:
        for p in self._by:
            self._leaves(p, down.node)

    def _leaves(self, p: int, node: int) -> None:
        if node in self._by[p]:
            self._by[p].discard(node)
            self._since[p] = self._now()

    def look(self) -> None:
        """Called every few milliseconds. Raises Violation."""
        for p, nodes in self._by.items():
            if nodes or self._now() - self._since[p] <= self._bound:
                continue
            claim = highest(self._disks, self._group, p)
            if claim is None:
                continue
            holders = [node_of(claim.rank[1])]
            if claim.heir is not None:
                holders.append(node_of(claim.heir))
            calm = self._calm_since(holders)
            if calm is None or self._now() - max(calm, self._since[p]) <= self._bound:
                continue
            able = [
                node for node in holders if self._runs(node) and is_live_on(self._disks[node], self._group, p)
            ]
            if able:
                raise Violation(
                    self.rule,
                    f"nobody serves partition {p}, {self._now() - calm} ms after the last thing that happened, since"
                    f" {self._since[p]} ms; nodes {able} could, by {claim}",
                )
        self.looked += 1

    def verdict(self, disks: Disks) -> None:
        """What is at rest is served."""
