"""What a replica of a group tells: to those who wait at the group, to an operator, and to a host."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from replication.hosting import Hosted
from replication.replicated import ReplicatedGroup

log = structlog.get_logger()

LOGGED_MAX: Final = 5
"""Reports of one kind that are logged in `LOGGED_S`: the death of a node is one for each of its partitions."""
LOGGED_S: Final = 10.0


class GroupListener:
    """Of one group. `group` and `hosted` are set once they are made, before the replica does anything.

    reports: what was told an operator how often, of all groups. claimed: who else wants to know of claims.
    """

    __slots__ = ("_claimed", "_logged", "_name", "_now", "_reports", "group", "hosted")

    def __init__(
        self,
        name: str,
        reports: dict[str, int],
        claimed: Callable[[str, int], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._reports = reports
        self._now = now
        self._logged: dict[str, tuple[float, int]] = {}  # kind → since when, and how many since then
        self._claimed = claimed
        self.group: ReplicatedGroup | None = None
        self.hosted: Hosted | None = None

    def serve(self, partition: int, epoch: int) -> None:
        """This node serves it from now on."""
        if self.hosted is not None:
            self.hosted.serve(partition, epoch)
        if self.group is not None:
            self.group.changed()

    def cease(self, partition: int) -> None:
        """It doesn't."""
        if self.hosted is not None:
            self.hosted.cease(partition)
        if self.group is not None:
            self.group.changed()

    def claimed(self, partition: int) -> None:
        """Another claim is known."""
        self._claimed(self._name, partition)
        if self.hosted is not None:
            self.hosted.claimed(partition)

    def report(self, what: str, details: Mapping[str, Any]) -> None:
        """For an operator."""
        self._reports[what] = self._reports.get(what, 0) + 1
        now = self._now()
        since, count = self._logged.get(what, (now, 0))
        if now - since > LOGGED_S:
            since, count = now, 0
        self._logged[what] = since, count + 1
        if count < LOGGED_MAX:
            shown = {
                name: value.hex() if isinstance(value, bytes) else str(value)
                for name, value in details.items()
            }
            log.warning(what, group=self._name, **shown)
        elif count == LOGGED_MAX:
            log.warning("more of this kind are counted and not logged for now", group=self._name, kind=what)
        if self.hosted is not None:
            self.hosted.report(what, details)
