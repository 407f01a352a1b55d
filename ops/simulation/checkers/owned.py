"""Where several clusters know one another: at rest all know the same owner of each partition, which holds it.

*owners agree*: the row of a partition's owner is the same on the disks of all members, and says what an operator asked
for, or what was at first. *owned*: primary and heir of the claim that wins are of that cluster; if there is but one
node of it, another one's may be heir.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import Assigned
from ops.simulation.records import find
from ops.simulation.tables.claims import highest, node_of
from ops.simulation.trace import DiskLost

CLUSTER: Final = "cluster"
LABEL: Final = 3
"""Where a row of an owner, [partition, counter, editor, cluster, …], says which."""


class Owned:
    """Looks at disks, at the end.

    Args:
        members: who belongs at rest.
        label_of: a node's cluster, as the world has it.
        first: partition → the cluster that it belonged to at first.
    """

    rule: ClassVar[str] = "owned"

    def __init__(
        self,
        members: Callable[[], Collection[int]],
        label_of: Callable[[int], str],
        group: str,
        first: dict[int, str],
    ) -> None:
        self._members = members
        self._label_of = label_of
        self._group = group
        self._first = first
        self._asked: dict[int, list[Assigned]] = {p: [] for p in first}
        self._done: set[tuple[int, str]] = set()
        self._lost: set[int] = set()

    def subscriptions(self) -> dict[type, object]:
        """What operators ask for, and disks that forget it."""
        return {Assigned: self._assigned, DiskLost: self._was_lost}

    def _assigned(self, assigned: Assigned) -> None:
        for p in assigned.partitions:
            if assigned.done:
                self._done.add((p, assigned.label))
            else:
                self._asked[p].append(assigned)

    def _was_lost(self, lost: DiskLost) -> None:
        self._lost.add(lost.node)

    def verdict(self, disks: Disks) -> None:
        """Every partition."""
        members = sorted(self._members())
        for p, asked in self._asked.items():
            rows = {str(self._row(disks, node, p)) for node in members}
            row = self._row(disks, members[0], p)
            if len(rows) != 1 or row is None:
                raise Violation("owners agree", f"members have of partition {p}: {sorted(rows)}")
            label = row[LABEL]
            # Of what was asked for at the same time one stands; what was asked for once stands, but for a lost disk.
            wanted = {self._first[p], *(one.label for one in asked)}
            once = len(asked) == 1 and asked[0].node not in self._lost and (p, asked[0].label) in self._done
            if label not in wanted or (once and label != asked[0].label):
                raise Violation("owners agree", f"partition {p} is {label}'s, and was to be one of {wanted}")
            self._held(disks, p, label)

    def _row(self, disks: Disks, node: int, p: int) -> list[object] | None:
        found = find(disks[node], CLUSTER, "owner", (p,))
        return None if found is None else found.value

    def _held(self, disks: Disks, p: int, label: object) -> None:
        claim = highest(disks, self._group, p)
        if claim is None:
            raise Violation(self.rule, f"nobody has claimed partition {p}")
        holders = [node_of(name) for name in (claim.rank[1], claim.heir) if name is not None]
        if sum(self._label_of(node) == label for node in self._members()) < len(holders):
            del holders[1:]
        if any(self._label_of(node) != label for node in holders):
            raise Violation(self.rule, f"partition {p} is {label}'s, and nodes {holders} hold it")
