"""What an operator does to a running cluster, on any of its nodes: invite, change, empty, leave, remove, move and more.

Whatever concerns another node is asked of that node over the control link:

    (MOVE, number, group, p, target)    move this partition, which you serve
    (MOVED, number, text)               done; or why not
    (SOUND, number, node)               of which partitions that this node claims have you everything?
    (SOUNDS, number, [[group, p], …])
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import structlog
import trio

from replication.clustersettings import ClusterSettings
from replication.core import replica
from replication.core.errors import NoMove, ReplicationError
from replication.detector import Detector
from replication.errors import NotOnePartition
from replication.identity import read_identity
from replication.membership import joining, status
from replication.membership.departing import Departing
from replication.membership.errors import NoSuchMember, NotNow, OwnerAway
from replication.membership.joining import Joined
from replication.membership.member import ACTIVE, INVITED, LEAVING, NODE_BYTES, REMOVED, Member
from replication.membership.membership import Membership
from replication.membership.owner import Owner
from replication.membership.reaching import LOOK_S, REACH_S, Reaching
from replication.membership.rebalancing import STEP_S, Rebalancer
from replication.membership.rekeying import ROTATE_S, Rekeying
from replication.membership.removing import Removing
from replication.membership.status import Losses
from replication.outcome import Waiter
from replication.placement import PARTITIONS
from replication.replicated import ReplicatedGroup
from replication.tables import CLUSTER
from replication.zeromq.keys import is_public_key
from replication.zeromq.links import Links
from store.store import Store

log = structlog.get_logger()

MOVE: Final = 24
MOVED: Final = 25
SOUND: Final = 26
SOUNDS: Final = 27

ASK_S: Final = 3.0
"""How long others' answers are waited for; a move takes `MOVE_S`."""
MOVE_S: Final = 60.0
ASKED_MAX: Final = 1_000
"""Questions of this node that wait for answers."""


class Around(Protocol):
    """The cluster, as far as operators need it."""

    settings: ClusterSettings
    me: bytes
    secret: bytes
    store: Store
    groups: dict[str, ReplicatedGroup]
    links: Links
    detector: Detector
    membership: Membership

    def now(self) -> int: ...
    def not_understood(self) -> dict[str, dict[str, int]]: ...
    def within(self) -> AbstractContextManager[None]: ...
    async def move(self, group: str, p: int, target: bytes) -> None: ...


