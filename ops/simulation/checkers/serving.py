"""A partition has a primary again in bound: once nothing happens any more, whoever has a copy that counts serves it.

The copies that count are those of the claim that wins, as disks have it: its primary's, and its heir's if that one has
written down that it is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.bound import Bound
from ops.simulation.tables.claims import highest, is_live_on, node_of
from ops.simulation.tables.events import Ceased, Serving
from ops.simulation.trace import Down


class Served:
    """Looks at what is served, whenever it is asked to.

    Args:
        bound: how long it may take.
        runs: whether a node is up.
    """

    rule: ClassVar[str] = "served again"

    def __init__(self, bound: Bound, partitions: int, runs: Callable[[int], bool]) -> None:
        self._bound = bound
        self._runs = runs
        self._by: dict[int, set[int]] = {p: set() for p in range(partitions)}
        self._since: dict[int, int] = dict.fromkeys(range(partitions), 0)  # when it was served last
        self.looked = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What nodes serve."""
        return {Serving: self._serves, Ceased: self._ceases, Down: self._down}

    def _serves(self, serving: Serving) -> None:
        if serving.group == self._bound.group:
            self._by[serving.partition].add(serving.node)

    def _ceases(self, ceased: Ceased) -> None:
        if ceased.group == self._bound.group:
            self._leaves(ceased.partition, ceased.node)

    def _down(self, down: Down) -> None:
        for p in self._by:
            self._leaves(p, down.node)

    def _leaves(self, p: int, node: int) -> None:
        if node in self._by[p]:
            self._by[p].discard(node)
            self._since[p] = self._bound.now()

    def look(self) -> None:
        """Called every few milliseconds. Raises Violation."""
        disks, group = self._bound.disks, self._bound.group
        for p, nodes in self._by.items():
            if nodes or self._bound.now() - self._since[p] <= self._bound.ms:
                continue
            claim = highest(disks, group, p)
            if claim is None:
                continue
            holders = [node_of(claim.rank[1])]
            if claim.heir is not None:
                holders.append(node_of(claim.heir))
            waited = self._bound.overdue(holders, self._since[p])
            if waited is None:
                continue
            able = [node for node in holders if self._runs(node) and is_live_on(disks[node], group, p)]
            if able:
                raise Violation(
                    self.rule,
                    f"nobody serves partition {p}, for {waited} ms in which nothing happened; nodes {able} could, by"
                    f" {claim}",
                )
        self.looked += 1

    def verdict(self, disks: Disks) -> None:
        """What is at rest is served."""
