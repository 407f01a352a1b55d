"""Key freshness: no (incarnation, sequence) is ever given to two different writes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.disk import Commit
from ops.simulation.records import parse, table_of


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
        return {Commit: self._committed}

    def _committed(self, commit: Commit) -> None:
        for name, key, record in commit.changes:
            if record is None or name[:2] not in (b"t:", b"x:"):
                continue
            table = table_of(name)
            assert table is not None
            found = parse(record)
            payload = None if (commit.group, table) in self._merged else found.payload
            place = (commit.group, found.version[2], found.version[1])
            what = (table, key, payload)
            if self._seen.setdefault(place, what) != what:
                before = self._seen[place]
                raise Violation(
                    self.rule,
                    f"node {commit.node}: incarnation {place[1]:x} gave sequence {place[2]} of {commit.group} to"
                    f" {table} {key!r} and to {before[0]} {before[1]!r}",
                )

    def verdict(self, disks: Disks) -> None:
        """All was said at once."""
