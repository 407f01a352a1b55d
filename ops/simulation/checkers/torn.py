"""Torn transactions: tables that are only ever changed together agree at every live copy, after every commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.records import Key, Landings, find
from store import keys

IsLive = Callable[[int, str, Key], bool]
"""(node, group, key) → whether the node's copy of that key's partition is complete."""


class Torn:
    """Two tables whose transactions always put the same value under the same key of both.

    Args:
        group, left, right: the tables.
        is_live: asked after a commit that changed one of them.
    """

    rule: ClassVar[str] = "torn transactions"

    def __init__(self, disks: Disks, group: str, left: str, right: str, is_live: IsLive) -> None:
        self._disks = disks
        self._group = group
        self._tables = (left, right)
        self._is_live = is_live
        self.looked = 0

    def subscriptions(self) -> Mapping[type, object]:
        """Every commit."""
        return {Landings: self._landed}

    def _landed(self, landings: Landings) -> None:
        if landings.group != self._group:
            return
        changed = {record.key for record in landings.records if record.table in self._tables}
        for physical in sorted(changed):
            key = keys.decode(physical)
            if self._is_live(landings.node, self._group, key):
                self._compare(landings.node, key)

    def _compare(self, node: int, key: Key) -> None:
        self.looked += 1
        left, right = (find(self._disks[node], self._group, table, key) for table in self._tables)
        if (None if left is None else left.payload) != (None if right is None else right.payload):
            raise Violation(
                self.rule,
                f"node {node}, {self._group} {key!r}: {self._tables[0]} has {left and left.value!r},"
                f" {self._tables[1]} has {right and right.value!r}",
            )

    def look(self, node: int, group: str, partition: int | None) -> None:
        """Compare all keys of a node, of one partition if there are some: called when it begins to serve them."""
        if group != self._group:
            return
        names = [b"t:" + table.encode() for table in self._tables]
        for physical in sorted({key for name in names for key in self._disks[node].rows(group, name)}):
            key = keys.decode(physical)
            if (partition is None or key[0] == partition) and self._is_live(node, group, key):
                self._compare(node, key)

    def verdict(self, disks: Disks) -> None:
        """At rest, too, everywhere."""
        for node in disks:
            self.look(node, self._group, None)
