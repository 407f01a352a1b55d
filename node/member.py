"""A node that is a member of a cluster: it serves the partitions that it is primary of, and is the edge of its phones
for all others. Every partition has a copy on another member, if there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import attrs
import structlog
import trio

from node.accounts.keeping import Replicated as Keeping
from node.assembling import Parts, assemble
from node.founding import Place, name_of, require_member
from node.hub import handing
from node.mail.reconcile import Reconcile
from node.mail.replicated import Replicated as Committing
from node.memberservice import MemberService
from node.partaking import Partaking
from node.serving import finish_wipes, serve
from node.tables import STORE_DIRECTORY, USERS
from replication.cluster import Cluster
from replication.identity import Identity, read_identity
from replication.opening import store_groups, take_part
from replication.placed import Placed
from replication.placement import PARTITIONS, Placement
from replication.replicated import ReplicatedGroup
from replication.rounds import go_round
from replication.tables import CLUSTER
from replication.zeromq.keys import ensure_keys
from store.directory import make_directory
from store.store import Store

if TYPE_CHECKING:
    from node.hub.listener import Listener
    from node.running import NodeSettings, Surroundings

log = structlog.get_logger()

COPIES = 2
TICK_S = 0.1
"""Between two looks of the router at what waits."""
WIPES_S = 1.0
"""How soon a partition that has come is looked through for wipes that its former primary didn't finish."""
FINISH_S = 10.0
"""How long writing what is left may take at the end."""
FINISH_HANDED_S = 2.0
"""The same where the next process waits for it: what it doesn't write is asked for again, and nothing else is lost."""
FINISH_STEP_S = 0.02
REMOVED_S = 1.0
"""Between the end of its membership and the node's own."""


async def run_member(
    settings: NodeSettings,
    world: Surroundings,
    ready: Callable[[Parts, list[Listener]], None],
    stop: trio.Event,
) -> None:
    """See `running.run_node`."""
    member = settings.member
    assert member is not None
    make_directory(settings.data)
    keys = ensure_keys(settings.data)
    holder: list[Partaking] = []
    users = attrs.evolve(
        USERS, reconcile=Reconcile(lambda p: holder[0].is_mine(p), lambda p: holder[0].has_news(p))
    )
    placed = Placed(group=users, partitions=PARTITIONS, copies=COPIES, caches=True, owned=True)
    with Store.open(
        settings.data / STORE_DIRECTORY,
        (CLUSTER, *store_groups(member.cluster, (placed,))),
        settings=attrs.evolve(settings.store, linger_ms=0),
        clock=world.wall,
        committer=world.committer,
    ) as store:
        identity = _identity(store, configured=bool(member.cluster.members))
        placed = attrs.evolve(placed, partitions=identity.partitions)
        place = Placement(identity.secret, identity.partitions).partition_of
        partaking = Partaking(identity.node, identity.partitions, place, clients_move=member.clients_move)
        holder.append(partaking)
        listen = partial(_take_up, settings, world, store, identity, partaking)
        async with trio.open_nursery() as opening:
            delivering = await opening.start(_deliver, store, partaking)
            async with take_part(
                attrs.evolve(member.cluster, node=identity.node, secret=identity.secret, name=name_of(store)),
                keys,
                store,
                (placed,),
                host=partaking,
                listen={USERS.name: listen},
                ready=partaking.opened,
            ) as cluster:
                await _say_where(cluster, member.place)
                delivering.cancel()
                await _serve(settings, world, partaking, cluster, ready, stop)


