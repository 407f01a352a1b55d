"""Who belongs to the cluster, as one life of a node knows it: what `replication.cluster` is around membership.

Rosters travel in beats and over the control links, replicas and links follow them, partitions move to where they are
wanted, nodes of other clusters are engaged and rest. What an operator does (let somebody join, weigh, leave, assign
partitions to a cluster, change keys) is one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol

import attrs

from ops.simulation.cluster.keyring import KeyFiles, Keyring
from ops.simulation.tables.claims import name_of
from replication import detectorstate
from replication.carrier import Carrier
from replication.clustersettings import SPEAKS, ClusterSettings, Neighbour
from replication.core.state import ReplicaState
from replication.detector import Detector
from replication.membership import joining
from replication.membership.exchange import TELL
from replication.membership.far import CLAIMED
from replication.membership.keeping import writes_of
from replication.membership.member import LEAVING, REMOVED
from replication.membership.membership import Membership
from replication.membership.operating import Operating
from replication.membership.rebalancing import Rebalancer
from replication.membership.rekeying import Rotation
from replication.membership.roster import Entry
from replication.membership.settings import MembershipSettings
from replication.placed import Placed
from replication.tables import CLUSTER
from store.errors import StoreError
from store.store import Store

SECRET: Final = bytes(range(32))
ROSTER: Final = 3
"""Where a beat says what roster its sender has."""
ROTATE_MS: Final = 1_500
"""How long it may take until everybody knows of another key."""


class Peers(Protocol):
    """What a node does for it."""

    def control(self, peer: bytes, message: Sequence[Any]) -> None: ...
    def meet(self, peers: Sequence[bytes]) -> None: ...
    def break_links(self) -> None: ...
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


def address_of(number: int) -> str:
    """Where a node is reached."""
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
        files: KeyFiles,
    ) -> None:
        self.number = number
        self.me = name_of(number)
        self.store = store
        self.secret = SECRET
        self.settings = ClusterSettings(
            data=Path("/node"), name="simulated", members=tuple(founders), node=self.me, membership=settings
        )
        self.groups: dict[str, Any] = {}
        self.detector: Detector
        self._peers = peers
        self._files = files
        key = files.of(number)
        self.membership = Membership(self, key)
        self.links: Any = Keyring(self.me, key, self.membership.linked(), peers, self._is_there)
        self.rebalancer = Rebalancer(self, settings)
        around: Any = self
        self._operating = Operating(around, self.rebalancer)
        self._rotation: tuple[Rotation, int] | None = None  # until when it must be done
        self.membership.know_others()

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

    def _is_there(self, node: bytes) -> bool:
        peer = self.detector.state.peers.get(node)
        return peer is None or peer.state in (detectorstate.ALIVE, detectorstate.UNKNOWN)

    # ---- what the node asks -----------------------------------------------------------------------------

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
        if self.links.is_resting(peer):
            self.membership.far.called(peer)
        if message[0] >= TELL:
            if message[0] >= CLAIMED:
                self.membership.far.received(peer, message)
            else:
                self.membership.received(peer, message)
            return True
        if message[0] == detectorstate.BEAT:
            self.membership.beat(peer, message[ROSTER:])
        return False

    def beating(self, message: Sequence[Any]) -> Sequence[Any]:
        """What goes out; if it is a beat, with what is known of the roster."""
        beats = message[0] == detectorstate.BEAT
        return (*message, *self.membership.beating()) if beats else message

    def tick(self) -> None:
        """Move what is wanted elsewhere, look after other clusters and a change of keys; if this node is leaving and
        holds nothing any more, it leaves."""
        self._operating.step()
        self.membership.step()
        self._rotate()

    def is_far(self, peer: bytes) -> bool:
        """Whether a node is of another cluster."""
        return bool(self.membership.others) and self.membership.far.is_far(peer)

    def held(self) -> int:
        """What must be somewhere else before this node may leave."""
        return self._operating.held()

    # ---- what operators do ------------------------------------------------------------------------------

    def _edit(self, rows: Sequence[Entry]) -> None:
        """Durable, then told."""
        write(self.store, rows)
        self.membership.tell(rows)

    def let_join(self, number: int, servers: int, cluster: str) -> list[Entry] | None:
        """Invite a node and answer it: everything that it must know; None if it can't be."""
        roster, node = self.membership.roster, name_of(number)
        if node not in roster.members:
            invited = roster.invited(
                node, self.me, self._files.of(number), server=server_of(number, servers), cluster=cluster
            )
            self._edit([invited])
        row = joining.asked(roster, node, (*SPEAKS, address_of(number), ""), self.me)
        if isinstance(row, str):
            return None
        self.membership.edit_soon([row])
        return [*roster.members.values(), *roster.owners.values()]

    def weigh(self, number: int, weight: int) -> None:
        """Another weight for a member."""
        node = name_of(number)
        row = self.membership.roster.members.get(node)
        if row is not None and row.belongs:
            self._edit([self.membership.roster.edited(node, self.me, weight=weight)])

    def assign(self, partitions: Sequence[int], cluster: str) -> bool:
        """Another cluster owns these from now on. False: nobody is of that cluster, as far as is known here, or too few
        of one that owns them are there."""
        roster, sealing = self.membership.roster, self.membership.sealing
        if not any(row.belongs and row.cluster == cluster for row in roster.members.values()):
            return False
        if sealing.unreached(partitions, cluster):
            return False
        self._edit(roster.owned(partitions, self.me, cluster))
        return True

    def rotate(self) -> bool:
        """Begin to have another key. Raises NotNow: not everybody is there."""
        if self._rotation is not None:
            return False
        rotation = Rotation(self, self.membership, self._files.next_of(self.number))
        self._edit(rotation.begun())
        self._rotation = (rotation, self.now() + ROTATE_MS)
        return True

    @property
    def rotates(self) -> bool:
        """Whether it is about to have another key."""
        return self._rotation is not None

    def _rotate(self) -> None:
        if self._rotation is None:
            return
        rotation, until = self._rotation
        if not rotation.missing():
            self._rotation = None
            self.links.key = self._files.next_of(self.number)
            self._peers.break_links()
            self._files.change(self.number)
            self.membership.edit_soon(rotation.done())
        elif self.now() >= until:
            with suppress(StoreError):  # it is tried again
                self._edit(rotation.given_up())
                self._rotation = None

    def remove(self, number: int) -> None:
        """A member never returns."""
        node = name_of(number)
        row = self.membership.roster.members.get(node)
        if row is not None and row.state != REMOVED:
            self._edit([self.membership.roster.edited(node, self.me, state=REMOVED)])

    def leave(self) -> bool:
        """Begin to hand over everything. False: nobody else is there."""
        rows = [row for row in self.membership.roster.members.values() if row.belongs]
        near = [row for row in rows if row.cluster == self.membership.own.cluster]
        if len(near) < 2 or any(row.state == LEAVING for row in rows):
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
