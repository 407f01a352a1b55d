"""Who belongs to the cluster, as one life of a node knows it: what `replication.cluster` is around membership.

Rosters travel in beats and over the control links, replicas and links follow them, partitions move to where they are
wanted. What an operator does (let somebody join, weigh, leave) is one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from ops.simulation.tables.claims import name_of
from replication import detectorstate
from replication.carrier import Carrier
from replication.clustersettings import SPEAKS, ClusterSettings, Neighbour
from replication.core.state import ReplicaState
from replication.detector import Detector
from replication.membership import joining
from replication.membership.exchange import TELL
from replication.membership.keeping import writes_of
from replication.membership.member import LEAVING, REMOVED
from replication.membership.membership import Membership
from replication.membership.operating import Operating
from replication.membership.rebalancing import Rebalancer
from replication.membership.roster import Entry
from replication.membership.settings import MembershipSettings
from replication.placed import Placed
from replication.tables import CLUSTER
from store.store import Store

SECRET: Final = bytes(range(32))
DIGEST: Final = 3
"""Where a beat has its sender's digest."""


class Peers(Protocol):
    """What a node does for it."""

    def control(self, peer: bytes, message: Sequence[Any]) -> None: ...
    def meet(self, peers: Sequence[bytes]) -> None: ...
    def think(self, state: ReplicaState, peer: bytes) -> None: ...
    def now(self) -> int: ...


@attrs.define
class Held:
    """A group that is replicated, as membership and the rebalancer see it."""

    placed: Placed
    carrier: Carrier

    @property
    def name(self) -> str:
        """The group's."""
        return self.placed.group.name

    def flush(self) -> None:
        """Nothing is gathered here."""


def founder(number: int, servers: int) -> Neighbour:
    """One of the nodes that a cluster begins with."""
    return Neighbour(key_of(number), address_of(number), server_of(number, servers), id=name_of(number))


def key_of(number: int) -> str:
    """A node's public key."""
    return f"key{number}"


def address_of(number: int) -> str:
    """Where it is reached."""
    return f"127.0.0.1:{7_000 + number}"


def server_of(number: int, servers: int) -> str:
    """On which server it is."""
    return f"server{number % servers}"