async def _deliver(
    store: Store, partaking: Partaking, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    """Results of the store, until the hub does it."""
    with trio.CancelScope() as scope:
        task_status.started(scope)
        while True:
            await trio.lowlevel.wait_readable(store.eventfd)
            partaking.deliver(store)


async def _say_where(cluster: Cluster, place: Place | None) -> None:
    """What the configuration says of this node is what everybody knows of it."""
    membership = cluster.membership
    if place is None:
        return
    said, own = place.said(), membership.own
    if any(getattr(own, name) != value for name, value in said.items()):
        await membership.edit([membership.roster.edited(own.node, own.node, **said)])


def _identity(store: Store, *, configured: bool) -> Identity:
    if not configured:
        return require_member(store)
    identity = read_identity(store.group(CLUSTER.name))
    assert identity is not None, "whoever names the members has made the directories"
    return identity


def _take_up(
    settings: NodeSettings,
    world: Surroundings,
    store: Store,
    identity: Identity,
    partaking: Partaking,
    group: ReplicatedGroup,
) -> Partaking:
    """Put together what serves phones, on this replica."""
    assert settings.member is not None
    parts = assemble(
        settings,
        world,
        store,
        identity,
        partaking.epoch_of,
        committing=Committing(group.carrier),
        keeping=Keeping(group.carrier, partaking.is_enough),
        trusted_since=partaking.kept_since,
        kind=partial(MemberService, ways=partaking, routing=settings.member.routing),
    )
    assert isinstance(parts.service, MemberService)
    partaking.take_up(group, parts, parts.service)
    return partaking


async def _serve(
    settings: NodeSettings,
    world: Surroundings,
    partaking: Partaking,
    cluster: Cluster,
    ready: Callable[[Parts, list[Listener]], None],
    stop: trio.Event,
) -> None:
    parts = partaking.parts
    hub = parts.hub
    ending = _Ending()
    try:
        listeners = [hub.listen(one, world.listening(one)) for one in settings.listeners]
        world.begin(parts)
        hub.watch(cluster.links.lookout.lend(), partial(_look, cluster))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(go_round, partial(_tick, partaking), name=_tick)
            nursery.start_soon(go_round, partial(_look_for_wipes, partaking), name=_look_for_wipes)
            nursery.start_soon(_until_removed, cluster, stop)
            nursery.start_soon(_hand_over, parts, cluster, settings, stop, ending)
            await serve(
                parts,
                ending.handed,
                settings.stop_grace_s,
                lambda: ready(parts, listeners),
                served=partaking.serves,
            )
            nursery.cancel_scope.cancel()
    finally:
        hub.close()
        cluster.links.lookout.take_back()
    if not await _finish(parts, cluster, ending.finish_s):
        log.error(
            "not everything could be written at the end; no accepted message is lost, phones repeat the rest"
        )
    # Of this life; a node that leaves has moved most.
    log.info("stood_still", **cluster.operate.rebalancer.holds())
    if not cluster.membership.removed.is_set():
        await cluster.handing.say_gone()


def _look(cluster: Cluster) -> None:
    """What other nodes say is handed over in the passes in which phones are heard: one wake-up, and what is said
    to a phone in one write."""
    cluster.links.look()


@attrs.define
class _Ending:
    """handed: nothing is left to be done before phones are sent away."""

    handed: trio.Event = attrs.Factory(trio.Event)
    finish_s: float = FINISH_S


async def _hand_over(
    parts: Parts, cluster: Cluster, settings: NodeSettings, stop: trio.Event, ending: _Ending
) -> None:
    """Asked to stop, it serves its phones while others take over what it is primary of; then they are sent away. If
    another process is to have the phones, others have taken over before they were taken out."""
    await stop.wait()
    if handing.was_emptied(parts.hub):
        ending.finish_s = FINISH_HANDED_S
    else:
        seconds = cluster.operate.rebalancer.settings.stop_moves_s
        if seconds and not cluster.membership.removed.is_set():
            began = trio.current_time()
            done = await cluster.handing.hand_over(seconds, settings.stop_grace_s + FINISH_S)
            took_ms = round(1000 * (trio.current_time() - began))
            log.info("handed_over", partitions=done.moved, left=done.left, took_ms=took_ms)
    ending.handed.set()


async def _until_removed(cluster: Cluster, stop: trio.Event) -> None:
    await cluster.membership.removed.wait()
    log.warning("this node is no member of its cluster any more: it stops")
    await trio.sleep(REMOVED_S)  # whoever let it leave is told so
    stop.set()


async def _tick(partaking: Partaking) -> None:
    await trio.sleep(TICK_S)
    partaking.tick()


async def _look_for_wipes(partaking: Partaking) -> None:
    await trio.sleep(WIPES_S)
    if partaking.wipes_due:
        partaking.wipes_due = False
        parts = partaking.parts
        await finish_wipes(parts.accounts, parts.service, parts.hub)


async def _finish(parts: Parts, cluster: Cluster, seconds: float) -> bool:
    """Write what is left, to the heirs, too. The hub has ended: results of the store are delivered here."""
    with trio.move_on_after(seconds):
        while not parts.service.has_written:
            await _finish_step(parts, cluster)
    return parts.service.has_written


async def _finish_step(parts: Parts, cluster: Cluster) -> None:
    with cluster.within():
        parts.service.hasten()
        parts.store.deliver_results()
    await trio.sleep(FINISH_STEP_S)
