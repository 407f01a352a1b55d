"""Sums: transactions that read two keys and move an amount from one to the other, judged by what they say they read.

Each puts {amount, stamp} under both keys, the stamp being its own. So the transactions that made a key what it is are a
chain, back to nothing, and three things can be told of every live copy after every commit:

*lost update*: two transactions of one life of a node that began from the same stamp, both of which came to be on disks.
*half a transaction*: one that is in the chain of one of its keys only. A split may bring that about: the other key has
another branch, written by another node or in another life, and the later claim's stands. Else nothing may.
*sum*: where no transaction is there by half the amounts come to nothing, as at the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, NamedTuple

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.torn import IsLive
from ops.simulation.records import Key, Landings, every
from ops.simulation.writes import Half, Transferred
from store import keys

Partition = int | None
Chain = dict[int, int]
"""stamp → the one before it; 0 is nothing. From the newest to the oldest."""


class _Told(NamedTuple):
    node: int
    incarnation: int
    halves: tuple[Half, ...]

    def half(self, key: Key) -> Half | None:
        """What it did to a key."""
        return next((half for half in self.halves if half.key == key), None)


class Sums:
    """Follows the amounts of one table.

    Args:
        is_live: asked after a commit that changed some.
        partition: of a key; None in a group without partitions.
    """

    rule: ClassVar[str] = "sum"

    def __init__(
        self,
        disks: Disks,
        group: str,
        table: str,
        is_live: IsLive,
        partition: Callable[[Key], Partition],
    ) -> None:
        self._disks = disks
        self._group = group
        self._table = table
        self._is_live = is_live
        self._partition = partition
        self._told: dict[int, _Told] = {}
        self.looked = 0
        self.halves: set[int] = set()

    def subscriptions(self) -> Mapping[type, object]:
        """Every transaction and every commit."""
        return {Transferred: self._transferred, Landings: self._landed}

    def _transferred(self, told: Transferred) -> None:
        if told.group == self._group:
            self._told[told.stamp] = _Told(told.node, told.incarnation, told.halves)

    def _landed(self, landings: Landings) -> None:
        if landings.group != self._group:
            return
        changed = [keys.decode(record.key) for record in landings.records if record.table == self._table]
        for partition, key in {self._partition(key): key for key in changed}.items():
            if self._is_live(landings.node, self._group, key):
                self._compare(landings.node, partition)

    def look(self, node: int, group: str, partition: Partition) -> None:
        """Called when a node begins to serve a partition."""
        if group == self._group:
            self._compare(node, partition)

    # ---- one copy -------------------------------------------------------------------------------------

    def _rows(self, node: int, partition: Partition) -> Iterator[tuple[Key, int, int]]:
        for key, found in every(self._disks[node], self._group, self._table):
            if self._partition(key) == partition and found.payload is not None:
                yield key, found.value["amount"], found.value["stamp"]

    def _chain(self, key: Key, stamp: int) -> Chain:
        found: Chain = {}
        while stamp:
            told = self._told.get(stamp)
            half = None if told is None else told.half(key)
            if half is None:
                raise Violation("no ghosts", f"{self._group}.{self._table} {key!r}: nobody made it {stamp:x}")
            found[stamp] = half.before
            stamp = half.before
        return found

    def _compare(self, node: int, partition: Partition) -> None:
        self.looked += 1
        chains: dict[Key, Chain] = {}
        total = 0
        for key, amount, stamp in self._rows(node, partition):
            chains[key] = chain = self._chain(key, stamp)
            total += amount
            if amount != sum(self._half(one, key).added for one in chain):
                raise Violation(
                    self.rule, f"node {node}: {key!r} has {amount}, which isn't what was moved there"
                )
        halves = [
            (stamp, key, other.key)
            for key, chain in chains.items()
            for stamp in chain
            for other in self._told[stamp].halves
            if other.key != key and stamp not in chains.get(other.key, {})
        ]
        for stamp, key, other_key in halves:
            self._excuse(node, stamp, key, other_key, chains.get(other_key, {}))
            self.halves.add(stamp)
        if total and not halves:
            raise Violation(
                self.rule, f"node {node}, partition {partition} of {self._group}: the sum is {total}"
            )

    def _half(self, stamp: int, key: Key) -> Half:
        half = self._told[stamp].half(key)
        assert half is not None
        return half

    def _excuse(self, node: int, stamp: int, key: Key, missing: Key, there: Chain) -> None:
        """Of a transaction that is there by half: whether another branch stands where its other half was."""
        mine = self._chain(missing, stamp)
        fork = next((one for one in [*mine.values(), 0] if one == 0 or one in there), 0)
        ours = next(one for one, before in mine.items() if before == fork)
        theirs = next((one for one, before in there.items() if before == fork), None)
        words = f"node {node}: transaction {stamp:x} is there at {key!r}, and not at {missing!r}"
        if theirs is None:
            raise Violation("half a transaction", f"{words}, where nothing came instead")
        a, b = self._told[ours], self._told[theirs]
        if (a.node, a.incarnation) == (b.node, b.incarnation):
            raise Violation(
                "lost update", f"{words}: {ours:x} and {theirs:x} of node {a.node} both began from {fork:x}"
            )

    # ---- at rest --------------------------------------------------------------------------------------

    def verdict(self, disks: Disks) -> None:
        """Everywhere where a copy is live."""
        for node, disk in disks.items():
            found = {self._partition(key): key for key, _ in every(disk, self._group, self._table)}
            for partition, key in found.items():
                if self._is_live(node, self._group, key):
                    self._compare(node, partition)
