"""Of two sessions of one user the one with the lower login ends: nobody is put out by a session that came before.

A login is what the user's primary gave, (epoch, counter). Whoever is told that it is superseded can name a higher one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import Seated, Superseded

Login = tuple[int, int]


class Logins:
    """Keeps the highest login of each user."""

    rule: ClassVar[str] = "superseded by a lower login"

    def __init__(self) -> None:
        self._highest: dict[int, Login] = {}
        self.superseded = 0

    def subscriptions(self) -> Mapping[type, object]:
        """Logins, and sessions that are put out."""
        return {Seated: self._seated, Superseded: self._was_superseded}

    def _seated(self, seated: Seated) -> None:
        self._highest[seated.user] = max(seated.login, self._highest.get(seated.user, seated.login))

    def _was_superseded(self, told: Superseded) -> None:
        self.superseded += 1
        if self._highest.get(told.user, told.login) <= told.login:
            raise Violation(
                self.rule, f"session {told.session} of user {told.user}, {told.login}: nobody logged in later"
            )

    def verdict(self, disks: Disks) -> None:
        """All was said at once."""
