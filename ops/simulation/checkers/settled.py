"""The state is the merge of some set S of writes with settled ⊆ S ⊆ attempted; and settled means what it says.

Three rules of one family, because they look at the same things:

*ack before durable*: when a client is told `settled` with n copies, n disks hold the write, or what came after it.
*nothing settled is lost*: at rest, the copies hold every settled write, or one that beats it. A write is forgiven only
if a fault took its last copy from a disk, and it was settled at one copy, or disks of two nodes were lost since.
*no ghosts*: what copies hold was attempted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.positions import Positions
from ops.simulation.records import Found, Key, Version, every, find
from ops.simulation.trace import DiskLost
from ops.simulation.writes import DELETE, MERGE, Attempted, Change, Settled

Copies = Callable[[str, Key], Collection[int]]
"""(group, key) → the nodes that hold the copies that count, at rest."""


class SettledWrites:
    """Keeps what was settled, and what became of it.

    Args:
        disks: looked at when clients are told something, and when a disk is lost.
        tables: (group, table) that are replicated.
        copies: asked at rest.
    """

    rule: ClassVar[str] = "settled"

    def __init__(
        self, positions: Positions, disks: Disks, tables: Iterable[tuple[str, str]], copies: Copies
    ) -> None:
        self._positions = positions
        self._disks = disks
        self._tables = tuple(tables)
        self._copies = copies
        self._settled: dict[int, tuple[int, set[int]]] = {}  # write → copies, nodes whose disk was lost since
        self._forgiven: set[int] = set()
        self._values: dict[tuple[str, str, Key], set[Any]] = {}  # what was attempted
        self.count = 0
        self.forgiven = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What clients ask and are told, and disks that are lost."""
        return {Attempted: self._attempted, Settled: self._told, DiskLost: self._lost}

    def _attempted(self, attempted: Attempted) -> None:
        for change in attempted.changes:
            if change.op != DELETE:
                self._values.setdefault((attempted.group, change.table, change.key), set()).add(change.value)

    # ---- when it is said ----------------------------------------------------------------------------

    def _told(self, told: Settled) -> None:
        placed = self._positions.of(told.write)
        if placed is None:
            raise Violation("ack before durable", f"write {told.write} is settled, and no primary has it")
        group = self._positions.attempted[told.write].group
        for change, version in placed:
            having = [node for node in self._disks if self._has(node, group, change, version)]
            if len(having) < told.copies:
                raise Violation(
                    "ack before durable",
                    f"write {told.write} ({_words(group, change)}) is said to be on {told.copies} disks and is on"
                    f" those of {having}",
                )
        self._settled[told.write] = (told.copies, set())
        self.count += 1

    def _has(self, node: int, group: str, change: Change, version: Version) -> bool:
        return _holds(find(self._disks[node], group, change.table, change.key), change, version)

    # ---- when a disk is lost ------------------------------------------------------------------------

    def _lost(self, lost: DiskLost) -> None:
        for write, (copies, since) in self._settled.items():
            since.add(lost.node)
            if write in self._forgiven or (copies > 1 and len(since) < 2):
                continue
            group = self._positions.attempted[write].group
            for change, version in self._positions.of(write) or ():
                if not any(self._has(node, group, change, version) for node in self._disks):
                    self._forgiven.add(write)
                    self.forgiven += 1
                    break

    # ---- at rest ------------------------------------------------------------------------------------

    def verdict(self, disks: Disks) -> None:
        """Nothing settled is lost, and there are no ghosts."""
        for write in self._settled:
            if write in self._forgiven:
                continue
            group = self._positions.attempted[write].group
            for change, version in self._positions.of(write) or ():
                for node in self._copies(group, change.key):
                    found = find(disks[node], group, change.table, change.key)
                    if not _holds(found, change, version):
                        what = "nothing" if found is None else f"{found.value!r} of version {found.version}"
                        raise Violation(
                            "nothing settled is lost",
                            f"write {write} ({_words(group, change)}, version {version}) was settled at"
                            f" {self._settled[write][0]} copies; node {node} holds {what}",
                        )
        for group, table in self._tables:
            for disk in disks.values():
                for key, found in every(disk, group, table):
                    self._refuse_ghosts(group, table, key, found, disk.node)

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


def _holds(found: Found | None, change: Change, version: Version) -> bool:
    """Whether that is what the change made of its key, or what came after it."""
    if found is None:
        return change.op == DELETE  # its tombstone may have been purged; nothing older may be there
    if change.op == MERGE:
        return found.payload is not None and change.value in found.value
    return found.version >= version


def _words(group: str, change: Change) -> str:
    return f"{change.op} {group}.{change.table} {change.key!r} {change.value!r}"
