"""A number is one device's: nobody is told that it has one that was granted to somebody else, or that is forgotten.

*two owners*: of one generation of a number there is one device. *without a majority*: a number is granted only where
a majority of its cluster's members is reached, or was a moment ago: a member counts until it is suspected, and if the
next split comes before, members of both sides count for that long. No less is promised, and that no number is given
twice by it is judged by itself. *lost registration*: at rest the number is the device's that was told so last, but for
disks that were lost since.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import Granted
from ops.simulation.records import find
from ops.simulation.tables.claims import highest, node_of
from ops.simulation.trace import DiskLost

GENERATION: Final = 1
KEY: Final = 3
"""Where a row of an account has them."""
NOTICED_MS: Final = 500
"""A node that loses the others thinks for so long that it has them, answers under way included."""
COPIES: Final = 2
"""Of a registration, where so many members can take one: it survives the loss of all disks but one."""


class Registrations:
    """Follows who reaches whom, and what phones are told.

    Args:
        reaches: (node) → the nodes that it and that reach it, each over one link; itself, if it runs.
        members: (partition) → the members of the cluster that owns it.
    """

    rule: ClassVar[str] = "two owners"

    def __init__(
        self,
        disks: Disks,
        group: str,
        partition_of: Callable[[int], int],
        now: Callable[[], int],
        nodes: int,
        reaches: Callable[[int], Collection[int]],
        members: Callable[[int], Collection[int]],
    ) -> None:
        self._disks = disks
        self._group = group
        self._partition_of = partition_of
        self._now = now
        self._nodes = nodes
        self._reaches = reaches
        self._members = members
        self._sides: list[tuple[int, list[frozenset[int]]]] = []  # who reached one another, and until when
        self._lost = 0
        # (user, generation) → key, disks that were lost before, copies that there were to be
        self._granted: dict[tuple[int, int], tuple[bytes, int, int]] = {}
        self.granted = 0

    def subscriptions(self) -> dict[type, object]:
        """What phones are told, and lost disks."""
        return {Granted: self._was_granted, DiskLost: self._was_lost}

    def _was_lost(self, lost: DiskLost) -> None:
        self._lost += 1

    def look(self) -> None:
        """Called every few milliseconds."""
        sides: list[frozenset[int]] = []
        left = set(range(self._nodes))
        while left:
            side: set[int] = set()
            reached = {left.pop()}
            while reached:
                node = reached.pop()
                side.add(node)
                reached |= set(self._reaches(node)) - side
            left -= side
            sides.append(frozenset(side))
        now = self._now()
        self._sides = [one for one in self._sides if now - one[0] <= NOTICED_MS and one[1] != sides]
        self._sides.append((now, sides))

    def _was_granted(self, granted: Granted) -> None:
        self.granted += 1
        _, user, generation, key = granted
        members = frozenset(self._members(self._partition_of(user)))
        mine = (key, self._lost, min(COPIES, len(members)))
        before = self._granted.setdefault((user, generation), mine)
        if before[0] != key and self._lost == before[1]:
            raise Violation(
                self.rule, f"user {user}, generation {generation}: {key.hex()} and {before[0].hex()}"
            )
        sides = [side for _, found in self._sides for side in found if granted.edge in side]
        if 2 * len(frozenset().union(*sides) & members) <= len(members):
            raise Violation(
                "without a majority", f"{granted}: node {granted.edge} reached {sides} of {sorted(members)}"
            )

    def verdict(self, disks: Disks) -> None:
        """Every number that was granted."""
        latest: dict[int, int] = {}
        for user, generation in self._granted:
            latest[user] = max(generation, latest.get(user, 0))
        for user, generation in latest.items():
            key, lost, copies = self._granted[user, generation]
            if self._lost - lost >= copies:
                continue
            p = self._partition_of(user)
            claim = highest(disks, self._group, p)
            found = (
                None
                if claim is None
                else find(disks[node_of(claim.rank[1])], self._group, "account", (p, user))
            )
            row = None if found is None else found.value
            if (
                row is None
                or row[GENERATION] < generation
                or (row[GENERATION] == generation and row[KEY] != key)
            ):
                raise Violation(
                    "lost registration",
                    f"user {user} was {key.hex()}'s, generation {generation}; {claim} has {row}",
                )
