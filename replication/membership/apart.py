"""Releases that are too far from one another: who brings one in is told so, and serves nothing.

Two releases that have no version in common don't listen to each other (`zeromq.versions`). The one that has just
started is wrong, as far as it knows the other one hasn't changed; if that one may have, it waits until anybody lets it
in. A node that serves goes on, whatever release turns up beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from replication.membership.membership import Membership
from replication.replicated import ReplicatedGroup
from replication.zeromq.errors import VersionsApart
from replication.zeromq.links import Links
from replication.zeromq.versions import Versions

log = structlog.get_logger()

APART_MS: Final = 500
"""Shorter than a node listens before it claims (`ReplicaSettings.start_wait_ms`)."""


class Around(Protocol):
    """The cluster."""

    groups: dict[str, ReplicatedGroup]
    links: Links
    membership: Membership

    def now(self) -> int: ...


class Apart:
    """Of one node. versions: its release's."""

    __slots__ = ("_around", "_said", "_since", "_versions")

    def __init__(self, around: Around, versions: Versions) -> None:
        self._around = around
        self._versions = versions
        self._since: int | None = None
        self._said = False

    def look(self) -> None:
        """Time has passed.

        Raises:
            VersionsApart: this node is to end. Nothing was claimed by it.
        """
        around = self._around
        refusals = around.links.apart()
        states = [group.carrier.state for group in around.groups.values()]
        if not refusals or not all(state.starting for state in states):
            self._since = None
            return
        newcomer = self._is_newcomer(refusals)
        if not newcomer and around.links.is_heard():
            self._since = None  # others let it in, and that one will be brought on, or has come wrongly
            return
        now = around.now()
        for state in states:
            state.started_at = now  # until it is heard it claims nothing
        if not self._said:
            self._said = True
            log.error("versions_apart", why=next(iter(refusals.values())))
        if self._since is None:
            self._since = now
        if newcomer and now - self._since >= APART_MS:
            raise VersionsApart(next(iter(refusals.values())))

    def _is_newcomer(self, refusals: Mapping[bytes, str]) -> bool:
        """Whether those who refuse it are what they were when this node ran last. Else it is they that have changed;
        of two that were both started anew, one ends."""
        rows = self._around.membership.roster.members
        return any(node in rows and not self._versions.meets(rows[node].speaks) for node in refusals)
