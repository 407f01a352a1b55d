"""Where several clusters know one another: which of them may give out what mustn't be given out twice.

The row of a partition's owner is on some nodes before it is on others. If a former owner hasn't heard of it, both
clusters could give out the partition's numbers, each with a majority of its own. So a new row isn't *sealed*, and its
owner gives out nothing, before a majority of the active members of every other cluster has it, or a later one, on its
disk. Members don't go back to an earlier row, and whoever gives out something counts only members that have the same
roster as itself: from then on nobody finds a majority any more that takes another cluster for the owner.

Each beat says whether a majority of the sender's cluster is there and has its roster; gateways hear those of all
clusters, and seal what their own one owns. A row that says nothing of it is of a release of before, or of when there
was one cluster only.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from replication.detector import Detector
from replication.detectorstate import ALIVE, DEAD
from replication.membership.member import ACTIVE

if TYPE_CHECKING:
    from replication.membership.membership import Membership

log = structlog.get_logger()

CALLED_MAX: Final = 2
"""Nodes of another cluster that are called to hear whether a majority of it is there."""


class Around(Protocol):
    """The cluster."""

    me: bytes
    detector: Detector

    def now(self) -> int: ...
    def within(self) -> AbstractContextManager[None]: ...


class Sealing:
    """Of one node."""

    def __init__(self, around: Around, membership: Membership) -> None:
        self._around = around
        self._membership = membership
        self._agreed = b""  # the digest of the roster that a majority of this cluster had at the last look
        self._digest = b""  # of the roster that was looked at
        self._waiting: tuple[int, ...] = ()  # partitions of this cluster whose rows aren't sealed
        self._since: int | None = None  # since when all others are known to have heard of them

    @property
    def agreed(self) -> bool:
        """Whether a majority of this cluster's active members is alive, and has this node's roster on disk."""
        return self._agreed == self._membership.roster.digest

    def gives_out(self, p: int) -> bool:
        """Whether it is this node's cluster that gives out what belongs to a partition."""
        if not self._membership.others:
            return True
        row = self._membership.roster.owners.get(p)
        return row is not None and row.cluster == self._membership.own.cluster and row.sealed

    def step(self) -> None:
        """Time has passed: to be called ten times a second or so."""
        membership = self._membership
        self._agreed = membership.roster.digest if self._is_agreed() else b""
        if membership.roster.digest != self._digest:
            own = membership.own.cluster
            self._digest, self._since = membership.roster.digest, None
            self._waiting = tuple(
                row.partition
                for row in membership.roster.owners.values()
                if row.cluster == own and not row.sealed
            )
        if not self._waiting or not all(map(self._has_heard, {row.cluster for row in membership.others})):
            self._since = None
        elif self._since is None:
            self._since = self._around.now()
        elif self._around.now() - self._since >= self._around.detector.state.settings.dead_ms:
            # So long a member counts that has said something else since, if nobody hears that.
            self._seal()

    def _seal(self) -> None:
        owners = self._membership.roster.owners
        log.info("sealed", partitions=len(self._waiting))
        with self._around.within():
            self._membership.edit_soon([owners[p].as_sealed() for p in self._waiting])

    def _is_agreed(self) -> bool:
        membership, me = self._membership, self._around.me
        active = self._active(membership.own.cluster)
        has_kept = membership.exchange.has_kept
        there = sum(
            membership.is_kept if node == me else has_kept(node) and self._thought(node) == ALIVE
            for node in active
        )
        return 2 * there > len(active)

    def _has_heard(self, label: str) -> bool:
        """Whether a majority of another cluster is known to have this roster on disk. Of nobody nobody can be one."""
        active = self._active(label)
        agrees = self._membership.exchange.agrees
        return not active or any(agrees(node) and self._thought(node) == ALIVE for node in active)

    def unreached(self, partitions: Iterable[int], cluster: str) -> list[str]:
        """The clusters of which a majority must hear that another one owns these partitions, and isn't there. Calls
        those that rest."""
        membership = self._membership
        own, owners = membership.own.cluster, membership.roster.owners
        labels = {row.cluster if (row := owners.get(p)) is not None else own for p in partitions}
        missing = []
        for label in sorted(labels - {cluster}):
            if label == own:
                if not self._is_agreed():
                    missing.append(label)
            elif not self._has_heard(label):
                missing.append(label)
                for node in [node for node in self._active(label) if self._thought(node) != DEAD][
                    :CALLED_MAX
                ]:
                    membership.far.reach(node)
        return missing

    def waiting(self) -> dict[str, int]:
        """By cluster: partitions that it owns by rows that aren't sealed."""
        found: dict[str, int] = {}
        for row in self._membership.roster.owners.values():
            if not row.sealed:
                found[row.cluster] = found.get(row.cluster, 0) + 1
        return found

    def _active(self, label: str) -> list[bytes]:
        members = self._membership.roster.members.values()
        return sorted(row.node for row in members if row.cluster == label and row.state == ACTIVE)

    def _thought(self, node: bytes) -> str:
        detector = self._around.detector
        return detector.state_of(node) if node in detector.state.peers else ""
