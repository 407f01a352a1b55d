"""Few links between clusters: at rest nodes of two clusters talk only if both are gateways, or if there is something to
route between them, or a partition that one of them holds for the other.

The gateways of a cluster are the two lowest of its nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import Afar
from ops.simulation.tables.claims import highest, name_of, node_of

GATEWAYS: Final = 2
LAST_MS: Final = 150
"""Of the rest: who has said nothing for so long doesn't talk."""


class FarLinks:
    """Notes who talks to nodes of other clusters.

    Args:
        members: who belongs at rest. label_of: a node's cluster.
        sessions: (partition of the user, node that it is connected to) of each phone.
    """

    rule: ClassVar[str] = "far links"

    def __init__(
        self,
        now: Callable[[], int],
        members: Callable[[], Collection[int]],
        label_of: Callable[[int], str],
        sessions: Callable[[], Iterable[tuple[int, int]]],
        group: str,
        partitions: int,
    ) -> None:
        self._now = now
        self._members = members
        self._label_of = label_of
        self._sessions = sessions
        self._group = group
        self._partitions = partitions
        self._last: dict[tuple[int, int], int] = {}

    def subscriptions(self) -> dict[type, object]:
        """Words between clusters."""
        return {Afar: self._said}

    def _said(self, afar: Afar) -> None:
        self._last[afar.node, afar.peer] = self._now()

    def verdict(self, disks: Disks) -> None:
        """Who talks, and who has a reason to."""
        allowed = self._needed(disks)
        gateways = self._gateways()
        for pair, at in self._last.items():
            if self._now() - at > LAST_MS or frozenset(pair) in allowed or gateways.issuperset(pair):
                continue
            raise Violation(
                self.rule, f"nodes {pair} talk at rest; gateways are {sorted(gateways)}, and {allowed}"
            )

    def _gateways(self) -> set[int]:
        there: dict[str, list[int]] = {}
        for node in sorted(self._members(), key=name_of):
            there.setdefault(self._label_of(node), []).append(node)
        return {node for nodes in there.values() for node in nodes[:GATEWAYS]}

    def _needed(self, disks: Disks) -> set[frozenset[int]]:
        claims = {p: highest(disks, self._group, p) for p in range(self._partitions)}
        found = {
            frozenset((node, node_of(claim.rank[1])))
            for p, node in self._sessions()
            if (claim := claims[p]) is not None
        }
        for claim in claims.values():
            if claim is None:
                continue
            # What nobody else of its cluster can hold isn't emptied elsewhere.
            heirs = self._members() if claim.heir is None else (node_of(claim.heir),)
            found.update(frozenset((node_of(claim.rank[1]), heir)) for heir in heirs)
        return found
