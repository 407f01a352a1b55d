"""Convergence: at rest, all copies of a partition are the same, byte for byte of what their writers packed.

Where tombstones are forgotten one may have a tombstone that the other has forgotten; it may not have a record there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.records import Key, Version, every

Holders = Callable[[str, int], Collection[int]]
"""(group, partition) → nodes whose copies count."""

Content = dict[tuple[str, Key], tuple[Version, bytes | None]]


class Convergence:
    """Compares copies, record by record.

    Args:
        tables: (group, table, whether it is partitioned).
        partitions: group → how many.
        forgets: tombstones are forgotten, by each node when it may.
    """

    rule: ClassVar[str] = "convergence"

    def __init__(
        self,
        tables: Iterable[tuple[str, str, bool]],
        partitions: Mapping[str, int],
        holders: Holders,
        *,
        forgets: bool = False,
    ) -> None:
        self._tables = tuple(tables)
        self._partitions = partitions
        self._holders = holders
        self._forgets = forgets

    def subscriptions(self) -> Mapping[type, object]:
        """Nothing on the way."""
        return {}

    def verdict(self, disks: Disks) -> None:
        """Every copy against the first one."""
        for group, partitions in self._partitions.items():
            for partition in range(partitions):
                nodes = sorted(self._holders(group, partition))
                if not nodes:
                    raise Violation(self.rule, f"nobody has a copy of partition {partition} of {group}")
                first = self._content(disks, nodes[0], group, partition)
                for node in nodes[1:]:
                    self._compare(group, partition, nodes[0], first, node, disks)

    def _content(self, disks: Disks, node: int, group: str, partition: int) -> Content:
        found: Content = {}
        for owner, table, partitioned in self._tables:
            if owner == group:
                for key, record in every(disks[node], group, table):
                    mine = not partitioned or key[0] == partition
                    if mine and (record.payload is not None or not self._forgets):
                        found[table, key] = (record.version, record.payload)
        return found

    def _compare(
        self, group: str, partition: int, first: int, wanted: Content, node: int, disks: Disks
    ) -> None:
        found = self._content(disks, node, group, partition)
        for place in sorted(wanted.keys() | found.keys(), key=repr):
            if wanted.get(place) != found.get(place):
                table, key = place
                raise Violation(
                    self.rule,
                    f"{group}.{table} {key!r} is {wanted.get(place)} on node {first} and {found.get(place)} on node"
                    f" {node}",
                )
