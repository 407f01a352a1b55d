"""Order and once: what a phone hands to its app, of one sender's device, comes in the order sent, each message once.

A message that a later one has overtaken is allowed only if it is marked as late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.mail.events import Handed, PairKey


class MailOrder:
    """Looks at what apps are handed."""

    rule: ClassVar[str] = "order"

    def __init__(self) -> None:
        self._highest: dict[PairKey, int] = {}
        self._handed: set[tuple[PairKey, int]] = set()
        self.late = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What apps are handed."""
        return {Handed: self._was_handed}

    def _was_handed(self, handed: Handed) -> None:
        key, n = handed.key, handed.n
        if (key, n) in self._handed:
            raise Violation("app once", f"{key} {n} is handed to the app again")
        self._handed.add((key, n))
        highest = self._highest.get(key, 0)
        if n < highest:
            self.late += 1
            if not handed.late:
                raise Violation(self.rule, f"{key} {n} comes after {highest}, and isn't marked as late")
        self._highest[key] = max(n, highest)

    def verdict(self, disks: Disks) -> None:
        """All was said at once."""
