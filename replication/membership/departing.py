"""A member that leaves for good: it hands over what it holds, then takes itself off the roster.

That it is to go stands in its row, beside the state: a member that is only emptied (`leaving`, too) stays one. Whoever
said so needn't wait, nor need the node live on meanwhile: it goes on after another start.

It goes only when somebody who stays knows that. Whom it hears may not hear it, and takes over all that it holds: gone
then, it would be counted for ever as an active member that is dead, and of two members one isn't a majority.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final, Protocol

import structlog

from replication.detector import Detector
from replication.detectorstate import ALIVE
from replication.membership.member import ACTIVE, LEAVING, REMOVED
from replication.membership.membership import Membership
from replication.replicated import ReplicatedGroup
from replication.zeromq.links import Links

log = structlog.get_logger()

SURE_MS: Final = 1_000
"""For how long nothing may have been held: groups that were made at run time are opened a moment after the others. And
for how long somebody must have known that this node leaves."""


class Around(Protocol):
    """The cluster."""

    me: bytes
    groups: dict[str, ReplicatedGroup]
    links: Links
    detector: Detector

    def now(self) -> int: ...
    def within(self) -> AbstractContextManager[None]: ...


class Departing:
    """Of one node."""

    def __init__(self, around: Around, membership: Membership) -> None:
        self._around = around
        self._membership = membership
        self._nothing_since: int | None = None

    def held(self) -> int:
        """Partitions, of all groups, that name this node in their claims, or of which it has something that their
        primary hasn't asked for yet: what was written here alone, on one side of a split."""
        me = self._around.me
        states = [group.carrier.state for group in self._around.groups.values()]
        named = sum(
            part.claim is not None and me in (part.claim.primary, part.claim.heir)
            for state in states
            for part in state.parts
        )
        return named + sum(len(peer.offers) for state in states for peer in state.peers.values())

    def step(self) -> None:
        """Time has passed: if nothing is held any more, and that was what this node waited for, it goes once another
        member knows."""
        own, now = self._membership.own, self._around.now()
        goes = own.state == LEAVING and own.departs and not self._membership.removed.is_set()
        if not goes or not self._holds_nothing() or not self._is_known():
            self._nothing_since = None
        elif self._nothing_since is None:
            self._nothing_since = now
        elif now - self._nothing_since >= SURE_MS:
            log.info("left", node=own.node.hex())
            with self._around.within():
                self._membership.edit_soon(
                    [self._membership.roster.edited(own.node, own.node, state=REMOVED)]
                )
            self._around.links.flush()

    def _holds_nothing(self) -> bool:
        groups = self._around.groups.values()
        return bool(groups) and not any(group.carrier.state.starting for group in groups) and not self.held()

    def _is_known(self) -> bool:
        """Whether an active member of this cluster is there that has on its disk that this one leaves."""
        membership, detector = self._membership, self._around.detector
        members, has_kept = membership.roster.members, membership.exchange.has_kept
        return any(
            members[node].state == ACTIVE and has_kept(node) and detector.state_of(node) == ALIVE
            for node in membership.nodes
            if node != self._around.me
        )
