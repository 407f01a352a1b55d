"""Members of a cluster in one Trio loop: real stores, real links on loopback, short times; links that can be cut."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from replication.cluster import Cluster
from replication.clustersettings import SPEAKS, ClusterSettings, Neighbour
from replication.core.settings import ReplicaSettings
from replication.detectorstate import DetectorSettings
from replication.errors import GroupGone
from replication.membership import joining
from replication.opening import open_cluster
from replication.placed import Placed
from replication.replicated import ReplicatedGroup
from replication.tables import CLUSTER
from replication.zeromq.address import Address
from replication.zeromq.keys import ensure_keys
from store.limits import StoreSettings
from store.schema import Group, Table
from store.store import Store
from tests.replication.zeromq.cluster import HOST, QUICK, free_port, until

REPLICA = ReplicaSettings(
    start_wait_ms=800,
    pull_wait_ms=200,
    retry_ms=100,
    hail_ms=300,
    spare_wait_ms=200,
    check_ms=200,
    persist_ms=200,
    purge_ms=0,
)
DETECTOR = DetectorSettings(
    beat_ms=50, suspect_ms=500, confirm_ms=300, tick_ms=50, stride_ms=100, pause_ms=500
)
STORE = StoreSettings(map_bytes=64 << 20, linger_ms=0.5)


def table(name: str, **declared: Any) -> Table:
    """A replicated table that isn't partitioned, unless it says otherwise."""
    return Table(name, **{"partitioned": False, "tombstones": True, **declared})


def placed(name: str, *tables: Table, **where: Any) -> Placed:
    """A group of one table of its name, unless it says otherwise."""
    return Placed(group=Group(name, tables or (table(name),)), **where)


