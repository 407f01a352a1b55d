"""Key freshness: no (incarnation, sequence) is ever given to two different writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.records import Landings


class Freshness:
    """Compares what is committed anywhere under one position, with the same content each time.

    Args:
        merged: tables whose records are merged: there, one version may stand for several states on the way.
    """

    rule: ClassVar[str] = "key freshness"

    def __init__(self, merged: Collection[tuple[str, str]] = ()) -> None:
        self._merged = frozenset(merged)
        self._seen: dict[tuple[str, int, int], tuple[str, bytes, bytes | None]] = {}

    def subscriptions(self) -> Mapping[type, object]:
        """Every commit."""
        return {Landings: self._landed}

    def _landed(self, landings: Landings) -> None:
        group = landings.group
        for table, key, found in landings.records:
            payload = None if (group, table) in self._merged else found.payload
            place = (group, found.version[2], found.version[1])
            what = (table, key, payload)
            before = self._seen.setdefault(place, what)
            if before != what:
                raise Violation(
                    self.rule,
                    f"node {landings.node}: incarnation {place[1]:x} gave sequence {place[2]} of {group} to {table}"
                    f" {key!r} and to {before[0]} {before[1]!r}",
                )

    def verdict(self, disks: Disks) -> None:
        """All was said at once."""
