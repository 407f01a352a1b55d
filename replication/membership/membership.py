"""The roster of a running member: kept on disk, told to others, and applied to links, detector and replicas.

It is asked by the cluster for every beat and every message about rosters. What operators do is in `operating`, what
moves partitions in `rebalancing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import attrs
import structlog
import trio

from replication.clustersettings import SPEAKS, ClusterSettings
from replication.core import members as core
from replication.core import replica
from replication.core.state import ReplicaState
from replication.detector import Detector
from replication.membership.exchange import CHANGED, SEND, Effect, Exchange
from replication.membership.far import Far, others_of
from replication.membership.intents import Intents
from replication.membership.keeping import Kept
from replication.membership.member import ACTIVE, INVITED, REMOVED, Member, key_hash, with_revoked
from replication.membership.refusal import Refusal
from replication.membership.roster import MEMBERS_MAX, Entry, Roster
from replication.membership.sealing import Sealing
from replication.placed import Placed
from replication.ranking import ByHand, Ranking
from replication.ranking import Member as Ranked
from replication.replicated import ReplicatedGroup
from replication.zeromq.address import Address
from replication.zeromq.errors import AddressUnusable, MembersUnusable
from replication.zeromq.links import Links
from replication.zeromq.members import Member as Linked
from store.store import Store

log = structlog.get_logger()

KEEP_MS: Final = 1_000
"""Between two tries to write what the disk hasn't taken."""
RELAYS_SINCE: Final = 2
"""The version from which on claims are spread by relays (`core.spreading`)."""
PLEDGES_SINCE: Final = 3
"""The version from which on partitions are pledged to claims (`core.pledging`)."""


class Around(Protocol):
    """The cluster, as far as membership needs it."""

    settings: ClusterSettings
    me: bytes
    store: Store
    groups: dict[str, ReplicatedGroup]
    links: Links
    detector: Detector
    secret: bytes

    def now(self) -> int: ...
    def within(self) -> AbstractContextManager[None]: ...
    def place(self, placed: Placed) -> None: ...
    def met(self, state: ReplicaState, peer: bytes) -> None: ...
    def parted(self, peer: bytes) -> None: ...
    def resized(self) -> None: ...


