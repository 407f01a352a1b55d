"""The mail set: what a sender's phone was told is accepted is delivered in the end, and its sender is told so.

A message is forgiven only if a fault took its last copy from a disk, and it was accepted at one copy, or disks of two
nodes were lost since it was sent. What only a lost disk knew to be told to a sender is forgiven as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.checkers.mail_accepted import DELIVERED, Losses, Message, has
from ops.simulation.mail.events import Handed, Receipted, Said, Ticked
from ops.simulation.trace import DiskLost

KIND_DELIVERED: Final = 1


class MailSet:
    """Keeps what was accepted, and what became of it."""

    rule: ClassVar[str] = "mail set"

    def __init__(self, disks: Disks, losses: Losses, partition_of: Callable[[int], int]) -> None:
        self._disks = disks
        self._losses = losses
        self._partition_of = partition_of
        self._accepted: dict[Message, int] = {}  # → copies
        self._handed: set[Message] = set()
        self._told: set[Message] = set()
        self._forgiven: set[Message] = set()
        self._untellable: set[Message] = set()

    def subscriptions(self) -> Mapping[type, object]:
        """What is said and heard, and disks that are lost."""
        return {
            Ticked: self._ticked,
            Said: self._said,
            Handed: self._was_handed,
            Receipted: self._receipted,
            DiskLost: self._lost,
        }

    def _said(self, said: Said) -> None:
        """✓✓ in the same word as ✓. If it isn't heard the sender asks again, unless another node told it of ✓."""
        if said.how == DELIVERED:
            self._untellable.update((said.key, n) for n in range(said.first, said.last + 1))

    def _ticked(self, ticked: Ticked) -> None:
        message = (ticked.key, ticked.n)
        self._accepted[message] = ticked.how
        if ticked.how == DELIVERED:
            self._told.add(message)
        elif self._losses.since(message):
            self._forgive(message)

    def _was_handed(self, handed: Handed) -> None:
        self._handed.add((handed.key, handed.n))

    def _receipted(self, told: Receipted) -> None:
        if told.kind == KIND_DELIVERED:
            for n in range(told.first, told.last + 1):
                self._told.add((told.key, n))

    def _lost(self, lost: DiskLost) -> None:
        for message in self._accepted:
            self._forgive(message)

    def _forgive(self, message: Message) -> None:
        """A disk was lost since it was sent."""
        self._untellable.add(message)
        (key, n), how = message, self._accepted[message]
        if how < 2 or len(self._losses.since(message)) > 1:
            partition = self._partition_of(key[0])
            if not any(has(self._disks, node, partition, key, n) for node in self._disks):
                self._forgiven.add(message)

    def verdict(self, disks: Disks) -> None:
        """At rest, with every phone there."""
        for message, how in self._accepted.items():
            key, n = message
            if message not in self._handed and message not in self._forgiven:
                raise Violation(self.rule, f"{key} {n} was accepted at {how} copies, and is lost")
            if message in self._handed and message not in self._told | self._untellable:
                raise Violation("receipts", f"{key} {n} is delivered, and its sender was never told")
