"""Receipts are told in bound: once nothing happens any more, and a sender's partition is served, so is what its primary
owes it: no mark of something untold stays on a disk.

A mark is a row of the table `telling`, which stands beside a pair that says more than its sender's primary knows. Only
those of a pair that doesn't change are judged, for each ack is told anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.bound import Bound
from ops.simulation.records import Version, every, find
from ops.simulation.tables.claims import holders
from ops.simulation.tables.events import Ceased, Serving
from ops.simulation.trace import Down

Mark = tuple[int, tuple[object, ...]]
"""(node, key)"""


class Told:
    """Looks at marks on the disks of those that serve, whenever it is asked to.

    Args:
        bound: how long it may take to tell, to hear that it is durable, and to write that down.
        partition_of: where a user lives.
    """

    rule: ClassVar[str] = "told in bound"

    def __init__(self, bound: Bound, partition_of: Callable[[int], int]) -> None:
        self._bound = bound
        self._partition_of = partition_of
        self._serves: dict[tuple[int, int], int] = {}  # (partition, node) → since when
        self._marks: dict[Mark, tuple[Version, int]] = {}  # → the pair's row as it was seen, and since when
        self.looked = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What nodes serve."""
        return {Serving: self._begins, Ceased: self._ends, Down: self._down}

    def _begins(self, serving: Serving) -> None:
        if serving.group == self._bound.group:
            self._serves[serving.partition, serving.node] = self._bound.now()

    def _ends(self, ceased: Ceased) -> None:
        if ceased.group == self._bound.group:
            self._serves.pop((ceased.partition, ceased.node), None)

    def _down(self, down: Down) -> None:
        self._serves = {key: since for key, since in self._serves.items() if key[1] != down.node}

    def look(self) -> None:
        """Called every few milliseconds. Raises Violation."""
        before, self._marks = self._marks, {}
        serving = {node for _, node in self._serves}
        for node in sorted(serving):
            for key, found in every(self._bound.disks[node], self._bound.group, "telling"):
                if found.payload is not None and (key[0], node) in self._serves:
                    self._see(before, node, key)

    def _see(self, before: Mapping[Mark, tuple[Version, int]], node: int, key: tuple[object, ...]) -> None:
        pair = find(self._bound.disks[node], self._bound.group, "pair", key)
        if pair is None:
            return
        now = self._bound.now()
        version, since = before.get((node, key), (pair.version, now))
        if version != pair.version:
            since = now
        self._marks[node, key] = pair.version, since
        self.looked += 1
        if now - since > self._bound.ms:
            self._judge(node, key, since)

    def _judge(self, node: int, key: tuple[object, ...], since: int) -> None:
        p, recipient, sender, _ = key
        assert isinstance(p, int)
        assert isinstance(sender, int)
        home = self._partition_of(sender)
        theirs = [at for (partition, _), at in self._serves.items() if partition == home]
        if len(theirs) != 1:
            return
        disks, group = self._bound.disks, self._bound.group
        concerned = {*holders(disks, group, p), *holders(disks, group, home)}
        waited = self._bound.overdue(concerned, since, self._serves[p, node], *theirs)
        if waited is not None:
            raise Violation(
                self.rule,
                f"node {node} has owed {sender} a receipt of {recipient} for {waited} ms, in which its partition {home}"
                f" was served and nothing happened",
            )

    def verdict(self, disks: Disks) -> None:
        """What is at rest is told: see `mail_set`."""
