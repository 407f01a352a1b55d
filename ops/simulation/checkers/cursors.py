"""Cursor truth: what a node has written down that it knows of a peer's changes, it has.

A cursor names a sequence of the peer's store in one of the peer's lives. It is worth nothing if that life never wrote
up to there, as the peer itself would say, or if the peer's disk became an older one since: what had been overwritten
beyond the cursor is then back below it, and only digests notice. Else every record that the peer lists up to there
must be on the node's own disk, or one that beats it, or the merge of both; or nothing, after a tombstone that was
forgotten.

Rows of the table `replica` (see `ops.simulation.tables.claims`):

    ("stream", peer), ("echo", peer) → [incarnation, upto]
    ("lanes", peer)                  → [[p, …] in the stream, [p, …] in the echo, [[p, incarnation, sequence], …]]
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

import cbor2

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.positions import Positions
from ops.simulation.disk import META, VirtualDisk
from ops.simulation.records import Found, Key, every, find
from ops.simulation.tables.claims import REPLICA, name_of
from ops.simulation.trace import DiskLost, Down, Peace


class Cursors:
    """Compares disks whenever a node has died or lost its disk, when peace begins, and at rest.

    Args:
        partitions: group → how many it has. whole: groups without partitions. tables: those that are replicated.
    """

    rule: ClassVar[str] = "cursor truth"

    def __init__(
        self,
        disks: Disks,
        positions: Positions,
        partitions: Mapping[str, int],
        whole: Collection[str],
        tables: Collection[str],
    ) -> None:
        self._positions = positions
        self._disks = disks
        self._partitions = partitions
        self._whole = frozenset(whole)
        self._tables = tuple(tables)
        self.compared = 0
        self._doubtful: set[tuple[int, str, int]] = set()  # lives of a node that an older disk brought back

    def subscriptions(self) -> Mapping[type, object]:
        """When to look."""
        return {Down: self._look, DiskLost: self._lost, Peace: self._look}

    def _lost(self, lost: DiskLost) -> None:
        disk = self._disks[lost.node]
        self._doubtful |= {
            (lost.node, group, life) for group in self._partitions for life, _, _ in _lives(disk, group)
        }
        self._look(lost)

    def _look(self, _: object) -> None:
        for group in self._partitions:
            listed = {node: self._listed(disk, group) for node, disk in self._disks.items()}
            for node in self._disks:
                for peer in self._disks:
                    if node != peer:
                        self._compare(group, node, peer, listed[peer], listed[node])

    def _listed(self, disk: VirtualDisk, group: str) -> dict[int, dict[tuple[str, Key], Found]]:
        """partition → (table, key) → what stands there."""
        found: dict[int, dict[tuple[str, Key], Found]] = {}
        for table in self._tables:
            for key, record in every(disk, group, table):
                number = 0 if group in self._whole else key[0]
                found.setdefault(number, {})[table, key] = record
        return found

    def _compare(
        self,
        group: str,
        node: int,
        peer: int,
        theirs: Mapping[int, Mapping[tuple[str, Key], Found]],
        mine: Mapping[int, Mapping[tuple[str, Key], Found]],
    ) -> None:
        for number, incarnation, upto, head in self._cursors(self._disks[node], group, peer):
            if (peer, group, incarnation) in self._doubtful or not _is_worth(
                self._disks[peer], group, incarnation, head
            ):
                continue
            here = mine.get(number, {})
            for place, record in theirs.get(number, {}).items():
                if record.local <= upto:
                    self.compared += 1
                    if not self._covers(group, place, here.get(place), record):
                        raise Violation(
                            self.rule,
                            f"node {node} has written down that it knows node {peer}'s {group} {number} up to {upto}"
                            f" of {incarnation:x}; there, {place} is {record}, and here {here.get(place)}",
                        )

    def _covers(self, group: str, place: tuple[str, Key], here: Found | None, there: Found) -> bool:
        if here is None:
            return self._positions.was_buried(group, *place, there.version)
        return _beats(here, there)

    def _cursors(self, disk: VirtualDisk, group: str, peer: int) -> Iterator[tuple[int, int, int, int]]:
        """(partition, incarnation, sequence, the head that it rests upon)"""
        lanes = _row(disk, group, "lanes", peer) or [[], [], []]
        for lane, kind in zip(lanes[:2], ("stream", "echo"), strict=True):
            incarnation, upto = _row(disk, group, kind, peer) or (0, 0)
            for number in lane:
                yield number, incarnation, upto, upto
        for number, incarnation, sequence, head in lanes[2]:
            yield number, incarnation, sequence, head

    def verdict(self, disks: Disks) -> None:
        """Once more."""
        self._look(None)


def _row(disk: VirtualDisk, group: str, kind: str, peer: int) -> Any:
    found = find(disk, group, REPLICA, (kind, name_of(peer)))
    return None if found is None else found.value


def _lives(disk: VirtualDisk, group: str) -> list[list[int]]:
    """[[life, first sequence, when], …]"""
    meta = disk.rows(group, META)
    lives: list[list[int]] = cbor2.loads(meta[b"incarnations"]) if b"incarnations" in meta else []
    return lives


def _is_worth(disk: VirtualDisk, group: str, incarnation: int, upto: int) -> bool:
    """Whether that life of the disk's store wrote up to there."""
    lives = _lives(disk, group)
    head = int.from_bytes(disk.rows(group, META).get(b"sequence", b""), "big")
    for at, (life, first, _) in enumerate(lives):
        if life == incarnation:
            end = head if at + 1 == len(lives) else lives[at + 1][1] - 1
            return bool(first - 1 <= upto <= end)
    return False


def _beats(here: Found, there: Found) -> bool:
    if here.version < there.version:
        return False
    if here.payload is None or there.payload is None:
        return True
    mine, theirs = here.value, there.value
    return not isinstance(theirs, list) or set(theirs) <= set(mine)