class Members:
    """Some members, a, b, c …; each may be stopped and started again on its directory."""

    def __init__(
        self,
        nursery: trio.Nursery,
        data: Path,
        names: str,
        groups: Sequence[Placed],
        procedures: Mapping[str, Any],
        replica: ReplicaSettings,
    ) -> None:
        self._nursery = nursery
        self._data = data
        self._groups = tuple(groups)
        self._procedures = procedures
        self._replica = replica
        self._scopes: dict[str, tuple[trio.CancelScope, trio.Event]] = {}
        self._cut: set[frozenset[bytes]] = set()
        self.changes: dict[str, Any] = {}
        """Of `ClusterSettings`, for those that are started from now on."""
        self._joined: dict[str, dict[str, Any]] = {}
        self.up: dict[str, Cluster] = {}
        neighbours = {}
        for name in names:
            (data / name).mkdir(exist_ok=True)
            key = ensure_keys(data / name).public
            neighbours[name] = Neighbour(key, f"{HOST}:{free_port()}", server=name)
        self.neighbours = neighbours

    # ---- who is there --------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Cluster:
        return self.up[name]

    def node(self, name: str) -> bytes:
        """A member's id."""
        return self._joined[name]["node"] if name in self._joined else self.neighbours[name].node

    def name(self, node: bytes | None) -> str:
        """Whose id it is."""
        return next(name for name in (*self.neighbours, *self._joined) if self.node(name) == node)

    def groups(self, name: str) -> list[ReplicatedGroup]:
        """A group's handles, of all who are up."""
        return [cluster.group(name) for cluster in self.up.values()]

    async def start(self, names: str) -> None:
        """Start some of them, at the same time."""
        async with trio.open_nursery() as nursery:
            for name in names:
                nursery.start_soon(self._start, name)

    async def _start(self, name: str) -> None:
        await self._nursery.start(self._live, name)

    async def _live(self, name: str, task_status: trio.TaskStatus[None]) -> None:
        settings = ClusterSettings(
            data=self._data / name,
            name="members",
            replica=self._replica,
            detector=DETECTOR,
            links=QUICK,
            store=STORE,
            **{"members": tuple(self.neighbours.values()), **self.changes, **self._joined.get(name, {})},
        )
        scope, ended = trio.CancelScope(), trio.Event()
        try:
            with scope:
                async with open_cluster(
                    settings, self._groups, procedures=self._procedures, ready=self._wire
                ) as cluster:
                    self.up[name] = cluster
                    self._scopes[name] = (scope, ended)
                    task_status.started()
                    await trio.sleep_forever()
        finally:
            self.up.pop(name, None)
            ended.set()

    async def join(
        self, name: str, via: str, *, weight: int = 100, cluster: str = "", run: bool = True
    ) -> None:
        """A node that nobody has heard of is invited, asks, and is started, if it is to run at once."""
        data = self._data / name
        data.mkdir()
        keys = ensure_keys(data)
        await self.up[via].operate.invite(keys.public, server=name, weight=weight, cluster=cluster)
        one = self.up[via].membership.own
        joined = await joining.ask(
            keys,
            one.key,
            Address.parse(one.address),
            address=f"{HOST}:{free_port()}",
            speaks=SPEAKS,
            settings=QUICK,
        )
        with Store.open(data / "store", (CLUSTER,), settings=STORE) as store:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.run)
                await joining.keep(store.group(CLUSTER.name), joined)
                nursery.cancel_scope.cancel()
        self._joined[name] = {"node": joined.node, "secret": joined.secret, "members": ()}
        if run:
            await self.start(name)

    async def stop(self, names: str) -> None:
        """Stop some of them."""
        for name in names:
            scope, ended = self._scopes.pop(name)
            scope.cancel()
            await ended.wait()

    # ---- the network ---------------------------------------------------------------------------

    def _wire(self, cluster: Cluster) -> None:
        send = cluster.links.send

        def passes(peer: bytes, group: str | None, message: Any) -> bool:
            # What is cut is lost, and nobody is told.
            return frozenset((cluster.me, peer)) in self._cut or send(peer, group, message)

        cluster.links.send = passes  # type: ignore[method-assign]

    def split(self, one: Iterable[str], other: Iterable[str]) -> None:
        """Nothing passes between two sides any more."""
        self._cut |= {frozenset((self.node(a), self.node(b))) for a in one for b in other}

    def heal(self) -> None:
        """Everything passes again."""
        self._cut.clear()

    # ---- what must come about ------------------------------------------------------------------

    async def ready(self, *names: str) -> None:
        """Until all who are up have these groups, and each partition is served by somebody they reach."""
        for name in names:
            with trio.fail_after(60):
                while not await self._is_ready(name):  # noqa: ASYNC110
                    await trio.sleep(0.01)

    async def _is_ready(self, name: str) -> bool:
        # A node that comes back may still have a group of that name that was deleted meanwhile.
        try:
            for group in self.groups(name):
                await group.wait_ready()
            # Somebody really serves: who is reached may still be gathering.
            partitions = self.groups(name)[0].placed.partitions
            return all(self.server(name, p) is not None for p in range(partitions))
        except (KeyError, GroupGone):
            return False

    def server(self, name: str, p: int = 0) -> str | None:
        """The member that serves a partition, if there is exactly one and all know it."""
        serving = [one for one, cluster in self.up.items() if cluster.group(name).serves(p)]
        if len(serving) != 1 or any(group.primary(p) != self.node(serving[0]) for group in self.groups(name)):
            return None
        return serving[0]

    def other(self, name: str, p: int = 0) -> str:
        """One that doesn't serve it."""
        serving = self.server(name, p)
        return next(one for one in self.up if one != serving)

    async def equal(self, name: str, table: str, *, on: str = "") -> dict[Any, Any]:
        """Until the copies of some members, or all, are live and equal; gives what is in them."""

        def copies() -> list[Any]:
            groups = [self.up[one].group(name) for one in on or self.up]
            if not all(group.is_live(p) for group in groups for p in range(group.placed.partitions)):
                return [0, 1]
            return [list(group.table(table).range(limit=100_000)) for group in groups]

        await until(lambda: all(one == copies()[0] for one in copies()))
        return dict(copies()[0])


@contextlib.asynccontextmanager
async def members_of(
    data: Path,
    names: str,
    *groups: Placed,
    procedures: Mapping[str, Any] | None = None,
    start: str | None = None,
    **replica: Any,
) -> AsyncIterator[Members]:
    """Members, running and ready; all stopped at the end."""
    async with trio.open_nursery() as nursery:
        members = Members(nursery, data, names, groups, procedures or {}, attrs.evolve(REPLICA, **replica))
        await members.start(names if start is None else start)
        if start is None:
            await members.ready("schema", *(one.group.name for one in groups))
        yield members
        nursery.cancel_scope.cancel()
