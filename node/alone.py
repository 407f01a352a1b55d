"""A node that stands alone: it claims every partition at each start, and all that is durable is so on its own disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog
import trio

from node.assembling import Parts, assemble
from node.founding import require_alone
from node.serving import serve
from node.tables import GROUPS, STORE_DIRECTORY, USERS
from replication.claim import claim_alone
from replication.identity import Identity, ensure_identity
from replication.tables import CLUSTER
from store.store import Store

if TYPE_CHECKING:
    from node.hub.listener import Listener
    from node.running import NodeSettings, Surroundings

log = structlog.get_logger()

FINISH_S = 30.0
"""How long writing what is left may take at the end; a disk that is full stays full."""


async def run_alone(
    settings: NodeSettings,
    world: Surroundings,
    ready: Callable[[Parts, list[Listener]], None],
    stop: trio.Event,
) -> None:
    """See `running.run_node`."""
    with Store.open(
        settings.data / STORE_DIRECTORY,
        GROUPS,
        settings=settings.store,
        clock=world.wall,
        committer=world.committer,
    ) as store:
        require_alone(store)
        identity, epochs = await _claim(store)
        users = store.group(USERS.name)
        users.epochs = lambda partition: epochs[partition] if partition is not None else 0
        parts = assemble(settings, world, store, identity, epochs.__getitem__)
        hub = parts.hub
        try:
            listeners = [hub.listen(one, world.listening(one)) for one in settings.listeners]
            world.begin(parts)
            await serve(parts, stop, settings.stop_grace_s, lambda: ready(parts, listeners))
        finally:
            hub.close()
            if store.fatal is None and not _finish(parts):
                log.error(
                    "not everything could be written at the end; no accepted message is lost, phones repeat the rest"
                )


async def _claim(store: Store) -> tuple[Identity, dict[int, int]]:
    """Who this is, and the epochs of its claims."""
    group = store.group(CLUSTER.name)
    async with trio.open_nursery() as opening:
        opening.start_soon(store.run)
        identity = await ensure_identity(group)
        claims = await claim_alone(group, identity.node, identity.partitions)
        opening.cancel_scope.cancel()
    return identity, {partition: claim.epoch for partition, claim in claims.items()}


def _finish(parts: Parts) -> bool:
    """Whether everything could be written. The hub has ended: nobody else is waiting for this thread."""
    until = time.monotonic() + FINISH_S
    store = parts.store

    def deliver() -> None:
        while not store.deliver_results() and time.monotonic() < until:
            time.sleep(0.001)

    return parts.service.finish(deliver, lambda: time.monotonic() < until)