class Membership:
    """Of one node. `removed` is set when this node itself was removed: nobody talks to it any more.

    Args:
        key: this node's public key.

    Raises:
        MembersUnusable: this node isn't among the members.
    """

    def __init__(self, around: Around, key: str) -> None:
        settings = around.settings
        self._around = around
        self._kept = Kept(around.store)
        self.roster = Roster(configured(settings))
        self.roster.merge(self._kept.read())
        self.exchange = Exchange(around.me, self.roster, settings.membership)
        self.removed = trio.Event()
        self.changed_at = around.now()
        self.refusal = Refusal(around, self.roster, self.removed)
        self._kept_at = -(10**12)
        self._said: dict[bytes, Member] = {}  # nodes' rows as they themselves made them last
        self.nodes: tuple[bytes, ...] = ()  # of this cluster
        self.others: tuple[Member, ...] = ()  # members of other clusters
        self.speaks = settings.speaks
        self._spoke = self.spoken  # as was logged last
        own = self.roster.members.get(around.me)
        if own is None or own.state == REMOVED:
            raise MembersUnusable(f"this node, {around.me.hex()}, isn't among the members, or was removed")
        if key not in own.keys:
            raise MembersUnusable(
                f"this node, {around.me.hex()}, has the key {key}, and another one as a member"
            )
        self.nodes = self._belonging()
        self.far = Far(around, self, settings.membership.far_idle_ms)
        self.sealing = Sealing(around, self)
        said: dict[str, Any] = {
            "speaks": self.speaks, "key": key, "next_key": "", "revoked": own.revoked
        }  # fmt: skip
        if key != own.key:  # it has ended in the middle of a change of keys
            said["revoked"] = with_revoked(own)
        self._intents = Intents(around.me, said)

    @property
    def own(self) -> Member:
        """This node's row."""
        return self.roster.members[self._around.me]

    def linked(self) -> list[Linked]:
        """Everybody of this cluster who may be talked to, this node too, as links need it."""
        return [
            one
            for row in self.roster.members.values()
            if self._is_near(row) and (one := _linked(row)) is not None
        ]

    def link_to(self, row: Member) -> Linked | None:
        """A member as links need it; None: it was removed.

        Somebody who changes its row and hasn't heard of a change of its keys takes that back, on all of one side of a
        split perhaps. Whoever has heard the node itself goes on letting it in, so that it can say it again.
        """
        if row.editor == row.node:
            self._said[row.node] = row
        said = self._said.get(row.node, row)
        if row.key == said.key:
            return _linked(attrs.evolve(row, next_key=row.next_key or said.next_key))
        if key_hash(row.key) in said.revoked:
            return _linked(attrs.evolve(row, key=said.key, next_key=said.next_key))
        return _linked(row)

    def changes_key(self, node: bytes) -> bool:
        """Whether a member is about to have another key: all of its cluster know that before its entrances are closed
        and bound anew."""
        row = self.roster.members.get(node)
        linked = self.link_to(row) if row is not None else None
        return linked is not None and bool(linked.next_key)

    def know_others(self) -> None:
        """At the start: members of other clusters may call, and who was removed is told so."""
        for row in self.roster.members.values():
            if row.state == REMOVED:
                self._around.links.expel(row.keys)
            linked = _linked(row)
            if linked is not None and not self._is_near(row):
                self._around.links.know(linked)

    def _is_near(self, row: Member) -> bool:
        return row.cluster == self.own.cluster

    def _belonging(self) -> tuple[bytes, ...]:
        rows = tuple(self.roster.members.values())
        self.others = others_of(rows, self.own.cluster)
        return tuple(sorted(row.node for row in rows if row.belongs and self._is_near(row)))

    # ---- what comes -------------------------------------------------------------------------------

    def beating(self) -> tuple[Any, ...]:
        """What this node's beats say of its roster."""
        return (self.roster.digest, int(self.is_kept), int(self.sealing.agreed))

    @property
    def is_kept(self) -> bool:
        """Whether all that this node knows is on its disk, and so known after it has lost power."""
        return self._kept.is_whole

    def beat(self, peer: bytes, said: Sequence[Any]) -> None:
        """A peer's beat came; this is what it says of its roster."""
        match said:
            case [bytes(digest), *more]:
                kept, agreed = more[:1] == [1], more[1:2] == [1]  # a release of before doesn't say it
                now = self._around.now()
                self._carry_out(self.exchange.beat(peer, digest, now, kept=kept, agreed=agreed))
                if self._intents.waiting and self._is_agreed():
                    self._intents.settled()

    def received(self, peer: bytes, message: Sequence[Any]) -> None:
        """A peer says something about rosters."""
        self._carry_out(self.exchange.received(peer, message), peer)

    def _carry_out(self, effects: Iterable[Effect], peer: bytes | None = None) -> None:
        for effect in effects:
            if effect[0] == SEND:
                self._around.links.send(effect[1], None, effect[2])
            elif effect[0] == CHANGED:
                self._hear(effect[1])
                if self.others:
                    self.far.forward(peer, effect[1])

    def _hear(self, rows: Sequence[Entry]) -> None:
        """Others' rows stand. What this node corrects in them is durable together with them: with another key in its
        own row, it couldn't start again."""
        corrected = self._corrected()
        self._kept.keep_soon({row.id: row for row in (*rows, *corrected)}.values())
        self._use(rows)
        if corrected:
            self.tell(corrected)

    # ---- what is changed here ---------------------------------------------------------------------

    async def edit(self, rows: Sequence[Entry]) -> None:
        """Make rows of this node's own durable, use them, and tell everybody.

        Raises:
            StoreError: nothing was changed.
        """
        noted = self._intents.note(self.roster, rows)
        await self._kept.keep(rows)
        self._intents.take(noted)
        with self._around.within():
            self._tell(rows)
            self._kept.stand(row for row in rows if self.roster.entry(row.id) is row)

    def edit_soon(self, rows: Sequence[Entry]) -> None:
        """The same, durable in a moment."""
        self._kept.keep_soon(rows)
        self.tell(rows)

    def step(self) -> None:
        """Time has passed: to be called ten times a second or so. What couldn't be written, as the disk was full, is
        tried again: who starts with a row of before may know others by keys that they have no more."""
        now = self._around.now()
        if self._kept.has_due and now - self._kept_at >= KEEP_MS:
            self._kept_at = now
            self._kept.keep_due(self.roster)
        self.far.step()

    def tell(self, rows: Sequence[Entry]) -> None:
        """Use rows that this node has made, and tell everybody of them who can be reached."""
        self._intents.take(self._intents.note(self.roster, rows))
        self._tell(rows)

    def _tell(self, rows: Sequence[Entry]) -> None:
        links = self._around.links
        reached = [node for node in self.roster.members if links.is_connected(node, None)]
        self._carry_out(self.exchange.edited(rows, reached))
        self.apply(rows)

    async def come(self) -> None:
        """This node runs: it is a member from now on, and says what it speaks."""
        rows = self._corrected()
        if rows:
            await self.edit(rows)

    def say(self, **said: str) -> None:
        """What this node says of itself from now on: where it is operated. Within a pass."""
        self._intents.mean(said)
        rows = self._corrected()
        if rows:
            self.edit_soon(rows)

    def _corrected(self) -> list[Entry]:
        """Rows in which something isn't so. This node's: it runs, speaks what it speaks, has the key that it has. And
        those that have lost what this node has changed in them, to somebody who changed them at the same time."""
        me, lost = self._around.me, dict(self._intents.lost(self.roster))
        if self.own.state == INVITED:
            lost[me] = {"state": ACTIVE} | lost.get(me, {})
        return [self.roster.edited(node, me, **changes) for node, changes in lost.items()]

    def _is_agreed(self) -> bool:
        """Whether everybody who is reached has this roster."""
        links, me = self._around.links, self._around.me
        others = [one for one in self.nodes if one != me and links.is_connected(one, None)]
        return all(map(self.exchange.knows, others))

    # ---- using it ---------------------------------------------------------------------------------

    def judged(self, node: bytes) -> None:
        """Something else is thought of a peer. Other clusters keep nothing from going home in this one."""
        if not self.far.is_far(node):
            self.changed_at = self._around.now()

    def apply(self, rows: Sequence[Entry]) -> None:
        """This node's rows are others than before."""
        self._use(rows)
        corrected = self._corrected()
        if corrected:
            self.edit_soon(corrected)

    def _use(self, rows: Sequence[Entry]) -> None:
        """Links, detector, replicas and ranking follow."""
        around = self._around
        gone = []
        for row in rows:
            if not isinstance(row, Member):
                continue
            log.info("member", node=row.node.hex(), state=row.state, server=row.server, weight=row.weight)
            if row.node == around.me:
                if row.state == REMOVED:
                    self.removed.set()
            elif row.state == REMOVED:
                gone.append(row.node)
                around.links.expel(row.keys)
            else:
                self._link(row)
        if self.spoken != self._spoke:
            log.info("cluster_speaks", version=self.spoken, before=self._spoke)
            self._spoke = self.spoken
        if any(not isinstance(row, Member) or self._is_near(row) for row in rows):
            self.changed_at = around.now()
        before, self.nodes = self.nodes, self._belonging()
        for node in self.nodes:
            around.detector.added(node)
        for node in tuple(self.far.engaged):
            if not self.far.is_far(node):
                del self.far.engaged[node]  # it is of this cluster now
        self._rank(before)
        for node in gone:
            self._part(node)
        if len(self.nodes) != len(before):
            around.resized()

    def _link(self, row: Member) -> None:
        linked = self.link_to(row)
        if linked is not None and (self._is_near(row) or row.node in self.far.engaged):
            self._around.links.admit(linked)
        elif linked is not None:
            self._around.links.know(linked)

    def _rank(self, before: tuple[bytes, ...]) -> None:
        around = self._around
        for group in around.groups.values():
            state = group.carrier.state
            state.now = around.now()
            for node in self.nodes:
                if node not in before:
                    core.added(state, node)
                    around.met(state, node)
            self.use(group.placed, state)
            replica.placed(state)
            group.carrier.drain()

    def use(self, placed: Placed, state: ReplicaState) -> None:
        """Rank as the roster has it."""
        state.ranked = self.ranked(placed)
        state.relaying = self.spoken >= RELAYS_SINCE
        state.pledges = self.spoken >= PLEDGES_SINCE
        state.far = frozenset(row.node for row in self.others)
        state.departed = {row.node for row in self.roster.members.values() if row.state == REMOVED}

    def _part(self, node: bytes) -> None:
        around = self._around
        self.far.part(node)
        around.parted(node)
        around.links.dismiss(node)
        around.detector.removed(node)
        self.exchange.gone(node)
        for group in around.groups.values():
            state = group.carrier.state
            state.now = around.now()
            core.removed(state, node)
            replica.flush(state)
            group.carrier.drain()

    @property
    def spoken(self) -> int:
        """The version that everybody understands."""
        return min((row.speaks[1] for row in self.roster.members.values() if row.belongs), default=SPEAKS[1])

    def ranked(self, placed: Placed) -> Callable[[int], Sequence[bytes]]:
        """Who is wanted where: by the members that are active, and have a weight, of the cluster that owns it."""
        own = self.own.cluster
        if not placed.owned or not self.others:
            return self._ranking(placed, own)
        rankings = {
            label: self._ranking(placed, label) for label in {own, *(row.cluster for row in self.others)}
        }
        owners = {p: row.cluster for p, row in self.roster.owners.items()}

        def ranked(p: int) -> Sequence[bytes]:
            label = owners.get(p, own)
            wanted = rankings[label](p) if label in rankings else ()
            # What another cluster owns and this one still has stays on two nodes of it until it is there.
            return wanted if label == own else (*wanted, *rankings[own](p))

        return ranked

    def _ranking(self, placed: Placed, label: str) -> Callable[[int], Sequence[bytes]]:
        belonging = [row for row in self.roster.members.values() if row.belongs and row.cluster == label]
        rows = [row for row in belonging if row.state == ACTIVE and row.weight]
        # If nobody is left to take anything, it stays where it is. Two sides of a split may have let in more together.
        among = sorted(rows or belonging, key=lambda row: row.node)[:MEMBERS_MAX]
        members = [Ranked(row.node, row.stands_on, max(1, row.weight), row.rack) for row in among]
        if not members:
            return lambda p: ()
        name = placed.group.name
        by_hand = {name: ByHand(placed.nodes, in_order=not placed.spread)} if placed.nodes else {}
        ranking = Ranking(self._around.secret, members, by_hand)
        return lambda p: ranking.ranked(name, p)

    def statistics(self) -> dict[str, Any]:
        """Counts, and who there is."""
        states = [row.state for row in self.roster.members.values()]
        return {
            "members": len(self.nodes),
            "invited": states.count(INVITED),
            "removed": states.count(REMOVED),
            "digest": self.roster.digest.hex(),
            "spoken": self.spoken,
            **self.far.statistics(),
            "told": self.exchange.told,
            "tallies": self.exchange.tallies,
            "malformed": self.exchange.malformed + self.roster.refused,
        }


def configured(settings: ClusterSettings) -> list[Member]:
    """Rows of the members that are configured; whatever was changed since stands over them."""
    return [
        Member(
            node=one.node, key=one.key, address=one.address, server=one.server, weight=one.weight,
            speaks=settings.speaks,
        )
        for one in settings.members
    ]  # fmt: skip


def _linked(row: Member) -> Linked | None:
    if row.state == REMOVED:
        return None
    try:
        address = Address.parse(row.address) if row.address else None
    except AddressUnusable as error:
        log.warning("member_address_unusable", node=row.node.hex(), cause=str(error))
        address = None
    return Linked(row.node, row.key, address, row.next_key)
