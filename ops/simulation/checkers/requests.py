"""Whoever asks a node for a PIN, a number or a login is answered in bound: once nothing happens any more, whatever the
answer is. Writes settle by themselves as long as others follow; so this is judged at rest, too.

A node that ends takes what it was asked along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.bound import Bound
from ops.simulation.cluster.events import Replied, Requested
from ops.simulation.tables.claims import holders
from ops.simulation.trace import Down


class Requests:
    """Looks at what waits, whenever it is asked to.

    Args:
        bound: how long an answer may take.
        partition_of: where a user lives.
    """

    rule: ClassVar[str] = "request unanswered"

    def __init__(self, bound: Bound, partition_of: Callable[[int], int]) -> None:
        self._bound = bound
        self._partition_of = partition_of
        self._waits: dict[int, tuple[Requested, int]] = {}
        self.answered = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What nodes are asked, and what they answer."""
        return {Requested: self._requested, Replied: self._replied, Down: self._down}

    def _requested(self, requested: Requested) -> None:
        self._waits[requested.number] = (requested, self._bound.now())

    def _replied(self, replied: Replied) -> None:
        self.answered += self._waits.pop(replied.number, None) is not None

    def _down(self, down: Down) -> None:
        self._waits = {number: wait for number, wait in self._waits.items() if wait[0].edge != down.node}

    @property
    def waiting(self) -> bool:
        """Whether anybody waits for an answer."""
        return bool(self._waits)

    def look(self) -> None:
        """Called every few milliseconds. Raises Violation."""
        for asked, since in self._waits.values():
            if self._bound.now() - since <= self._bound.ms:
                continue
            p = self._partition_of(asked.user)
            concerned = {asked.edge, *holders(self._bound.disks, self._bound.group, p)}
            waited = self._bound.overdue(concerned, since)
            if waited is not None:
                raise Violation(
                    self.rule,
                    f"node {asked.edge} was asked for a {asked.what} of user {asked.user}, and has said nothing for"
                    f" {waited} ms, in which nothing happened",
                )

    def verdict(self, disks: Disks) -> None:
        """What is at rest is answered: a world doesn't rest before."""
