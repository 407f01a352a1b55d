"""Brings partitions to where they are wanted: after a node has joined, after one has come back, when weights change.

A primary hands over what it serves, by planned moves, to the first in rank that is there; and heirs that stand in for
others are replaced, once the right ones are complete. It waits until it has been calm for a while, and goes at a rate:
so a node that comes and goes moves nothing, and nobody notices one that comes to stay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import structlog

from replication.core import claims, replica
from replication.core.holds import HOLDS_MS
from replication.core.state import SERVING, ReplicaState
from replication.membership.member import LEAVING
from replication.membership.membership import Membership
from replication.membership.settings import MembershipSettings
from replication.replicated import ReplicatedGroup

log = structlog.get_logger()

STEP_S: Final = 0.1
IDLE_MS: Final = 2_000
"""Until it is looked again when everything was where it is wanted."""
FAILED_MS: Final = 3_000
"""Until a partition is moved again that could not be."""
BURST: Final = 4.0
"""Seconds of the rate that may be caught up on."""


class Around(Protocol):
    """The cluster."""

    groups: dict[str, ReplicatedGroup]
    membership: Membership

    def now(self) -> int: ...
    def within(self) -> AbstractContextManager[None]: ...


def misplaced(state: ReplicaState) -> Iterator[tuple[int, bytes | None]]:
    """(partition, the node that it is to move to) of what is served here and wanted elsewhere; None: its heir is."""
    for part in state.parts:
        claim = part.claim
        if part.phase != SERVING or part.move_to is not None or claim is None or part.number in state.storing:
            continue
        ranked = state.ranked(part.number)
        if not ranked:
            continue
        first = state.peers.get(ranked[0])
        if ranked[0] != state.me and first is not None and state.reachable(first):
            # What has a complete copy takes over; what hasn't becomes heir first, once it has one.
            if claim.heir is None or (claim.heir == ranked[0] and part.heir_live):
                yield part.number, ranked[0]
            elif claim.heir != ranked[0]:
                yield part.number, None
        elif part.heir_live and claim.heir is not None and claim.heir not in ranked[: state.settings.copies]:
            others = [state.peers[one] for one in ranked[: state.settings.copies] if one in state.peers]
            if any(state.reachable(one) for one in others if one.id != claim.heir):
                yield part.number, None


def _concerns(state: ReplicaState, p: int, nodes: Collection[bytes] | None) -> bool:
    """Whether a partition is to be moved now: all are (None), or those that these nodes hold; and always what another
    cluster owns, or still has as heir."""
    claim = state.parts[p].claim
    if nodes is None or state.ranked(p)[0] in state.far:
        return True
    return claim is not None and (claim.primary in nodes or claim.heir in nodes or claim.heir in state.far)


class Rebalancer:
    """Of one node. `moved`, `failed`: partitions since the start."""

    def __init__(self, around: Around, settings: MembershipSettings) -> None:
        self._around = around
        self.settings = settings
        self.moved = 0
        self.failed = 0
        self.asked = False  # an operator has asked: calm isn't waited for
        self._under_way: set[tuple[str, int]] = set()
        # Partitions whose heir is being brought home → since when.
        self._homing: dict[tuple[str, int], int] = {}
        self._not_before: dict[tuple[str, int], int] = {}
        self._tokens = 0.0
        self._filled_at = around.now()
        self._look_at = 0
        self._held: dict[bytes, int] = {}  # by members that stop and come back: until when

    def step(self) -> None:
        """Begin what may be begun now."""
        now, settings = self._around.now(), self.settings
        self._tokens = min(
            max(1.0, BURST * settings.moves_per_s),
            self._tokens + (now - self._filled_at) / 1000 * settings.moves_per_s,
        )
        self._filled_at = now
        calm = now - self._around.membership.changed_at >= settings.calm_ms
        everything = (self.asked or (settings.rebalance and calm)) and now >= max(
            self._held.values(), default=0
        )
        leaving = self._leaving()
        far = bool(self._around.membership.others)
        if not (everything or leaving or far) or self._tokens < 1 or now < self._look_at:
            return
        with self._around.within():
            if not self._begin(now, None if everything else leaving) and not self._homing:
                self._look_at = now + (0 if self.asked else IDLE_MS)
                self.asked = self.asked and bool(self._under_way or self._homing)

    def _leaving(self) -> frozenset[bytes]:
        """Members that hand over what they hold: calm isn't waited for, nor is it left to an operator."""
        members = self._around.membership.roster.members.values()
        return frozenset(row.node for row in members if row.state == LEAVING)

    def _begin(self, now: int, only: Collection[bytes] | None) -> bool:
        """Whether anything is left to be moved; `only`: of what these nodes hold."""
        found = False
        self._look_after_heirs(now)
        for name, group in self._around.groups.items():
            state = group.carrier.state
            for p, target in misplaced(state):
                place = (name, p)
                if now < self._not_before.get(place, 0) or not _concerns(state, p, only):
                    continue
                found = True
                if place in self._homing:
                    continue
                under_way = len(self._under_way) + len(self._homing)
                if self._tokens < 1 or under_way >= self.settings.moves_max:
                    return True
                self._tokens -= 1
                state.now = now
                if target is None:
                    self._rehome(group, state, p, now)
                else:
                    group.flush()
                    self._under_way.add(place)
                    replica.move(state, p, target, self._ended(place))
                group.carrier.drain()
        return found

    def _rehome(self, group: ReplicatedGroup, state: ReplicaState, p: int, now: int) -> None:
        state.rehoming.add(p)
        self._homing[group.name, p] = now
        for peer in state.peers.values():
            claims.refresh_stream(state, state.parts[p], peer.id)
        replica.flush(state)

    def _look_after_heirs(self, now: int) -> None:
        for (name, p), since in tuple(self._homing.items()):
            group = self._around.groups.get(name)
            state = group.carrier.state if group is not None else None
            if state is not None and p in state.rehoming and now - since < FAILED_MS:
                continue
            del self._homing[name, p]
            if state is not None and p in state.rehoming:
                state.rehoming.discard(p)
                self._not_before[name, p] = now + FAILED_MS

    def _ended(self, place: tuple[str, int]) -> Callable[[int, Exception | None], None]:
        def ended(_: int, error: Exception | None) -> None:
            self._under_way.discard(place)
            if error is None:
                self.moved += 1
                self._not_before.pop(place, None)
            else:
                self.failed += 1
                self._not_before[place] = self._around.now() + FAILED_MS
                log.info("partition_not_moved", group=place[0], partition=place[1], cause=str(error))

        return ended

    def ask(self) -> int:
        """Begin now. How many partitions this node is to move."""
        self.asked, self._look_at = True, 0
        self._not_before.clear()
        return sum(1 for group in self._around.groups.values() for _ in misplaced(group.carrier.state))

    def hold(self, ms: int, of: bytes = b"") -> None:
        """A member stops (b"": this one): nothing is moved to where it is wanted for so long, or until it is back; it
        would be moved to that one."""
        self._held[of] = self._around.now() + ms

    def release(self, of: bytes) -> None:
        """It is back, or it is known to have ended."""
        self._held.pop(of, None)

    def statistics(self) -> Mapping[str, Any]:
        """Counts."""
        return {
            "moved": self.moved,
            "failed": self.failed,
            "under_way": len(self._under_way),
            "at_once": min(
                (one.carrier.state.pace.at_once for one in self._around.groups.values()), default=0
            ),
            **self.holds(),
        }

    def holds(self) -> dict[str, int]:
        """How many partitions stood still for a planned move since the start, how many of them for how long, and the
        longest: from the last that was served here until they were served again, there or here."""
        holds: dict[str, int] = dict.fromkeys(("holds", *(f"holds_over_{ms}_ms" for ms in HOLDS_MS)), 0)
        longest = 0
        for group in self._around.groups.values():
            counts = group.carrier.state.holds
            holds["holds"] += counts.count
            longest = max(longest, counts.most_ms)
            for ms, over in zip(HOLDS_MS, counts.over, strict=True):
                holds[f"holds_over_{ms}_ms"] += over
        return {**holds, "hold_ms_most": longest}
