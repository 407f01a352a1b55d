"""What a checker is. It shares no code with what it checks: it sees events, disks, and what clients were told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Protocol

from ops.simulation.disk import VirtualDisk

Disks = Mapping[int, VirtualDisk]
"""node → its disk"""


class Violation(Exception):
    """A promise was broken. `rule` is the same for the same promise, whatever the run."""

    def __init__(self, rule: str, words: str) -> None:
        super().__init__(f"{rule}: {words}")
        self.rule = rule
        self.words = words

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.rule, self.words)


class Checker(Protocol):
    """One promise. Raises `Violation` as soon as it is broken, or at the end."""

    rule: ClassVar[str]

    def subscriptions(self) -> Mapping[type, object]:
        """Type of event → what to call with each."""
        ...

    def verdict(self, disks: Disks) -> None:
        """Called once, when the world has come to rest."""
        ...
