"""A member of a cluster from its directory to its end.

`open_cluster` opens a store for it; `take_part` is for a host that has one open, with groups of its own in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType

import trio

from replication.cluster import Cluster
from replication.clustersettings import ClusterSettings
from replication.hosting import Host, Listen, NoHost
from replication.placed import Placed
from replication.procedures import Procedure
from replication.schema import changes, declared
from replication.schema.keeper import Keeper
from replication.schema.schema import TRANSFORM, Schema
from replication.schema.transforming import transform
from replication.tables import CLUSTER, replicated
from replication.zeromq.keys import Keys, ensure_keys
from store.schema import Group
from store.store import Store


def placed_groups(groups: Sequence[Placed], members: int) -> list[Placed]:
    """What a member replicates: these and the schema, in the order in which they are opened."""
    return sorted((*groups, declared.placed(members)), key=lambda placed: -placed.load_order)


def store_groups(settings: ClusterSettings, groups: Sequence[Placed]) -> tuple[Group, ...]:
    """What a store must have open for it, beside `tables.CLUSTER`: groups with what a replica must remember."""
    return tuple(replicated(placed.group) for placed in placed_groups(groups, len(settings.members)))


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
    with Store.open(
        settings.data / "store", (CLUSTER, *store_groups(settings, groups)), settings=settings.store
    ) as store:
        async with trio.open_nursery() as nursery:
            if drive_store:
                nursery.start_soon(store.run)
            async with take_part(
                settings, keys, store, groups, procedures=procedures, ready=ready
            ) as cluster:
                yield cluster
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def take_part(
    settings: ClusterSettings,
    keys: Keys,
    store: Store,
    groups: Sequence[Placed],
    *,
    host: Host | None = None,
    listen: Mapping[str, Listen] = MappingProxyType({}),
    procedures: Mapping[str, Procedure] | None = None,
    ready: Callable[[Cluster], None] = lambda _: None,
) -> AsyncIterator[Cluster]:
    """A member of a cluster on a store that is open, running inside the `async with`.

    Args:
        store: with `tables.CLUSTER` and `store_groups` open; whoever calls delivers its results, and does so within
            passes of the host.
        host: what the passes are, in which everything is handed to cores.
        listen: by the names of groups, what makes the host's own part of each.
        ready: called when the groups are started, before anything is served; channels are opened here.

    Raises:
        StoreError, MembersUnusable, AddressInUse, AddressUnusable.
    """
    known = dict(procedures or {})
    known[declared.NAME] = changes.apply
    known[TRANSFORM] = partial(transform, known)
    cluster = Cluster(settings, keys, store, known, host or NoHost())
    async with trio.open_nursery() as nursery:
        cluster.membership.know_others()
        await nursery.start(cluster.run)
        await cluster.membership.come()
        for placed in placed_groups(groups, len(cluster.nodes)):
            cluster.start_group(placed, listen=listen.get(placed.group.name))
        keeper = Keeper(cluster, cluster.groups[declared.NAME])
        cluster.schema = Schema(
            cluster.groups[declared.NAME], keeper, lambda: cluster.groups, lambda: cluster.nodes
        )
        nursery.start_soon(keeper.run)
        ready(cluster)
        try:
            yield cluster
        finally:
            nursery.cancel_scope.cancel()