class Operating:
    """Of one node. Everything raises MembershipError for what can't be done, and StoreError."""

    def __init__(self, around: Around, rebalancer: Rebalancer) -> None:
        self._around = around
        self._membership = around.membership
        self.rebalancer = rebalancer
        self._rekeying = Rekeying(around, around.membership)
        self._departing = Departing(around, around.membership)
        self._reaching = Reaching(around)
        self._removing = Removing(around, self._reaching, self._ask_sound)
        self._number = secrets.randbits(32)
        self._asked: dict[int, Waiter] = {}

    async def run(self) -> None:
        """What a node does by itself, until cancelled."""
        while True:
            await trio.sleep(STEP_S)
            self.step()

    def step(self) -> None:
        """Time has passed."""
        self.rebalancer.step()
        self._departing.step()
        self._membership.sealing.step()

    # ---- members ----------------------------------------------------------------------------------

    async def invite(
        self, key: str, *, server: str, rack: str = "", weight: int = 100, cluster: str = ""
    ) -> bytes:
        """Let whoever has this key join. The id that it will have: the same again, if it is invited just so already.

        Raises:
            KeyTaken, RosterFull
            ValueError: that is no public key, or the weight is none.
        """
        if not is_public_key(key):
            raise ValueError(f"{key!r} isn't 40 characters of Z85")
        own = self._membership.own.cluster
        said = (key, INVITED, server, rack, weight, cluster or own)
        for one in self._membership.roster.members.values():
            if (one.key, one.state, one.server, one.rack, one.weight, one.cluster) == said:
                return one.node
        node = secrets.token_bytes(NODE_BYTES)
        row = self._membership.roster.invited(
            node, self._around.me, key, server=server, rack=rack, weight=weight,
            cluster=cluster or own,
        )  # fmt: skip
        Member.from_row(row.row())  # within its limits
        await self._membership.edit([row, *self._kept_by(row.cluster)])
        return node

    def _kept_by(self, cluster: str) -> list[Owner]:
        """When another cluster is to come, everything belongs to this one at first."""
        own, roster = self._membership.own.cluster, self._membership.roster
        if cluster == own or self._membership.others:
            return []
        kept = [p for p in self._owned() if p not in roster.owners]
        return roster.owned(kept, self._around.me, own, sealed=True)

    def _owned(self) -> range:
        return range(
            max((g.placed.partitions for g in self._around.groups.values() if g.placed.owned), default=0)
        )

    async def assign(self, partitions: Iterable[int], cluster: str) -> None:
        """Another cluster owns these partitions from now on: planned moves bring them there.

        Raises:
            NoSuchMember: nobody is of that cluster.
            NotOnePartition: there is none of a number.
            OwnerAway: a majority of the cluster that owns some of them now isn't there to hear of it.
        """
        roster, wanted = self._membership.roster, sorted(set(partitions))
        if not any(row.belongs and row.cluster == cluster for row in roster.members.values()):
            raise NoSuchMember(f"nobody is of cluster {cluster!r}")
        if wanted and not (wanted[0] >= 0 and wanted[-1] < len(self._owned())):
            raise NotOnePartition(f"partitions are 0 to {len(self._owned()) - 1}")
        await self._require_owners(wanted, cluster)
        await self._membership.edit(roster.owned(wanted, self._around.me, cluster))

    async def _require_owners(self, partitions: Sequence[int], cluster: str) -> None:
        sealing = self._membership.sealing
        with trio.move_on_after(REACH_S):
            while sealing.unreached(partitions, cluster):  # noqa: ASYNC110 - beats tell
                await trio.sleep(LOOK_S)
        if missing := sealing.unreached(partitions, cluster):
            raise OwnerAway(f"of cluster {missing[0]!r}, which owns some of them, no majority is there")

    async def change(self, node: bytes, **changes: Any) -> None:
        """Another weight, server, rack, public, or address of a member; copies follow by and by.

        Raises:
            NoSuchMember, MemberRemoved
            ValueError: nothing of the kind can be changed, or to that.
        """
        if not changes.keys() <= {"weight", "server", "rack", "public", "address"}:
            raise ValueError("weight, server, rack, public and address can be changed")
        row = self._membership.roster.edited(node, self._around.me, **changes)
        Member.from_row(row.row())
        await self._membership.edit([row])

    async def leave(self) -> None:
        """Hand over everything that this node holds, then be a member no more. Takes as long as that takes.

        Raises:
            NotNow: nobody else could take it, or it was told to stay.
            Cancelled, it goes on leaving, also after another start; `stay` is the way back.
        """
        membership, me = self._membership, self._around.me
        alone = sorted(name for name, group in self._around.groups.items() if set(group.placed.nodes) == {me})
        if alone:
            raise NotNow(f"groups have all their copies here by name: {', '.join(alone)}")
        self._require_others()
        if membership.own.state != LEAVING or not membership.own.departs:
            await membership.edit([membership.roster.edited(me, me, state=LEAVING, departs=True)])
        while not membership.removed.is_set():
            if membership.own.state != LEAVING:
                raise NotNow("it was told to stay")
            await trio.sleep(LOOK_S)

    async def empty(self) -> None:
        """Begin to hand over everything that this node holds, and be a member still, of the same weight: `served` tells
        how far that is, `stay` is the way back, also after another start.

        Raises:
            NotNow: nobody else could take it.
        """
        membership, me = self._membership, self._around.me
        self._require_others()
        if membership.own.state != LEAVING:
            await membership.edit([membership.roster.edited(me, me, state=LEAVING)])

    def _require_others(self) -> None:
        members, me = self._membership.roster.members, self._around.me
        if not any(one != me and members[one].state == ACTIVE for one in self._membership.nodes):
            raise NotNow("no other active member is there")

    def served(self) -> int:
        """Partitions that this node is primary of, of the groups that others may hold."""
        me = self._around.me
        return sum(
            part.claim is not None and part.claim.primary == me
            for group in self._around.groups.values()
            if set(group.placed.nodes) != {me}
            for part in group.carrier.state.parts
        )

    def is_emptying(self) -> bool:
        """Whether it is to hold nothing: `empty` or `leave` began it, and `stay` hasn't ended it."""
        return self._membership.own.state == LEAVING

    async def stay(self) -> None:
        """Be an active member again after all."""
        me = self._around.me
        if self._membership.own.state == LEAVING:
            row = self._membership.roster.edited(me, me, state=ACTIVE, departs=False)
            await self._membership.edit([row])

    def held(self) -> int:
        """What keeps a member that leaves."""
        return self._departing.held()

    async def remove(self, node: bytes) -> Losses:
        """A node never returns: what it held is taken over. What may be lost by that, partition by partition.

        Raises:
            NoSuchMember, MemberRemoved
            NotNow: it isn't dead, as far as is known; or its own cluster is to be asked.
        """
        membership = self._membership
        row = membership.roster.member(node)
        losses = await self._removing.losses(row)
        await self._removing.require_dead(row, losses)
        await membership.edit([membership.roster.edited(node, self._around.me, state=REMOVED)])
        return losses

    async def losses(self, node: bytes) -> Losses:
        """What may be lost if this node never returned. Raises NoSuchMember, MemberRemoved."""
        return await self._removing.losses(self._membership.roster.member(node))

    async def _ask_sound(self, peer: bytes, node: bytes) -> Any:
        return await self._ask(peer, SOUND, (node,), ASK_S)

    async def rotate_key(self, seconds: float = ROTATE_S) -> str:
        """Have another key pair, while everybody runs; links are made anew. The new public key; the old one opens
        nothing any more.

        Raises:
            NotNow: not everybody is there to hear of it.
        """
        return await self._rekeying.rotate(seconds)

    # ---- partitions -------------------------------------------------------------------------------

    async def move(self, group: str, p: int, target: bytes) -> None:
        """Move a partition to another member, whoever serves it now.

        Raises:
            NoMove, NotNow: it stays where it is, or nobody knows.
            KeyError: there is no such group.
        """
        opened = self._around.groups[group]
        opened.placed.check(p)
        self._require_owner(opened, p, target)
        primary = opened.primary(p)
        if primary == self._around.me or primary is None:
            await self._around.move(group, p, target)
            return
        if not await self._reaching.linked(primary):
            raise NotNow(f"node {primary.hex()}, which serves it, isn't reached")
        told = await self._ask(primary, MOVE, (group, p, target), MOVE_S)
        if told:
            raise NoMove(str(told).removesuffix(f"; {NoMove.remedy}"))

    def _require_owner(self, opened: ReplicatedGroup, p: int, target: bytes) -> None:
        roster = self._membership.roster
        row, owner = roster.members.get(target), roster.owners.get(p)
        if opened.placed.owned and row is not None and owner is not None and row.cluster != owner.cluster:
            raise NoMove(
                f"cluster {owner.cluster!r} owns partition {p}, and the node is one of {row.cluster!r}: assign it"
            )

    def rebalance(self) -> int:
        """Bring what this node serves to where it is wanted, now. How many partitions that are."""
        return self.rebalancer.ask()

    # ---- looking ----------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Members, partitions by state, those at one copy and since when, links, versions: as this node knows them."""
        around, membership = self._around, self._membership
        links = around.links.statistics().links
        return {
            "node": around.me.hex(),
            "name": around.settings.name,
            "members": status.members(
                membership.roster.members.values(), around.me, around.detector, around.groups, self._release
            ),
            "groups": {name: status.partitions(one.carrier.state) for name, one in around.groups.items()},
            "links": [
                {
                    "peer": link.peer.hex(), "channel": link.group, "up": link.up, "waiting": link.queue_messages,
                    "ended": link.ended, "sent": link.sent_messages,
                }
                for link in links
            ],
            "clusters": self._clusters(),
            "rebalancing": dict(self.rebalancer.statistics()),
            "digest": membership.roster.digest.hex(),
            "speaks": list(membership.speaks),
            "spoken": membership.spoken,
            "not_understood": around.not_understood(),
            "agreed": sum(map(membership.exchange.knows, membership.nodes)) + 1,
        }  # fmt: skip

    def _release(self, node: bytes) -> str:
        """What a member's release is called, as it said when it greeted last; "" if it never did."""
        around = self._around
        if node == around.me:
            return around.settings.release
        versions = around.links.versions_of(node)
        return "" if versions is None else versions.release

    def _clusters(self) -> dict[str, dict[str, int]]:
        """By label: members, partitions that each owns, and of how many of them it doesn't give out numbers yet."""
        own, unsealed = self._membership.own.cluster, self._membership.sealing.waiting()
        counts: dict[str, Counter[str]] = {own: Counter(members=len(self._membership.nodes))}
        for row in self._membership.others:
            counts.setdefault(row.cluster, Counter())["members"] += 1
        for p in self._owned():
            owner = self._membership.roster.owners.get(p)
            label = own if owner is None else owner.cluster
            counts.setdefault(label, Counter())["partitions"] += 1
        return {
            label: {
                **{name: one[name] for name in ("members", "partitions")},
                "unsealed": unsealed.get(label, 0),
            }
            for label, one in counts.items()
        }

    # ---- what others ask --------------------------------------------------------------------------

    def joins(self, node: bytes, said: Sequence[Any]) -> list[Any] | str:
        """A node that isn't running yet asks to be told everything."""
        around, membership = self._around, self._membership
        row = joining.asked(membership.roster, node, said, around.me)
        if isinstance(row, str):
            return row
        membership.edit_soon([row])
        identity = read_identity(around.store.group(CLUSTER.name))
        joined = Joined(
            node=node,
            name=around.settings.name,
            secret=around.secret,
            partitions=identity.partitions if identity is not None else PARTITIONS,
            rows=(*membership.roster.members.values(), *membership.roster.owners.values()),
        )
        return joined.told()

    def received(self, peer: bytes, message: Sequence[Any]) -> None:
        """Another node asks, or answers."""
        match message:
            case [int(code), int(number), str(group), int(p), bytes(target), *_] if code == MOVE:
                self._moves(peer, number, group, p, target)
            case [int(code), int(number), bytes(node), *_] if code == SOUND:
                self._send(peer, (SOUNDS, number, status.sound(self._around.groups, node)))
            case [int(code), int(number), told, *_] if code in (MOVED, SOUNDS):
                waiter = self._asked.pop(number, None)
                if waiter is not None:
                    waiter.ran(1, None, told)

    def _moves(self, peer: bytes, number: int, group: str, p: int, target: bytes) -> None:
        def ended(_: int, error: Exception | None) -> None:
            self._send(peer, (MOVED, number, "" if error is None else str(error)))

        opened = self._around.groups.get(group)
        try:
            if opened is None:
                raise NoMove(f"group {group!r} isn't here")
            opened.placed.check(p)
            opened.flush()
            replica.move(opened.carrier.state, p, target, ended)
            opened.carrier.drain()
        except ReplicationError as error:
            ended(0, error)

    def _send(self, peer: bytes, message: Sequence[Any]) -> bool:
        return self._around.links.send(peer, None, tuple(message))

    async def _ask(self, peer: bytes, code: int, said: tuple[Any, ...], timeout: float) -> Any:
        if len(self._asked) >= ASKED_MAX:
            raise NotNow(f"{ASKED_MAX} questions wait for answers")
        self._number += 1
        number, waiter = self._number, Waiter()
        self._asked[number] = waiter
        try:
            if self._send(peer, (code, number, *said)):
                with trio.move_on_after(timeout):
                    return (await waiter.wait()).value
            raise NotNow(f"node {peer.hex()} gave no answer")
        finally:
            self._asked.pop(number, None)
