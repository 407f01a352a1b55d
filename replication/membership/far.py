"""Clusters that know one another: whom a node talks to beyond its own cluster, and what is told from one to another.

All share one roster, with the label of a cluster in each row, and which cluster owns each partition. A node is a peer
of all nodes of its own cluster. A node of another one is *engaged*, and then a peer like any other, only as long as
there is something to route to it or to move, or as both are gateways; else it rests: it is known, and may call.

The gateways of a cluster are the two lowest ids of those that are alive. Each is engaged with two nodes of every other
cluster, tells these what changes in the roster and of claims, and tells its own what comes from there. So a cluster
that is cut off costs the others the beats of a few links.

    (CLAIMED, group, [[p, claim], …])   these are new in my cluster
    (REST,)                             there is nothing between us any more: shall we part?
    (RESTED,)                           we shall: whoever says it parts, too, a moment later
    (CALL,)                             I have something to say since we parted: nobody says it who hasn't heard of that
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from replication.core import claims, replica
from replication.core import members as core
from replication.core.state import SERVING, ReplicaState
from replication.detector import Detector
from replication.detectorstate import ALIVE, DEAD
from replication.membership.exchange import telling
from replication.membership.member import REMOVED, Member
from replication.membership.roster import Entry
from replication.replicated import ReplicatedGroup
from replication.zeromq.links import Links

if TYPE_CHECKING:
    from replication.membership.membership import Membership

log = structlog.get_logger()

CLAIMED: Final = 20
REST: Final = 21
RESTED: Final = 22
CALL: Final = 23

GATEWAYS: Final = 2
ENGAGED_MAX: Final = 256
"""Nodes of other clusters that one node talks to at once; what is beyond is routed when others rest."""
LOOK_MS: Final = 1_000
"""Between two looks at who is to be engaged; as the next two, shorter where nodes rest after less than a minute."""
QUIET_MS: Final = 5_000
"""A node that has just parted from another one doesn't take a late word of it for a call, unless it is CALL; which is
said for as long after a link was asked for, and by nobody who may be about to part."""
FAREWELL_MS: Final = 200
"""Between the word that two part and the end of the link: the word goes out, and nobody is suspected yet."""
LOOKS: Final = 2
"""At least so many looks, and quiets, in the time after which nodes rest."""
FAREWELLS: Final = 8
"""And so many farewells."""
AWAY_TIMES: Final = 8
"""For so many of these times others are preferred to one that was dead when the link to it was closed; then it is tried
again, as it may be back and take us for dead, too."""


class Around(Protocol):
    """The cluster, as far as this needs it."""

    me: bytes
    groups: dict[str, ReplicatedGroup]
    links: Links
    detector: Detector

    def now(self) -> int: ...
    def within(self) -> AbstractContextManager[None]: ...
    def met(self, state: ReplicaState, peer: bytes) -> None: ...
    def parted(self, peer: bytes) -> None: ...


class Far:
    """Of one node. `engaged`: nodes of other clusters that are peers now, and when there was something to say last."""

    def __init__(self, around: Around, membership: Membership, idle_ms: int) -> None:
        self._around = around
        self._membership = membership
        self._idle_ms = idle_ms
        self._look_ms = min(LOOK_MS, idle_ms // LOOKS)
        self._quiet_ms = min(QUIET_MS, idle_ms // LOOKS)
        self._farewell_ms = min(FAREWELL_MS, idle_ms // FAREWELLS)
        # Whether the host needs its channels to a node.
        self.holds: Callable[[bytes], bool] = lambda node: False
        self.engaged: dict[bytes, int] = {}
        # Those of other clusters that this one, a gateway, talks to.
        self.gateways: frozenset[bytes] = frozenset()
        # Gateway → group → partitions whose claim it is to be told.
        self._due: dict[bytes, dict[str, set[int]]] = {}
        self._away_ms = AWAY_TIMES * idle_ms
        # Those that were dead when the link to them was closed, and until when others come first.
        self._away: dict[bytes, int] = {}
        self._quiet: dict[bytes, int] = {}
        self._calling: dict[bytes, int] = {}  # who was engaged to hear something → until when it is called
        self._parting: dict[bytes, int] = {}  # who was told that it may rest → when the link is closed
        self._looked_at = -(10**12)
        self.refused = 0

    # ---- who is talked to -------------------------------------------------------------------------

    def is_far(self, node: bytes) -> bool:
        """Whether a node is of another cluster."""
        row = self._membership.roster.members.get(node)
        return row is not None and row.cluster != self._membership.own.cluster

    def is_gateway(self) -> bool:
        """Whether this node is one of its cluster."""
        around = self._around
        there = [
            node for node in self._membership.nodes
            if node == around.me or around.detector.state_of(node) == ALIVE
        ]  # fmt: skip
        return around.me in sorted(there)[:GATEWAYS]

    def reach(self, node: bytes) -> None:
        """There is something to be said to a member, of whatever cluster: if it rests, its link is opened."""
        if self._membership.others and self._around.links.is_resting(node):
            self.use(node)

    def use(self, node: bytes) -> None:
        """There is something to say to a node of another cluster."""
        self._parting.pop(node, None)
        if node in self.engaged:
            self.engaged[node] = self._around.now()
        else:
            self.engage(node)
            self._calling[node] = self._around.now() + self._quiet_ms
            if self._around.links.is_connected(node, None):
                self.connected(node)

    def connected(self, node: bytes) -> None:
        """The control link to a node is up."""
        if self._around.now() < self._calling.get(node, 0):
            self._around.links.send(node, None, (CALL,))

    def called(self, node: bytes) -> None:
        """A node that rests has connected, or says something."""
        if self._around.now() >= self._quiet.get(node, 0):
            self.engage(node)

    def engage(self, node: bytes) -> None:
        """Be a peer of it. Of one that is only invited, too: that it runs, those whom it calls must hear first."""
        row = self._membership.roster.members.get(node)
        if row is None or row.state == REMOVED or node in self.engaged or not self.is_far(node):
            return
        if len(self.engaged) >= ENGAGED_MAX:
            self.refused += 1
            return
        linked = self._membership.link_to(row)
        if linked is None:
            return
        around = self._around
        with around.within():
            self.engaged[node] = around.now()
            around.links.admit(linked)
            around.detector.added(node, row.cluster)
            for group in self._owned():
                state = group.carrier.state
                state.now = around.now()
                core.added(state, node)
                around.met(state, node)
                replica.placed(state)
                group.carrier.drain()
        log.info("engaged", node=node.hex(), cluster=row.cluster)

    def part(self, node: bytes) -> None:
        """Be a peer of it no more, for now."""
        self._parting.pop(node, None)
        self._calling.pop(node, None)
        if self.engaged.pop(node, None) is None:
            return
        if self._thought(node) == DEAD:
            self._away[node] = self._around.now() + self._away_ms
        around = self._around
        with around.within():
            self._quiet[node] = around.now() + self._quiet_ms
            around.parted(node)
            around.links.rest(node)
            around.detector.removed(node)
            self._membership.exchange.gone(node)
            for group in self._owned():
                state = group.carrier.state
                state.now = around.now()
                core.parted(state, node)
                replica.flush(state)
                group.carrier.drain()
        log.info("parted", node=node.hex())

    def _owned(self) -> list[ReplicatedGroup]:
        return [group for group in self._around.groups.values() if group.placed.owned]

    # ---- looking ----------------------------------------------------------------------------------

    def step(self) -> None:
        """Time has passed: to be called ten times a second or so."""
        if not self._membership.others and not self.engaged:
            return
        now = self._around.now()
        self._publish()
        for node in [node for node, at in self._parting.items() if now >= at]:
            self.part(node)
        if now - self._looked_at < self._look_ms:
            return
        self._looked_at = now
        self._quiet = {node: until for node, until in self._quiet.items() if until > now}
        self._calling = {node: until for node, until in self._calling.items() if until > now}
        self._away = {
            row.node: self._away[row.node] for row in self._membership.others if self._is_away(row.node, now)
        }
        self.gateways = self._wanted_gateways() if self.is_gateway() else frozenset()
        for node in sorted(self.gateways | self._wanted()):
            self.use(node)
        for node, used_at in tuple(self.engaged.items()):
            if now - used_at >= self._idle_ms and not self._in_use(node):
                if self._thought(node) == ALIVE:
                    self._around.links.send(node, None, (REST,))
                else:
                    self.part(node)

    def _wanted_gateways(self) -> frozenset[bytes]:
        found: dict[str, list[bytes]] = {}
        for row in sorted(self._membership.others, key=lambda row: (row.node in self._away, row.node)):
            if self._thought(row.node) != DEAD:
                found.setdefault(row.cluster, []).append(row.node)
        return frozenset(node for nodes in found.values() for node in nodes[:GATEWAYS])

    def _is_away(self, node: bytes, now: int) -> bool:
        """Who is back has called, or was the last to be tried; or nobody knows, and its time is over."""
        return now < self._away.get(node, now) and self._thought(node) != ALIVE

    def _wanted(self) -> set[bytes]:
        """Those to whom what is served here is to move."""
        found: set[bytes] = set()
        for group in self._owned():
            state = group.carrier.state
            for part in state.parts:
                if part.phase == SERVING and len(found) < ENGAGED_MAX:
                    ranked = state.ranked(part.number)[: state.settings.copies]
                    found.update(node for node in ranked if node in state.far)
        return found

    def _thought(self, node: bytes) -> str:
        detector = self._around.detector
        return detector.state_of(node) if node in detector.state.peers else ""

    def _in_use(self, node: bytes) -> bool:
        if node in self.gateways or self.holds(node):
            return True
        for group in self._owned():
            state = group.carrier.state
            peer = state.peers.get(node)
            if peer is None:
                continue
            stream = peer.stream
            if stream.opened or stream.opening or peer.wanted or peer.offers or peer.source.opened:
                return True
            for part in state.parts:
                claim = part.claim
                if claim is None:
                    continue
                # It holds what is served here, or serves what is held here.
                if claim.primary == state.me and node in (claim.heir, part.move_to):
                    return True
                if claim.primary == node and part.touched:
                    return True
        return False

    # ---- what is told -----------------------------------------------------------------------------

    def forward(self, peer: bytes | None, rows: Sequence[Entry]) -> None:
        """The roster was changed by a peer, or here: from another cluster it is told to this one, and the other way."""
        links, roster = self._around.links, self._membership.roster
        if peer is not None and self.is_far(peer):
            to = [node for node in self._membership.nodes if node != self._around.me]
        elif self.gateways:
            to = sorted(self.gateways)
        else:
            return
        message = telling(row for one in rows if (row := roster.entry(one.id)) is not None)
        for node in to:
            if node != peer:
                links.send(node, None, message)

    def claimed(self, group: str, p: int) -> None:
        """Another claim of a partition is known."""
        for node in sorted(self.gateways):
            self._due.setdefault(node, {}).setdefault(group, set()).add(p)

    def _publish(self) -> None:
        """Tell gateways what is due, as far as their queues take it. Who is none any more, or is one anew, hears all
        claims when its link comes up."""
        self._due = {node: due for node, due in self._due.items() if node in self.gateways and due}
        for node, due in self._due.items():
            for name in tuple(due):
                if self._publish_to(node, name, due[name]):
                    del due[name]

    def _publish_to(self, node: bytes, name: str, partitions: set[int]) -> bool:
        """Whether nothing is left to be told."""
        group, links = self._around.groups.get(name), self._around.links
        if group is None or not group.placed.owned:
            return True
        if not links.is_connected(node, None):
            return False
        return links.send(
            node, None, (CLAIMED, name, claims.rows_of(group.carrier.state, sorted(partitions)))
        )

    def received(self, peer: bytes, message: Sequence[Any]) -> None:
        """A node of another cluster says something."""
        match message:
            case [int(code), str(name), list(told), *_] if code == CLAIMED and name in self._around.groups:
                self._learn(self._around.groups[name], told)
            case [int(code), *_] if code == REST and peer in self.engaged and self._is_idle(peer):
                if self._around.links.send(peer, None, (RESTED,)):  # else it asks again
                    self._around.links.flush()
                    # It doesn't speak any more: that is no death.
                    self._parting[peer] = self._around.now() + self._farewell_ms
            case [int(code), *_] if code == RESTED and peer in self.engaged and self._is_idle(peer):
                self.part(peer)
            case [int(code), *_] if code == CALL:
                self._parting.pop(peer, None)
                self.engage(peer)
                if peer in self.engaged:
                    self.engaged[peer] = self._around.now()

    def _is_idle(self, node: bytes) -> bool:
        return self._around.now() - self.engaged[node] >= self._idle_ms // 2 and not self._in_use(node)

    def _learn(self, group: ReplicatedGroup, told: list[Any]) -> None:
        state = group.carrier.state
        state.now = self._around.now()
        try:
            before = {row[0]: state.parts[row[0]].claim for row in told}
            claims.learn(state, told)
        except (IndexError, KeyError, TypeError, ValueError):
            state.counts.malformed += 1
            return
        state.spreading.update(p for p, claim in before.items() if state.parts[p].claim != claim)
        replica.flush(state)
        group.carrier.drain()

    def statistics(self) -> dict[str, Any]:
        """Counts."""
        return {"engaged": len(self.engaged), "gateways": len(self.gateways), "refused": self.refused}


def others_of(rows: Sequence[Member], cluster: str) -> tuple[Member, ...]:
    """The members of other clusters."""
    return tuple(row for row in rows if row.belongs and row.cluster != cluster)
