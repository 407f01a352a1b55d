"""One member of a cluster: its store, its links to the others, what it thinks of them, and a replica of each group.

The members are a fixed list. `open_cluster` starts everything; peers may come up in any order, and a node may start
alone.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import attrs
import structlog
import trio

from replication.carrier import Carrier
from replication.core import replica, rows
from replication.core.settings import ReplicaSettings
from replication.core.state import ALIVE, DEAD, SILENT, UNKNOWN, ReplicaState
from replication.detector import Detector
from replication.detectorstate import SEND, STATE, DetectorSettings
from replication.forwarding import ANSWER, ASK
from replication.labels import Labels
from replication.placed import Placed
from replication.procedures import Procedure
from replication.ranking import ByHand, Ranking
from replication.ranking import Member as Ranked
from replication.replicated import ReplicatedGroup
from replication.schema import changes, declared
from replication.schema.keeper import Keeper
from replication.schema.schema import TRANSFORM, Schema
from replication.schema.transforming import transform
from replication.tables import REPLICA, remembered, replicated
from replication.zeromq.address import Address
from replication.zeromq.errors import MessageTooLarge
from replication.zeromq.keys import Keys, ensure_keys
from replication.zeromq.links import Links
from replication.zeromq.members import Member
from replication.zeromq.settings import LinkSettings
from store.limits import StoreSettings
from store.store import Store

log = structlog.get_logger()

TICK_MS = 100
"""Between two ticks of the replicas."""


def node_of(key: str) -> bytes:
    """A node's id: eight bytes that its public key (Z85) gives."""
    return blake2b(key.encode(), digest_size=8, person=b"ws-node").digest()


@attrs.frozen
class Neighbour:
    """A configured member: its public key (Z85), where its control link is, its server's label, its weight."""

    key: str
    address: str
    server: str = ""
    weight: int = 100

    @property
    def node(self) -> bytes:
        """Its id."""
        return node_of(self.key)


STORE: Final = StoreSettings(linger_ms=0, batch_rows=20_000)
"""What comes is gathered already, over each pass here and each frame of a peer's, so a commit waits for no company; and
the more of a backlog is in one commit, the fewer pages it writes for each record."""


@attrs.frozen(kw_only=True)
class ClusterSettings:
    """Everything that a member is told.

    Args:
        data: its directory: the store, and the file of its keys.
        name: the cluster's; all members must name the same.
        members: all of them, this one too.
    """

    data: Path
    name: str
    members: tuple[Neighbour, ...]
    replica: ReplicaSettings = attrs.Factory(ReplicaSettings)
    detector: DetectorSettings = attrs.Factory(DetectorSettings)
    links: LinkSettings = attrs.Factory(LinkSettings)
    store: StoreSettings = STORE


