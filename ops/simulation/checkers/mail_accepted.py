"""Ack before durable, for mail: when a node says `accepted`, the disks or the recipient's phone hold what it says.

A disk that was lost since the message was sent may have held it: its node had said so before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.mail.events import Composed, Handed, PairKey, Said
from ops.simulation.records import find
from ops.simulation.trace import DiskLost

GROUP: Final = "mail"
DELIVERED: Final = 0

Message = tuple[PairKey, int]


def is_over(row: Any, n: int) -> bool:
    """Whether a pair's row says that a number is acknowledged or expired."""
    return any(spans[i] <= n <= spans[i + 1] for spans in row[1:3] for i in range(0, len(spans), 2))


def has(disks: Disks, node: int, partition: int, key: PairKey, n: int) -> bool:
    """Whether a node's disk holds a message, or its pair says that it is over."""
    message = find(disks[node], GROUP, "message", (partition, *key, n))
    if message is not None and message.payload is not None:
        return True
    pair = find(disks[node], GROUP, "pair", (partition, *key))
    return pair is not None and pair.payload is not None and is_over(pair.value, n)


class Losses:
    """Which disks were lost since a message was sent."""

    def __init__(self) -> None:
        self._nodes: list[int] = []
        self._before: dict[Message, int] = {}

    def composed(self, composed: Composed) -> None:
        """A message is sent."""
        self._before[composed.key, composed.n] = len(self._nodes)

    def lost(self, lost: DiskLost) -> None:
        """A node's disk is lost."""
        self._nodes.append(lost.node)

    def since(self, message: Message) -> set[int]:
        """The nodes."""
        return set(self._nodes[self._before[message] :])


class MailAccepted:
    """Looks at the disks whenever a node says `accepted`."""

    rule: ClassVar[str] = "ack before durable"

    def __init__(self, disks: Disks, losses: Losses, partition_of: Callable[[int], int]) -> None:
        self._disks = disks
        self._losses = losses
        self._partition_of = partition_of
        self._handed: set[Message] = set()

    def subscriptions(self) -> Mapping[type, object]:
        """What nodes say, and what phones have stored."""
        return {Said: self._said, Handed: self._was_handed}

    def _was_handed(self, handed: Handed) -> None:
        self._handed.add((handed.key, handed.n))

    def _said(self, said: Said) -> None:
        partition = self._partition_of(said.key[0])
        for n in range(said.first, said.last + 1):
            message = (said.key, n)
            if said.how == DELIVERED:
                if message not in self._handed:
                    raise Violation(
                        self.rule, f"node {said.node} says that {said.key} {n} is delivered, and it isn't"
                    )
                continue
            having = {node for node in self._disks if has(self._disks, node, partition, said.key, n)}
            if said.node not in having or len(having | self._losses.since(message)) < said.how:
                raise Violation(
                    self.rule,
                    f"node {said.node} says that {said.key} {n} is on {said.how} disks; it is on those of"
                    f" {sorted(having)}",
                )

    def verdict(self, disks: Disks) -> None:
        """All was said at once."""
