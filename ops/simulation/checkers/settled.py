"""The state is the merge of some set S of writes with settled ⊆ S ⊆ attempted; and settled means what it says.

Three rules of one family, because they look at the same things:

*ack before durable*: before a client is told `settled` with n copies, n disks have held the write, or what came after.
*nothing settled is lost*: at rest, the copies hold every settled write, or one that beats it, or nothing after a
tombstone that beats it. A write is forgiven only if a fault took its last copy from a disk, and it was settled at one
copy, or disks of two nodes were lost since; or if its last copy was away for longer than is allowed (`was_away`).
*no ghosts*: what copies hold was attempted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.positions import NEVER, Positions
from ops.simulation.records import Found, Key, Landings, Version, every, find
from ops.simulation.trace import DiskLost
from ops.simulation.writes import DELETE, MERGE, Attempted, Change, Settled
from store import keys

Copies = Callable[[str, Key], Collection[int]]
"""(group, key) → the nodes that hold the copies that count, at rest."""


class SettledWrites:
    """Keeps what was settled, and what became of it.

    Args:
        disks: looked at when one is lost, and at rest.
        tables: (group, table) that are replicated. merged: those of them that hold sets, whose merge is union.
        copies: asked at rest.
    """

    rule: ClassVar[str] = "settled"

    def __init__(
        self,
        positions: Positions,
        disks: Disks,
        tables: Iterable[tuple[str, str]],
        copies: Copies,
        merged: Iterable[tuple[str, str]] = (),
    ) -> None:
        self._merged = frozenset(merged)
        self._positions = positions
        self._disks = disks
        self._tables = tuple(tables)
        self._copies = copies
        self._settled: list[Settled] = []
        self._asked: dict[int, int] = {}  # write → how many disks had been lost when it was asked for
        self._losses: list[int] = []  # nodes whose disk was lost
        self._highest: dict[tuple[int, str, str, bytes], Version] = {}  # what a disk has ever held
        self._elements: dict[tuple[int, str, str, bytes], set[Any]] = {}  # of sets that are merged
        self._forgiven: set[Settled] = set()
        self._values: dict[tuple[str, str, Key], set[Any]] = {}  # what was attempted
        self.count = 0
        self.forgiven = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What clients ask and are told, and disks that are lost."""
        return {
            Attempted: self._attempted,
            Settled: self._told,
            DiskLost: self._lost,
            Landings: self._landed,
        }

    def _landed(self, landings: Landings) -> None:
        node, group, records = landings
        for table, key, found in records:
            place = (node, group, table, key)
            if found.version > self._highest.get(place, NEVER):
                self._highest[place] = found.version
            if (group, table) in self._merged and found.payload is not None:
                self._elements.setdefault(place, set()).update(found.value)

    def _attempted(self, attempted: Attempted) -> None:
        self._asked[attempted.write] = len(self._losses)
        for change in attempted.changes:
            if change.op != DELETE:
                self._values.setdefault((attempted.group, change.table, change.key), set()).add(change.value)

    # ---- when it is said ----------------------------------------------------------------------------

    def _told(self, told: Settled) -> None:
        group = self._positions.attempted[told.write].group
        for change, version in self._positions.of(told):
            having = [node for node in self._disks if self._had(node, group, change, version)]
            if len(having) < told.copies:
                raise Violation(
                    "ack before durable",
                    f"write {told.write} ({_words(group, change)}) is said to be on {told.copies} disks and was on"
                    f" those of {having}",
                )
        self._settled.append(told)
        self.count += 1

    def _had(self, node: int, group: str, change: Change, version: Version) -> bool:
        place = (node, group, change.table, keys.encode(change.key))
        if change.op == MERGE:
            return change.value in self._elements.get(place, ())
        return self._highest.get(place, NEVER) >= version

    def _has(self, node: int, group: str, change: Change, version: Version) -> bool:
        found = find(self._disks[node], group, change.table, change.key)
        return found is not None and self._holds(group, found, change, version)

    # ---- when a disk is lost ------------------------------------------------------------------------

    def _lost(self, lost: DiskLost) -> None:
        self._losses.append(lost.node)
        for told in self._settled:
            since = set(self._losses[self._asked[told.write] :])
            if told in self._forgiven or (told.copies > 1 and len(since) < 2):
                continue
            group = self._positions.attempted[told.write].group
            for change, version in self._positions.of(told):
                if not any(self._has(node, group, change, version) for node in self._disks):
                    self._forgiven.add(told)
                    self.forgiven += 1
                    break

    def was_away(
        self, voided: Collection[tuple[int, str, int]], partition: Callable[[str, Key], int]
    ) -> None:
        """A copy was away for longer than is allowed, and is being emptied: what it alone had is forgiven.

        voided: (node, group, partition) of the copies that count for nothing, this one among them.
        """
        for told in self._settled:
            if told in self._forgiven:
                continue
            group = self._positions.attempted[told.write].group
            for change, version in self._positions.of(told):
                p = partition(group, change.key)
                having = [node for node in self._disks if self._has(node, group, change, version)]
                if having and all((node, group, p) in voided for node in having):
                    self._forgiven.add(told)
                    self.forgiven += 1
                    break

    # ---- at rest ------------------------------------------------------------------------------------

    def verdict(self, disks: Disks) -> None:
        """Nothing settled is lost, and there are no ghosts."""
        for told in self._settled:
            if told in self._forgiven:
                continue
            group = self._positions.attempted[told.write].group
            for change, version in self._positions.of(told):
                for node in self._copies(group, change.key):
                    found = find(disks[node], group, change.table, change.key)
                    if not self._holds(group, found, change, version):
                        what = "nothing" if found is None else f"{found.value!r} of version {found.version}"
                        raise Violation(
                            "nothing settled is lost",
                            f"write {told.write} ({_words(group, change)}, version {version}) was settled at"
                            f" {told.copies} copies; node {node} holds {what}",
                        )
        for group, table in self._tables:
            for disk in disks.values():
                for key, found in every(disk, group, table):
                    self._refuse_ghosts(group, table, key, found, disk.node)

    def _holds(self, group: str, found: Found | None, change: Change, version: Version) -> bool:
        """Whether that is what the change made of its key, or what came after it."""
        if found is None:  # nothing older may be there; what is newer may be a tombstone that was forgotten
            return change.op != MERGE and self._positions.was_buried(group, change.table, change.key, version)
        if change.op == MERGE:
            return found.payload is not None and change.value in found.value
        return found.version >= version

    def _refuse_ghosts(self, group: str, table: str, key: Key, found: Found, node: str) -> None:
        if found.payload is None:
            return
        value = found.value
        attempted = self._values.get((group, table, key), set())
        ghosts = [one for one in (value if isinstance(value, list) else [value]) if one not in attempted]
        if ghosts:
            raise Violation(
                "no ghosts", f"node {node} holds {ghosts!r} at {group}.{table} {key!r}, which nobody wrote"
            )


def _words(group: str, change: Change) -> str:
    return f"{change.op} {group}.{change.table} {change.key!r} {change.value!r}"