class Cluster:
    """Made by `open_cluster`. It is also what its links tell of messages (`zeromq.receiver.Receiver`)."""

    def __init__(
        self, settings: ClusterSettings, keys: Keys, store: Store, procedures: Mapping[str, Procedure]
    ) -> None:
        self.settings = settings
        self.store = store
        self.me = node_of(keys.public)
        self.groups: dict[str, ReplicatedGroup] = {}
        self._channels: dict[str, str] = {}
        self.schema: Schema  # set by `open_cluster`
        self.reports: dict[str, int] = {}
        self.too_large = 0
        self._procedures = procedures
        members = [Member(one.node, one.key, Address.parse(one.address)) for one in settings.members]
        self.links = Links(self.me, keys, members, self, settings.links)
        self.nodes = tuple(one.node for one in settings.members)
        self.detector = Detector(self.me, self.nodes, secrets.token_bytes(8), settings.detector, self.now())
        self._secret = blake2b(settings.name.encode(), digest_size=32, person=b"ws-cluster").digest()
        self._bell = trio.Event()

    def now(self) -> int:
        """Milliseconds of a clock that never goes back."""
        return int(time.monotonic() * 1000)

    def group(self, name: str) -> ReplicatedGroup:
        """A group's handle. Raises KeyError."""
        return self.groups[name]

    # ---- groups --------------------------------------------------------------------------------

    def start_group(
        self, placed: Placed, identity: bytes | None = None, tables: Mapping[str, bytes] | None = None
    ) -> ReplicatedGroup:
        """Take part in a group that the store has open. Its links must be running.

        Args:
            identity: of a group that was made at run time: nodes talk only about the same creation of it.
            tables: the same of its tables.

        Raises:
            LinkError: it doesn't.
        """
        group = self.store.group(placed.group.name)
        name = group.name
        channel = name if identity is None else f"{name}@{identity.hex()}"
        settings = attrs.evolve(self.settings.replica, copies=placed.copies, caches=placed.caches)
        state = ReplicaState(
            self.me,
            self.nodes,
            placed.partitions,
            self._ranked(placed),
            settings,
            incarnation=group.history.current.id,
            sequence=group.sequence,
            position=group.position,
            now=self.now(),
        )
        rows.restore(state, remembered(group.table(REPLICA.name)))
        if any(table.state.ram and table.state.listed for table in group.tables):
            rows.forget(state)
        self.links.open(channel)
        self._channels[channel] = name
        listener = _Listener(self, name)
        send = partial(self._send, channel)
        carrier = Carrier(state, group, send, listener, None if identity is None else Labels(tables or {}))
        opened = ReplicatedGroup(placed, group, carrier, send, self._ring, self.now, self._procedures)
        listener.group = opened
        self.groups[name] = opened
        for peer in state.peers:
            self._liveness(state, peer)
        return opened

    def place(self, placed: Placed) -> None:
        """Copies of a group go elsewhere from now on."""
        one = self.groups[placed.group.name]
        before, one.placed = one.placed, placed
        if (before.nodes, before.copies, before.spread) != (placed.nodes, placed.copies, placed.spread):
            state = one.carrier.state
            state.now = self.now()
            state.ranked = self._ranked(placed)
            state.settings = attrs.evolve(state.settings, copies=placed.copies)
            replica.placed(state)
            one.carrier.drain()

    def _ranked(self, placed: Placed) -> Callable[[int], Sequence[bytes]]:
        name = placed.group.name
        members = [Ranked(one.node, one.server or one.address, one.weight) for one in self.settings.members]
        by_hand = {name: ByHand(placed.nodes, in_order=not placed.spread)} if placed.nodes else {}
        return partial(Ranking(self._secret, members, by_hand).ranked, name)

    def stop_group(self, name: str) -> None:
        """Take no part in a group any more; the store still has it open."""
        one = self.groups.pop(name)
        one.close()
        for channel in [channel for channel, of in self._channels.items() if of == name]:
            del self._channels[channel]
            self.links.close(channel)

    # ---- what the links tell -------------------------------------------------------------------

    def received(self, peer: bytes, group: str | None, message: list[Any]) -> None:
        """A message came."""
        now = self.now()
        if group is None:
            self._judged(self.detector.received(peer, tuple(message), now))
            return
        self._judged(self.detector.heard(peer, now))
        one = self._on(group)
        if one is None:
            return
        if message[0] == ASK:
            one.asked(peer, message)
        elif message[0] == ANSWER:
            one.forwarding.answer(peer, message)
        else:
            state = one.carrier.state
            state.now = now
            replica.received(state, peer, message)
            one.carrier.drain()

    def passed(self) -> None:
        """One wake-up's messages have been handed over."""
        for one in tuple(self.groups.values()):
            one.flush()

    def connected(self, peer: bytes, group: str | None) -> None:
        """A link is up: greet."""
        one = self._on(group)
        if one is not None and peer in one.carrier.state.peers:
            one.carrier.state.peers[peer].hailed_at = -(10**12)
            self._tick_group(one)

    def disconnected(self, peer: bytes, group: str | None) -> None:
        """A link is down: what was asked over it won't be answered."""
        one = self._on(group)
        if one is not None:
            one.forwarding.gone(peer)

    def _on(self, channel: str | None) -> ReplicatedGroup | None:
        return self.groups.get(self._channels.get(channel, "")) if channel is not None else None

    # ---- running -------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Links, ticks and gathered writes, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.links.run)
            nursery.start_soon(self._tick)
            nursery.start_soon(self._watch)
            nursery.start_soon(self._flush)
            task_status.started()

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_MS / 1000)
            self.tick()

    def tick(self) -> None:
        """Time has passed."""
        for one in tuple(self.groups.values()):
            one.flush()  # what was written before a partition stands still for a move goes with it
            self._tick_group(one)
            one.tick()

    def _tick_group(self, one: ReplicatedGroup) -> None:
        state = one.carrier.state
        state.now = self.now()
        replica.tick(state)
        one.carrier.drain()

    async def _watch(self) -> None:
        while True:
            await trio.sleep(self.settings.detector.tick_ms / 1000)
            self._judged(self.detector.tick(self.now()))

    async def _flush(self) -> None:
        while True:
            await self._flush_once()

    async def _flush_once(self) -> None:
        await self._bell.wait()
        self._bell = trio.Event()
        for one in tuple(self.groups.values()):
            one.flush()

    def _ring(self) -> None:
        self._bell.set()

    # ---- within --------------------------------------------------------------------------------

    def _send(self, group: str | None, peer: bytes, message: Sequence[Any]) -> bool:
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
                self._send(None, effect[1], effect[2])
            elif effect[0] == STATE:
                log.info("peer", node=effect[1].hex(), state=effect[2])
                for one in self.groups.values():
                    one.carrier.state.now = self.now()
                    self._liveness(one.carrier.state, effect[1])
                    one.carrier.drain()

    def _liveness(self, state: ReplicaState, peer: bytes) -> None:
        if peer in state.peers and peer != self.me:
            replica.liveness(state, peer, _what(self.detector.state_of(peer)))

    def statistics(self) -> dict[str, Any]:
        """Everything that there is to count."""
        return {
            "node": self.me.hex(),
            "groups": {name: one.statistics() for name, one in self.groups.items()},
            "detector": self.detector.statistics(),
            "links": attrs.asdict(self.links.statistics()),
            "store": self.store.statistics(),
            "reports": dict(self.reports),
            "messages_too_large": self.too_large,
        }


