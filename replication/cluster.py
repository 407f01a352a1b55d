"""One member of a cluster: its links to the others, what it thinks of them, and a replica of each group.

Members come and go (`membership`). `opening` starts everything; peers may come up in any order, a node may start alone.
Whatever is handed to a core is handed over within a pass of the host (`hosting`), so that who serves phones is never
surprised in the middle of something.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import blake2b
from typing import Any

import attrs
import structlog
import trio

from replication import detectorstate
from replication.carrier import Carrier
from replication.clustersettings import ClusterSettings, node_of
from replication.control import Control
from replication.core import replica, rows
from replication.core.state import ReplicaState
from replication.detector import Detector
from replication.detectorstate import BEAT, DEAD, LOOK, RESTARTED, SEND, STATE
from replication.forwarding import ASK
from replication.hearing import Hearing
from replication.hosting import Channel, Host, Listen
from replication.labels import Labels
from replication.listening import GroupListener
from replication.membership.apart import Apart
from replication.membership.handing import Handing
from replication.membership.membership import Membership
from replication.membership.operating import Operating
from replication.membership.rebalancing import Rebalancer
from replication.placed import Placed
from replication.procedures import Procedure
from replication.replicated import ReplicatedGroup
from replication.rounds import go_round
from replication.schema import declared
from replication.schema.schema import Schema
from replication.tables import REPLICA, remembered
from replication.zeromq.errors import MessageTooLarge
from replication.zeromq.keys import Keys
from replication.zeromq.links import Links
from replication.zeromq.versions import Versions
from store.store import Store

log = structlog.get_logger()

TICK_MS = 100
"""Between two ticks of the replicas."""


class Cluster:
    """Made by `opening`."""

    def __init__(
        self,
        settings: ClusterSettings,
        keys: Keys,
        store: Store,
        procedures: Mapping[str, Procedure],
        host: Host,
    ) -> None:
        self.settings = settings
        self.store = store
        self.me = settings.node or node_of(keys.public)
        self._host = host
        self.groups: dict[str, ReplicatedGroup] = {}
        self._hearing = Hearing(self, host, self._judged)
        self.schema: Schema  # set by `opening.take_part`
        self.reports: dict[str, int] = {}
        self.too_large = 0
        self._procedures = procedures
        self.secret = (
            settings.secret or blake2b(settings.name.encode(), digest_size=32, person=b"ws-cluster").digest()
        )
        self.membership = Membership(self, keys.public)
        versions = Versions(settings.speaks, settings.release)
        self.links = Links(
            self.me,
            keys,
            self.membership.linked(),
            self._hearing,
            settings.links,
            joins=self._joins,
            called=self.membership.far.called,
            refused=self._refused,
            versions=versions,
        )
        self.detector = Detector(self.me, self.nodes, secrets.token_bytes(8), settings.detector, self.now())
        self._bell = trio.Event()
        self.operate = Operating(self, Rebalancer(self, settings.membership))
        self.handing = Handing(self, self.operate.rebalancer)
        self.control = Control(self, self._judged)
        self._apart = Apart(self, versions)

    @property
    def nodes(self) -> tuple[bytes, ...]:
        """The ids of all members, this one too. They come and go."""
        return self.membership.nodes

    def now(self) -> int:
        """Milliseconds of a clock that never goes back."""
        return int(time.monotonic() * 1000)

    def group(self, name: str) -> ReplicatedGroup:
        """A group's handle. Raises KeyError."""
        return self.groups[name]

    # ---- groups --------------------------------------------------------------------------------

    def start_group(
        self,
        placed: Placed,
        identity: bytes | None = None,
        tables: Mapping[str, bytes] | None = None,
        listen: Listen | None = None,
    ) -> ReplicatedGroup:
        """Take part in a group that the store has open. Its links must be running.

        Args:
            identity: of a group that was made at run time: nodes talk only about the same creation of it.
            tables: the same of its tables.
            listen: makes the host's part of it, if it keeps something of it in memory.

        Raises:
            LinkError: it doesn't.
        """
        group = self.store.group(placed.group.name)
        name = group.name
        channel = name if identity is None else f"{name}@{identity.hex()}"
        settings = attrs.evolve(self.settings.replica, copies=placed.copies, caches=placed.caches)
        state = ReplicaState(
            self.me,
            (*self.nodes, *self.membership.far.engaged) if placed.owned else self.nodes,
            placed.partitions,
            self.membership.ranked(placed),
            settings,
            incarnation=group.history.current.id,
            sequence=group.sequence,
            position=group.position,
            now=self.now(),
        )
        self.membership.use(placed, state)
        rows.restore(state, remembered(group.table(REPLICA.name)))
        if any(table.state.ram and table.state.listed for table in group.tables):
            rows.forget(state)
        self.links.open(channel)
        self._hearing.groups_on[channel] = name
        listener = GroupListener(name, self.reports, self.membership.far.claimed)
        send = partial(self._send, channel)
        carrier = Carrier(state, group, send, listener, None if identity is None else Labels(tables or {}))
        opened = ReplicatedGroup(placed, group, carrier, send, self._ring, self.now, self._procedures)
        listener.group = opened
        if listen is not None:
            listener.hosted = listen(opened)
        carrier.claimed = listener.claimed
        self.groups[name] = opened
        for peer in state.peers:
            self.handing.liveness(state, peer)
        return opened

    def place(self, placed: Placed) -> None:
        """Copies of a group go elsewhere from now on."""
        one = self.groups[placed.group.name]
        before, one.placed = one.placed, placed
        if (before.nodes, before.copies, before.spread) != (placed.nodes, placed.copies, placed.spread):
            with self.within():
                state = one.carrier.state
                state.now = self.now()
                state.ranked = self.membership.ranked(placed)
                state.settings = attrs.evolve(state.settings, copies=placed.copies)
                replica.placed(state)
                one.carrier.drain()

    def met(self, state: ReplicaState, peer: bytes) -> None:
        """A replica has another peer: what is thought of it."""
        self.handing.liveness(state, peer)

    def resized(self) -> None:
        """There are more members than before, or fewer: everybody has a copy of the schema."""
        if declared.NAME in self.groups:
            self.place(declared.placed(len(self.nodes)))

    def parted(self, peer: bytes) -> None:
        """A peer is about to be none any more."""
        self._hearing.parted(peer)

    def stop_group(self, name: str) -> None:
        """Take no part in a group any more; the store still has it open."""
        one = self.groups.pop(name)
        with self.within():
            one.close()
        for channel in [channel for channel, of in self._hearing.groups_on.items() if of == name]:
            del self._hearing.groups_on[channel]
            self.links.close(channel)

    # ---- channels of the host ------------------------------------------------------------------

    def open_channel(
        self, name: str, channel: Channel, *, messages_max: int | None = None, bytes_max: int | None = None
    ) -> None:
        """Open links to every peer that has a channel of this name open, too, now or later. The links must be running.

        Args:
            messages_max, bytes_max: what may wait for one peer; None: as for groups.

        Raises:
            GroupOpen, TooManyGroups, AddressInUse, AddressUnusable, LinksClosed.
        """
        self.links.open(name, messages_max=messages_max, bytes_max=bytes_max)
        self._hearing.channels[name] = channel

    def close_channel(self, name: str) -> None:
        """Close it; what is queued is lost. Raises GroupUnknown."""
        self.links.close(name)
        del self._hearing.channels[name]

    def send(self, peer: bytes, name: str, message: Sequence[Any] | bytes) -> bool:
        """Queue a message on a channel. Whether there was room, and a link; True is no promise that it arrives.

        Raises:
            MessageTooLarge, MessageNotSendable: our own mistakes; never for what a peer does.
        """
        if self.membership.others and self.membership.far.is_far(peer):
            self.membership.far.use(peer)
        return self.links.send(peer, name, message)

    def reset(self, peer: bytes, name: str) -> None:
        """What this peer says on a channel makes no sense: its link is made anew."""
        self.links.reset(peer, name)

    def is_alive(self, peer: bytes) -> bool:
        """Whether a member is there: this node itself, or one that is heard and hears us."""
        return peer == self.me or (peer in self.nodes and self.detector.state_of(peer) == detectorstate.ALIVE)

    # ---- running -------------------------------------------------------------------------------

    @contextmanager
    def within(self) -> Iterator[None]:
        """A pass of the host: around whatever is done to a group by a task that is in none."""
        self._host.begin()
        try:
            yield
        finally:
            self._host.end()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Links, ticks and gathered writes, until cancelled.

        Raises:
            VersionsApart: this node has just started with a release that is too far from that of the others.
        """
        async with trio.open_nursery() as nursery:
            await nursery.start(self.links.run)
            nursery.start_soon(go_round, self._tick, name=self._tick)
            nursery.start_soon(self._watch)
            nursery.start_soon(self._flush)
            nursery.start_soon(go_round, self.operate.run, name=self.operate.run)
            task_status.started()

    async def _tick(self) -> None:
        await trio.sleep(TICK_MS / 1000)
        self.tick()

    def tick(self) -> None:
        """Time has passed."""
        with self.within():
            for one in tuple(self.groups.values()):
                one.flush()  # what was written before a partition stands still for a move goes with it
                self._tick_group(one)
                one.tick()
            self.membership.step()

    def _tick_group(self, one: ReplicatedGroup) -> None:
        state = one.carrier.state
        state.now = self.now()
        replica.tick(state)
        one.carrier.drain()

    async def _watch(self) -> None:
        while True:
            await self._watch_once()

    async def _watch_once(self) -> None:
        await trio.sleep(self.settings.detector.tick_ms / 1000)
        with self.within():
            self._judged(self.detector.tick(self.now()))
        self.membership.refusal.look()
        self._apart.look()

    async def _flush(self) -> None:
        while True:
            await self._flush_once()

    async def _flush_once(self) -> None:
        await self._bell.wait()
        self._bell = trio.Event()
        with self.within():
            self.flush()

    def flush(self) -> None:
        """Hand over to the store what was gathered. A host that writes to groups does so before its pass ends."""
        for one in tuple(self.groups.values()):
            one.flush()

    def _ring(self) -> None:
        self._bell.set()

    async def move(self, group: str, p: int, target: bytes) -> None:
        """Move a partition that is served here to another member.

        Raises:
            NoMove, ClaimLost, UnknownMember, NotOnePartition, GroupGone: it stays where it is.
            KeyError: there is no such group.
            Cancelled, it stops waiting; the move may happen all the same.
        """
        with self.within():
            waiter = self.groups[group].start_move(p, target)
        await waiter.wait()

    # ---- within --------------------------------------------------------------------------------

    def _send(self, group: str | None, peer: bytes, message: Sequence[Any]) -> bool:
        if message[0] == ASK and self.links.is_resting(peer):
            self.membership.far.use(peer)
        try:
            return self.links.send(peer, group, tuple(message))
        except MessageTooLarge:
            self.too_large += 1
            if group is not None and message[0] == ASK:
                raise  # whoever asks is told
            return False  # the stream begins anew, and the peer pulls what it lacks in pieces

    def _judged(self, effects: Iterable[tuple[Any, ...]]) -> None:
        for effect in effects:
            if effect[0] == SEND:
                beats = effect[2][0] == BEAT
                self._send(None, effect[1], (*effect[2], *self.membership.beating()) if beats else effect[2])
            elif effect[0] == STATE:
                self.membership.judged(effect[1])
                by = {"by": "refusal"} if effect[2] == DEAD and self.detector.has_ended(effect[1]) else {}
                log.info("peer", node=effect[1].hex(), state=effect[2], **by)
                self.handing.judged(effect[1], effect[2])
            elif effect[0] == LOOK:
                self.links.knock(effect[1], partial(self._knocked, *effect[1:]))
            elif effect[0] == RESTARTED:
                self.handing.judged(effect[1], None)

    def _refused(self, peer: bytes) -> bool:
        """Nobody listens where a peer did: whether it is dead. Who has said that it ends is taken at its word, and
        comes back soon; who is about to have another key binds its entrances anew."""
        if self.handing.has_gone(peer) or self.membership.changes_key(peer):
            return False
        with self.within():
            self._judged(self.detector.refused(peer, self.now()))
        return peer in self.detector.in_state(DEAD)

    def _knocked(self, target: bytes, asker: bytes, nonce: int, was_refused: bool | None) -> None:
        if was_refused is None or (was_refused and self.membership.changes_key(target)):
            return
        with self.within():
            self._judged(self.detector.knocked(target, asker, nonce, was_refused))

    def _joins(self, node: bytes, said: list[Any]) -> list[Any] | str:
        with self.within():
            return self.operate.joins(node, said)

    def not_understood(self) -> dict[str, dict[str, int]]:
        """What newer releases say and this one doesn't know: by channel, by code, how often. What channels of the host
        carry is the host's to count."""
        heard = {"links": self.links.unknown, "control": self.control.unknown.counts}
        heard |= {name: one.carrier.state.unknown.counts for name, one in self.groups.items()}
        return {name: dict(counts) for name, counts in heard.items() if counts}

    def statistics(self) -> dict[str, Any]:
        """Everything that there is to count."""
        return {
            "node": self.me.hex(),
            "groups": {name: one.statistics() for name, one in self.groups.items()},
            "membership": self.membership.statistics(),
            "detector": self.detector.statistics(),
            "links": attrs.asdict(self.links.statistics()),
            "not_understood": self.not_understood(),
            "store": self.store.statistics(),
            "reports": dict(self.reports),
            "messages_too_large": self.too_large,
        }
