"""A member that stops: it hands what it serves to its heirs while it is still there, then says that it ends, so that
nobody waits for a failure detector on account of it.

    (GOING, ms)     I stop within about so long: move nothing to where I was wanted meanwhile
    (GONE, boot)    this start of mine has ended: take over what I served, and have other heirs

The roster stays as it is: who stops comes back, and copies that it has aren't made elsewhere for good. Whoever hears
nothing of this, because a message was lost or its release is older, finds out as for a node that died.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any, Final, Protocol

import attrs
import structlog
import trio

from replication import detectorstate
from replication.core import giving, replica
from replication.core.state import ALIVE, DEAD, SERVING, SILENT, UNKNOWN, ReplicaState
from replication.detector import Detector
from replication.membership.rebalancing import Rebalancer
from replication.replicated import ReplicatedGroup
from replication.zeromq.links import Links

log = structlog.get_logger()

GOING: Final = 28
GONE: Final = 29

STEP_S: Final = 0.02
"""Between two looks at what is being handed over: what has room to stand still begins then."""
SERVED_MS: Final = 300
"""How long it is waited for that what was handed over last is served."""
TRIES_MAX: Final = 5
"""Moves of one partition; what isn't taken over then fails over when this node has ended."""
GOING_MS_MAX: Final = 600_000
"""How long others' word that they stop is believed, at most."""
SAID_S: Final = 0.1
"""From the last word to the end of the links: what ZeroMQ hasn't sent then is lost."""

_LIVENESS: Final = MappingProxyType(
    {detectorstate.ALIVE: ALIVE, detectorstate.DEAD: DEAD, detectorstate.UNKNOWN: UNKNOWN}
)


class Around(Protocol):
    """The cluster."""

    me: bytes
    groups: dict[str, ReplicatedGroup]
    links: Links
    detector: Detector

    @property
    def nodes(self) -> tuple[bytes, ...]: ...
    def now(self) -> int: ...
    def within(self) -> AbstractContextManager[None]: ...
    def tick(self) -> None: ...


@attrs.frozen
class Handed:
    """moved: partitions. left: those that are served here still and have an heir that is there."""

    moved: int
    left: int