class _Listener:
    """What a group's replica tells."""

    __slots__ = ("_cluster", "_name", "group")

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self.group: ReplicatedGroup | None = None

    def serve(self, partition: int, epoch: int) -> None:
        if self.group is not None:
            self.group.changed()

    def cease(self, partition: int) -> None:
        if self.group is not None:
            self.group.changed()

    def report(self, what: str, details: Mapping[str, Any]) -> None:
        reports = self._cluster.reports
        reports[what] = reports.get(what, 0) + 1
        shown = {
            name: value.hex() if isinstance(value, bytes) else str(value) for name, value in details.items()
        }
        log.warning(what, group=self._name, **shown)


def _what(state: str) -> int:
    return {"alive": ALIVE, "dead": DEAD, "unknown": UNKNOWN}.get(state, SILENT)


@asynccontextmanager
async def open_cluster(
    settings: ClusterSettings,
    groups: Sequence[Placed],
    *,
    procedures: Mapping[str, Procedure] | None = None,
    drive_store: bool = True,
    ready: Callable[[Cluster], None] = lambda _: None,
) -> AsyncIterator[Cluster]:
    """A member of a cluster, running inside the `async with`.

    Args:
        groups: what is replicated; each is opened with what a replica must remember.
        procedures: by name, what `ReplicatedGroup.call` runs on whichever node is primary.
        drive_store: deliver the store's results; False if a hub does.

    Raises:
        StoreError, MembersUnusable, AddressInUse, AddressUnusable, KeyFileExposed, KeyFileDamaged.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    keys = ensure_keys(settings.data)
    ordered = sorted((*groups, declared.placed(len(settings.members))), key=lambda placed: -placed.load_order)
    known = dict(procedures or {})
    known[declared.NAME] = changes.apply
    known[TRANSFORM] = partial(transform, known)
    with Store.open(
        settings.data / "store", [replicated(placed.group) for placed in ordered], settings=settings.store
    ) as store:
        cluster = Cluster(settings, keys, store, known)
        async with trio.open_nursery() as nursery:
            if drive_store:
                nursery.start_soon(store.run)
            await nursery.start(cluster.run)
            for placed in ordered:
                cluster.start_group(placed)
            keeper = Keeper(cluster, cluster.groups[declared.NAME])
            cluster.schema = Schema(
                cluster.groups[declared.NAME], keeper, lambda: cluster.groups, cluster.nodes
            )
            nursery.start_soon(keeper.run)
            ready(cluster)
            try:
                yield cluster
            finally:
                nursery.cancel_scope.cancel()
