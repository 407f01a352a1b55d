"""One primary per claim, durable before it is used; and nothing settled under a refused epoch.

*one claim per rank*: claims are ordered by (epoch, primary). Two different ones of the same rank would both be obeyed.
Only a node whose disk was set back may make one anew; at rest all disks hold the same claim.
*claim before use*: a node serves under a claim only when that claim stands on its disk.
*refused epoch*: a write is settled at two copies only if another node took it in, or what came after it, while it had
written down no claim that beats the primary's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.positions import Positions
from ops.simulation.records import Landed, Landings, Version
from ops.simulation.tables.claims import REPLICA, DiskClaim, Rank, claim_on, name_of
from ops.simulation.tables.events import Serving
from ops.simulation.trace import DiskLost
from ops.simulation.writes import Settled
from store import keys

NOBODY: Rank = (0, b"")


class Claims:
    """Follows the claims that stand on disks, commit by commit.

    Args:
        whole: groups without partitions. partitions: group → how many it has.
    """

    rule: ClassVar[str] = "claims"

    def __init__(
        self, positions: Positions, disks: Disks, partitions: Mapping[str, int], whole: Collection[str]
    ) -> None:
        self._positions = positions
        self._disks = disks
        self._partitions = partitions
        self._whole = frozenset(whole)
        self._known: dict[tuple[str, int, Rank], DiskClaim] = {}
        self._on: dict[tuple[int, str, int], Rank] = {}  # what stands on a node's disk
        self._taken: dict[tuple[int, str, str, bytes], list[tuple[Version, Rank]]] = {}
        self._ever: set[tuple[int, str, int, Rank]] = set()
        self._set_back: dict[tuple[bytes, str, int], int] = {}
        """(primary, group, partition) → the lowest epoch that it was set back to: above it, it may claim anew"""

    def subscriptions(self) -> Mapping[type, object]:
        """Commits, lost disks, and what nodes serve and say."""
        return {
            Landings: self._landed,
            DiskLost: self._lost,
            Serving: self._serves,
            Settled: self._settled,
        }

    def _landed(self, landings: Landings) -> None:
        node, group, records = landings
        # One commit may hold what was taken in before a claim was made, and after: in the order of its sequences.
        for record in sorted(records, key=_local):
            table, key, found = record
            if table == REPLICA:
                self._wrote(node, group, record)
            else:
                rank = self._obeyed(node, group, self._partition(group, key))
                self._taken.setdefault((node, group, table, key), []).append((found.version, rank))

    def _obeyed(self, node: int, group: str, partition: int) -> Rank:
        """The claim under which a node takes in what comes."""
        return self._on.get((node, group, partition), NOBODY)

    def _wrote(self, node: int, group: str, record: Landed) -> None:
        kind, number = keys.decode(record.key)
        if kind != "claim":
            return
        claim = claim_on(self._disks[node], group, number)
        if claim is None:
            return
        self._on[node, group, number] = claim.rank
        self._ever.add((node, group, number, claim.rank))
        before = self._known.setdefault((group, number, claim.rank), claim)
        known_to = self._set_back.get((claim.rank[1], group, number))
        if before != claim and (known_to is None or claim.rank[0] <= known_to):
            raise Violation(
                "one claim per rank",
                f"node {node}, partition {number} of {group}: {claim}, and there is {before}",
            )

    def _lost(self, lost: DiskLost) -> None:
        # A node that forgets what it claimed may claim the same rank again: whoever is alone can't know better.
        for group, count in self._partitions.items():
            for number in range(count):
                claim = claim_on(self._disks[lost.node], group, number)
                place = (name_of(lost.node), group, number)
                epoch = 0 if claim is None else claim.rank[0]
                self._set_back[place] = min(epoch, self._set_back.get(place, epoch))
                self._on[lost.node, group, number] = NOBODY if claim is None else claim.rank

    def _serves(self, serving: Serving) -> None:
        node, group, number, epoch = serving
        mine = (epoch, name_of(node))
        rank = self._on.get((node, group, number), NOBODY)
        # Its next claim may be on disk already, and the node hasn't heard of it.
        if (node, group, number, mine) not in self._ever or (rank > mine and rank[1] != mine[1]):
            raise Violation("claim before use", f"{serving}, and on its disk stands {rank}")

    def _settled(self, settled: Settled) -> None:
        if settled.copies < 2:
            return
        group = self._positions.attempted[settled.write].group
        mine = (settled.epoch, name_of(settled.node))
        for change, version in self._positions.of(settled):
            key = keys.encode(change.key)
            taken = [
                entry
                for node in self._disks
                if node != settled.node
                for entry in self._taken.get((node, group, change.table, key), ())
            ]
            if not any(found >= version and rank <= mine for found, rank in taken):
                raise Violation(
                    "refused epoch",
                    f"write {settled.write} was settled by node {settled.node} in epoch {settled.epoch}; others took it"
                    f" in under {sorted({rank for found, rank in taken if found >= version})}",
                )

    def _partition(self, group: str, key: bytes) -> int:
        if group in self._whole:
            return 0
        number: int = keys.decode(key)[0]
        return number

    def verdict(self, disks: Disks) -> None:
        """Whoever was set back, at rest there is one claim of each partition, the same on all disks."""
        for group, count in self._partitions.items():
            for number in range(count):
                found = {claim_on(disk, group, number) for disk in disks.values()}
                if len(found) > 1:
                    raise Violation("one claim per rank", f"partition {number} of {group}, at rest: {found}")


def _local(record: Landed) -> int:
    return record.found.local
