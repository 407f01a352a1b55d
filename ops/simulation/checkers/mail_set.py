"""The mail set: what a sender's phone was told is accepted is delivered in the end, and its sender is told so.

A message is forgiven only if a fault took its last copy from a disk, and it was accepted at one copy, or disks of two
nodes were lost since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.mail_accepted import DELIVERED, has
from ops.simulation.mail.events import Handed, PairKey, Receipted, Ticked
from ops.simulation.trace import DiskLost

KIND_DELIVERED: Final = 1

Message = tuple[PairKey, int]


class MailSet:
    """Keeps what was accepted, and what became of it."""

    rule: ClassVar[str] = "mail set"

    def __init__(self, disks: Disks, partition_of: Callable[[int], int]) -> None:
        self._disks = disks
        self._partition_of = partition_of
        self._accepted: dict[Message, tuple[int, set[int]]] = {}  # → copies, nodes whose disk was lost since
        self._handed: set[Message] = set()
        self._told: set[Message] = set()
        self._forgiven: set[Message] = set()
        self._untellable: set[Message] = set()

    def subscriptions(self) -> Mapping[type, object]:
        """What phones hear, and disks that are lost."""
        return {
            Ticked: self._ticked,
            Handed: self._was_handed,
            Receipted: self._receipted,
            DiskLost: self._lost,
        }

    def _ticked(self, ticked: Ticked) -> None:
        message = (ticked.key, ticked.n)
        self._accepted[message] = (ticked.how, set())
        if ticked.how == DELIVERED:
            self._told.add(message)

    def _was_handed(self, handed: Handed) -> None:
        self._handed.add((handed.key, handed.n))

    def _receipted(self, told: Receipted) -> None:
        if told.kind == KIND_DELIVERED:
            for n in range(told.first, told.last + 1):
                self._told.add((told.key, n))

    def _lost(self, lost: DiskLost) -> None:
        """What only this disk knew is forgotten: the message, or that its sender is to be told."""
        for message, (how, since) in self._accepted.items():
            since.add(lost.node)
            key, n = message
            if how > 1 and len(since) < 2:
                continue
            partition = self._partition_of(key[0])
            if not any(has(self._disks, node, partition, key, n) for node in self._disks):
                self._forgiven.add(message)
        self._untellable.update(self._accepted)

    def verdict(self, disks: Disks) -> None:
        """At rest, with every phone there."""
        for message, (how, _) in self._accepted.items():
            key, n = message
            if message not in self._handed and message not in self._forgiven:
                raise Violation(self.rule, f"{key} {n} was accepted at {how} copies, and is lost")
            if message in self._handed and message not in self._told and message not in self._untellable:
                raise Violation("receipts", f"{key} {n} is delivered, and its sender was never told")
