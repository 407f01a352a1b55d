"""Whether nobody lets this node in, and why: it was removed while it was away, or nobody who answers knows it yet, or
it knows nobody's key any more.

Who was told the members' keys when it joined, and runs first after all of them have others, can't hear of these.
Nothing that it has would prove a new key to it: the cluster's secret may be known to whoever has stolen an old one, and
that is what keys are changed for. One member that has the key of then is enough.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import structlog
import trio

from replication.membership.member import INVITED
from replication.membership.roster import Roster
from replication.replicated import ReplicatedGroup
from replication.zeromq.link import EXPELLED, NOT_ADMITTED, STRANGE
from replication.zeromq.links import Links

log = structlog.get_logger()

REFUSED_MS: Final = 500
"""Shorter than a node listens before it claims (`ReplicaSettings.start_wait_ms`): who was removed serves nothing."""
STRANGE_MS: Final = 5_000
"""A peer that ends in the middle of a handshake looks like one with another key for a moment."""


class Around(Protocol):
    """The cluster, as far as this needs it."""

    groups: dict[str, ReplicatedGroup]
    links: Links

    def now(self) -> int: ...


class Refusal:
    """Of one node. `removed` is set when a member says that it was removed, and nobody lets it in."""

    def __init__(self, around: Around, roster: Roster, removed: trio.Event) -> None:
        self._around = around
        self._roster = roster
        self._removed = removed
        self._said: set[str] = set()
        self._why = ""
        self._since = 0

    def look(self) -> None:
        """A node that was removed while it was away isn't let in any more, and is told why. One that nobody lets in who
        answers, as they have not heard of it yet, waits: until somebody knows it, it claims nothing. Who is only
        invited has no say in that: it may know this node by a key of before."""
        now = self._around.now()
        invited = [row.node for row in self._roster.members.values() if row.state == INVITED]
        why = self._around.links.refused(invited)
        if why != self._why:
            self._why, self._since = why, now
        if self._removed.is_set():
            return
        if why == NOT_ADMITTED:
            self._wait(now)
        elif why == EXPELLED and now - self._since >= REFUSED_MS:
            log.error(
                "this node was removed from its cluster: a member says so, and nobody lets it in",
                remedy="join again with another key and an empty data directory",
            )
            self._removed.set()
        elif why == STRANGE and now - self._since >= STRANGE_MS:
            self._say(
                log.error,
                "whoever answers at a member's address hasn't the key by which this node knows it",
                "if all members have changed their keys since this node joined or ran last, remove it on one of them "
                "and join again, with another key and an empty data directory; else look who listens there",
            )

    def _wait(self, now: int) -> None:
        for group in self._around.groups.values():
            state = group.carrier.state
            if state.starting:
                state.started_at = now
        self._say(
            log.warning,
            "nobody who answers knows this node yet: it waits",
            "start a member that knows it; if there is none any more, join again with an empty directory",
        )

    def _say(self, to: Callable[..., object], what: str, remedy: str) -> None:
        if what not in self._said:
            self._said.add(what)
            to(what, remedy=remedy)