class Handing:
    """Of one node: what it does when it stops, and what it knows of others that do."""

    def __init__(self, around: Around, rebalancer: Rebalancer) -> None:
        self._around = around
        self._rebalancer = rebalancer
        self._going: dict[bytes, int] = {}  # until when their word is believed
        self._gone: set[bytes] = set()  # that have ended; the detector hasn't found out yet
        self._tries: dict[tuple[str, int], int] = {}
        self._under_way: set[tuple[str, int]] = set()
        self._moved = 0

    # ---- this node stops --------------------------------------------------------------------------

    async def hand_over(self, seconds: float, after_s: float = 0.0) -> Handed:
        """Planned moves of everything that is served here to its heirs, many at once, for so long at most. Cancelled,
        it begins none any more.

        Args:
            after_s: how long the node may live on when this is over, at most.
        """
        around = self._around
        until = around.now() + int(1000 * seconds)
        stopping_ms = int(1000 * (seconds + after_s))
        self._rebalancer.hold(stopping_ms)
        self._tries.clear()
        self._moved = 0
        with around.within():
            self._tell((GOING, stopping_ms))
        while self.step() and around.now() < until:
            await trio.sleep(STEP_S)
            around.tick()
        await self._await_served()
        return Handed(self._moved, self._left())

    async def _await_served(self) -> None:
        """Those who took over say when they serve, and so for how long it stood still: that is to be counted here."""
        around = self._around
        states = [group.carrier.state for group in around.groups.values()]
        until = around.now() + SERVED_MS
        while any(state.given for state in states) and around.now() < until:
            await trio.sleep(STEP_S)
            around.tick()
        for state in states:
            state.now = around.now()
            for p in tuple(state.given):
                giving.ended(state, p)

    def stay(self) -> None:
        """It doesn't stop after all. What it has handed over comes back as after a start."""
        self._rebalancer.release(b"")
        with self._around.within():
            self._tell((GOING, 0))

    def step(self) -> bool:
        """Begin what may be begun now. Whether anything is under way, or waited for."""
        around = self._around
        waits = False
        with around.within():
            for name, group in tuple(around.groups.items()):
                state = group.carrier.state
                state.now = around.now()
                room = state.settings.moves_max - sum(place[0] == name for place in self._under_way)
                begun = False
                for p, heir, ready in self._to_hand_over(state):
                    place = (name, p)
                    if place in self._under_way or self._tries.get(place, 0) >= TRIES_MAX:
                        continue
                    waits = True
                    if not ready or room <= 0:
                        continue
                    if not begun:
                        group.flush()
                        begun = True
                    room -= 1
                    self._under_way.add(place)
                    self._tries[place] = self._tries.get(place, 0) + 1
                    replica.move(state, p, heir, self._ended(place))
                group.carrier.drain()
        return waits or bool(self._under_way)

    def _to_hand_over(self, state: ReplicaState) -> Iterator[tuple[int, bytes, bool]]:
        """(partition, heir, whether its copy is complete): heirs that are there, and don't stop, too."""
        for part in state.parts:
            claim = part.claim
            if part.phase != SERVING or claim is None or claim.heir is None:
                continue
            heir = state.peers.get(claim.heir)
            if heir is None or not state.reachable(heir) or self._is_going(heir.id):
                continue
            ready = part.heir_live and part.move_to is None and part.number not in state.storing
            yield part.number, heir.id, ready

    def _ended(self, place: tuple[str, int]) -> Callable[[int, Exception | None], None]:
        def ended(_: int, error: Exception | None) -> None:
            self._under_way.discard(place)
            if error is None:
                self._moved += 1
                return
            log.info("partition_not_handed_over", group=place[0], partition=place[1], cause=str(error))

        return ended

    def _left(self) -> int:
        states = [group.carrier.state for group in self._around.groups.values()]
        return sum(1 for state in states for _ in self._to_hand_over(state))

    async def say_gone(self) -> None:
        """The last word, when nothing is written any more: whoever hears it takes over at once."""
        with self._around.within():
            self._tell((GONE, self._around.detector.state.boot))
        self._around.links.flush()
        await trio.sleep(SAID_S)

    def _tell(self, message: tuple[Any, ...]) -> None:
        for node in self._around.nodes:
            if node != self._around.me:
                self._around.links.send(node, None, message)

    # ---- others stop ------------------------------------------------------------------------------

    def received(self, peer: bytes, message: Sequence[Any]) -> None:
        """Another node says that it stops, or has ended."""
        around = self._around
        if peer not in around.detector.state.peers:
            return
        match message:
            case [int(code), int(ms), *_] if code == GOING:
                ms = max(0, min(ms, GOING_MS_MAX))
                self._going[peer] = around.now() + ms
                self._rebalancer.hold(ms, peer)
            case [int(code), bytes(boot), *_] if code == GONE and boot == around.detector.boot_of(peer):
                log.info("peer_stopped", node=peer.hex())
                self._gone.add(peer)
                self._think(peer)

    def has_gone(self, peer: bytes) -> bool:
        """Whether it has said that it ends, and nothing else was found out about it since."""
        return peer in self._gone

    def judged(self, peer: bytes, state: str | None) -> None:
        """The detector thinks something else of a peer, or (None) has heard another start of it."""
        if state != detectorstate.SUSPECT:
            self._gone.discard(peer)
            if state != detectorstate.UNREACHABLE:
                self._going.pop(peer, None)
        if state in (None, detectorstate.DEAD):
            self._rebalancer.release(peer)
        self._think(peer)

    def liveness(self, state: ReplicaState, peer: bytes) -> None:
        """A replica is to think of a peer what the detector does; or what the peer itself has said, which is sooner."""
        if peer in state.peers and peer in self._around.detector.state.peers:
            thought = detectorstate.DEAD if peer in self._gone else self._around.detector.state_of(peer)
            replica.liveness(state, peer, _LIVENESS.get(thought, SILENT))

    def _think(self, peer: bytes) -> None:
        for one in self._around.groups.values():
            one.carrier.state.now = self._around.now()
            self.liveness(one.carrier.state, peer)
            one.carrier.drain()

    def _is_going(self, peer: bytes) -> bool:
        return self._around.now() < self._going.get(peer, 0)