class Belonging:
    """Of one life of a member.

    Raises:
        MembersUnusable: it is none, or was removed.
    """

    def __init__(
        self,
        number: int,
        store: Store,
        founders: Sequence[Neighbour],
        settings: MembershipSettings,
        peers: Peers,
    ) -> None:
        self.me = name_of(number)
        self.store = store
        self.secret = SECRET
        self.settings = ClusterSettings(
            data=Path("/node"), name="simulated", members=tuple(founders), node=self.me, membership=settings
        )
        self.groups: dict[str, Any] = {}
        self.links: Any = self
        self.detector: Detector
        self._peers = peers
        self.membership = Membership(self, key_of(number))
        self.rebalancer = Rebalancer(self, settings)
        around: Any = self
        self._operating = Operating(around, self.rebalancer)

    # ---- what membership asks (`replication.membership.membership.Around`) -----------------------------

    def now(self) -> int:
        """The node's monotonic clock."""
        return self._peers.now()

    @contextmanager
    def within(self) -> Iterator[None]:
        """Every call is part of a pass that the node ends."""
        yield

    def place(self, placed: Placed) -> None:
        """Groups are declared, and stay."""

    def resized(self) -> None:
        """There is no schema here."""

    def met(self, state: ReplicaState, peer: bytes) -> None:
        """What is thought of a new peer."""
        self._peers.think(state, peer)

    def parted(self, peer: bytes) -> None:
        """Its links end with `dismiss`."""

    def is_connected(self, node: bytes, group: None) -> bool:
        """Whether a node is worth being told something: it isn't known to be away."""
        peer = self.detector.state.peers.get(node)
        return node != self.me and (
            peer is None or peer.state in (detectorstate.ALIVE, detectorstate.UNKNOWN)
        )

    def send(self, peer: bytes, group: None, message: Sequence[Any]) -> bool:
        """Over the control link."""
        self._peers.control(peer, message)
        return True

    def flush(self) -> None:
        """What was handed over is on its way."""

    def admit(self, linked: object) -> None:
        """Somebody may be talked to."""
        self._peers.meet(self.others())

    def dismiss(self, node: bytes) -> None:
        """Somebody may not be talked to any more."""
        self._peers.meet(self.others())

    def expel(self, keys: object) -> None:
        """Who was removed isn't told so here: nobody listens to it."""

    # ---- what the node asks -----------------------------------------------------------------------------

    def others(self) -> list[bytes]:
        """All members but this one."""
        members = self.membership.roster.members.values()
        return sorted(row.node for row in members if row.belongs and row.node != self.me)

    @property
    def state(self) -> int:
        """Of this node."""
        return self.membership.own.state

    def knows(self, peer: bytes) -> bool:
        """Whether what it says is heard: links admit whoever is in the roster, invited or more, and wasn't removed."""
        row = self.membership.roster.members.get(peer)
        return row is not None and row.state != REMOVED

    def received(self, peer: bytes, message: Sequence[Any]) -> bool:
        """Whether that was about rosters. A beat is, and isn't."""
        if message[0] >= TELL:
            self.membership.received(peer, message)
            return True
        if message[0] == detectorstate.BEAT and len(message) > DIGEST:
            self.membership.beat(peer, message[DIGEST])
        return False

    def beating(self, message: Sequence[Any]) -> Sequence[Any]:
        """What goes out, with the roster's digest if it is a beat."""
        beats = message[0] == detectorstate.BEAT
        return (*message, self.membership.roster.digest) if beats else message

    def tick(self) -> None:
        """Move what is wanted elsewhere; if this node is leaving and holds nothing any more, it leaves."""
        self._operating.step()

    def held(self) -> int:
        """What must be somewhere else before this node may leave."""
        return self._operating.held()

    # ---- what operators do ------------------------------------------------------------------------------

    def _edit(self, rows: Sequence[Entry]) -> None:
        """Durable, then told."""
        write(self.store, rows)
        self.membership.tell(rows)

    def let_join(self, number: int, servers: int) -> list[Entry] | None:
        """Invite a node and answer it: everything that it must know; None if it can't be."""
        roster, node = self.membership.roster, name_of(number)
        if node not in roster.members:
            invited = roster.invited(node, self.me, key_of(number), server=server_of(number, servers))
            self._edit([invited])
        row = joining.asked(roster, node, (*SPEAKS, address_of(number), ""), self.me)
        if isinstance(row, str):
            return None
        self.membership.edit_soon([row])
        return list(roster.members.values())

    def weigh(self, number: int, weight: int) -> None:
        """Another weight for a member."""
        node = name_of(number)
        row = self.membership.roster.members.get(node)
        if row is not None and row.belongs:
            self._edit([self.membership.roster.edited(node, self.me, weight=weight)])

    def remove(self, number: int) -> None:
        """A member never returns."""
        node = name_of(number)
        row = self.membership.roster.members.get(node)
        if row is not None and row.state != REMOVED:
            self._edit([self.membership.roster.edited(node, self.me, state=REMOVED)])

    def leave(self) -> bool:
        """Begin to hand over everything. False: nobody else is there."""
        active = [row for row in self.membership.roster.members.values() if row.belongs]
        if len(active) < 2 or any(row.state == LEAVING for row in active):
            return False
        self._edit([self.membership.roster.edited(self.me, self.me, state=LEAVING, departs=True)])
        return True


def write(store: Store, rows: Iterable[Entry], *, configured: bool = False) -> None:
    """Rows of the roster, durable on return."""
    group = store.group(CLUSTER.name)
    writes = writes_of(group, rows, configured=configured)
    if not writes:
        return
    failed: list[BaseException] = []
    group.submit(writes, lambda result: failed.append(result.error) if result.error is not None else None)
    group.step_inline()
    store.deliver_results(commit=False)
    if failed:
        raise failed[0]


def is_written(store: Store) -> bool:
    """Whether a former life has left a roster."""
    return any(True for _ in store.group(CLUSTER.name).table("member").range(limit=1))
