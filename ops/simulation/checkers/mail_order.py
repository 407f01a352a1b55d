"""Order and once: what a phone hands to its app, of one sender's device, comes in the order sent, each message once.

A message may be overtaken only if its sender had heard that it was accepted before a later one was handed over: by a
node that the other one didn't reach, then. And it says that it is late.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.mail.events import Handed, PairKey, Ticked


class MailOrder:
    """Looks at what apps are handed."""

    rule: ClassVar[str] = "order"

    def __init__(self) -> None:
        self._handed: dict[PairKey, dict[int, int]] = {}  # number → when, in events seen
        self._ticked: dict[tuple[PairKey, int], int] = {}
        self._events = 0
        self.late = 0

    def subscriptions(self) -> Mapping[type, object]:
        """What apps are handed, and what senders hear."""
        return {Handed: self._was_handed, Ticked: self._was_ticked}

    def _was_ticked(self, ticked: Ticked) -> None:
        self._events += 1
        self._ticked[ticked.key, ticked.n] = self._events

    def _was_handed(self, handed: Handed) -> None:
        self._events += 1
        key, n = handed.key, handed.n
        before = self._handed.setdefault(key, {})
        if n in before:
            raise Violation("app once", f"{key} {n} is handed to the app again")
        higher = [(when, other) for other, when in before.items() if other > n]
        before[n] = self._events
        if not higher:
            return
        self.late += 1
        when, first = min(higher)
        if not handed.late:
            raise Violation(self.rule, f"{key} {n} comes after {first}, and isn't marked as late")
        if self._ticked.get((key, n), when) >= when:
            raise Violation(self.rule, f"{key} {first} overtakes {n}, which nobody had accepted")

    def verdict(self, disks: Disks) -> None:
        """All was said at once."""
