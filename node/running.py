"""A node from its data directory to its graceful end: opens the store, claims, serves, writes what is left, closes.

Everything that can be wrong with the directory, the certificate or an address is found before the first connection is
taken.
"""

import secrets
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, Literal, TextIO

import attrs
import structlog
import trio

from node.accounts.gateways import make_gateway
from node.accounts.numbercheck import NumberCheck
from node.accounts.outcomes import Replaced
from node.accounts.service import Accounts
from node.accounts.settings import AccountsSettings
from node.clock import SteadyClock
from node.hub.hub import Hub
from node.hub.listener import Listener
from node.hub.settings import HubSettings, ListenerSettings
from node.mail.rows import MailTables
from node.mail.settings import MailSettings
from node.mail.sweep import Sweep
from node.service import Service
from node.session import Session
from node.settings import SessionSettings
from node.tables import GROUPS, STORE_DIRECTORY, USERS
from node.takeover import take_over
from replication.claim import claim_alone
from replication.identity import ensure_identity
from replication.placement import Placement
from store.errors import StoreError, StoreFatal
from store.limits import StoreSettings
from store.store import Store

log = structlog.get_logger()

FINISH_S = 30.0
"""How long writing what is left may take at the end; a disk that is full stays full."""
WIPES_AGAIN_S = 5.0
"""How often wipes that were not finished before the last end are looked for, until there are none."""


@attrs.frozen(kw_only=True)
class NodeSettings:
    """Everything that a node is told. Paths are absolute."""

    data: Path
    listeners: tuple[ListenerSettings, ...]
    stop_grace_s: float = 10.0
    hub: HubSettings = attrs.Factory(HubSettings)
    session: SessionSettings = attrs.Factory(SessionSettings)
    mail: MailSettings = attrs.Factory(MailSettings)
    accounts: AccountsSettings = attrs.Factory(AccountsSettings)
    store: StoreSettings = attrs.Factory(StoreSettings)


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a node takes from the world besides its directory and its phones; tests bring a world of their own.

    output: where the printing gateway shows PINs. wall, monotonic: seconds. chance: makes PINs and jitter.
    listening: a socket for this listener that is there already; None: one is opened.
    """

    output: TextIO = attrs.Factory(lambda: sys.stdout)
    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    chance: Random = attrs.Factory(secrets.SystemRandom)
    committer: Literal["thread", "inline"] = "thread"
    listening: Callable[[ListenerSettings], socket.socket | None] = lambda _: None


@attrs.frozen
class Running:
    """A node that serves. `addresses`: (name of the listener, host, port)."""

    node: bytes
    addresses: tuple[tuple[str, str, int], ...]
    statistics: Callable[[], dict[str, Any]]
    service: Service
    hub: Hub[Session]
    listeners: tuple[Listener, ...] = ()


async def run_node(
    settings: NodeSettings,
    ready: Callable[[Running], None],
    stop: trio.Event,
    *,
    surroundings: Surroundings | None = None,
) -> None:
    """Serve until ``stop`` is set; then say bye to everybody, write what is left, and return.

    Args:
        ready: called once connections are taken.

    Raises:
        StoreError: the data directory can't be used, or (StoreFatal) can't be written safely any more.
        OSError: an address can't be listened on.
        DamagedIdentity, SecretRefused, DescriptorsTooFew
        Cancelled, it closes without a word; everything that was accepted is on disk all the same.
    """
    world = surroundings or Surroundings()
    take_over(settings.data)
    with Store.open(
        settings.data / STORE_DIRECTORY,
        GROUPS,
        settings=settings.store,
        clock=world.wall,
        committer=world.committer,
    ) as store:
        async with trio.open_nursery() as opening:
            opening.start_soon(store.run)
            identity = await ensure_identity(store.group("cluster"))
            claims = await claim_alone(store.group("cluster"), identity.node, identity.partitions)
            opening.cancel_scope.cancel()
        placement = Placement(identity.secret, identity.partitions)
        epochs = {partition: claim.epoch for partition, claim in claims.items()}
        users = store.group(USERS.name)
        users.epochs = lambda partition: epochs[partition] if partition is not None else 0
        tables = MailTables(users, placement.partition_of)
        clock = SteadyClock(world.wall, world.monotonic)
        service = Service(
            settings.session,
            settings.mail,
            tables,
            epochs.__getitem__,
            lambda user: service.accounts.may_be_registered(user),
            NumberCheck(settings.accounts.numbers),
            clock,
            world.monotonic,
        )
        accounts = service.accounts = Accounts(
            settings.accounts,
            users,
            placement.partition_of,
            make_gateway(
                settings.accounts,
                output=world.output,
                clock=lambda: int(world.wall() * 1000),
                random=world.chance,
            ),
            secret=blake2b(identity.secret, digest_size=32, person=b"ws-accounts").digest(),
            clock=clock,
            random=world.chance,
            on_replaced=service.replaced,
        )
        hub: Hub[Session] = Hub(settings.hub, service, world.monotonic, world.chance)
        if hub.connections_max < settings.hub.connections_max:
            log.info(
                "the limit on open files allows fewer connections than limits.connections_max",
                connections_max=hub.connections_max,
                asked=settings.hub.connections_max,
                remedy="raise ulimit -Hn, or LimitNOFILE= of the systemd unit",
            )
        hub.watch(store.eventfd, lambda: _delivered(store))
        try:
            listeners = [hub.listen(one, world.listening(one)) for one in settings.listeners]
            await _serve(
                settings, hub, service, accounts, tables, listeners, stop, store, ready, identity.node
            )
        finally:
            hub.close()
            if store.fatal is None and not _finish(service, store):
                log.error(
                    "not everything could be written at the end; no accepted message is lost, phones repeat the rest"
                )


async def _serve(
    settings: NodeSettings,
    hub: Hub[Session],
    service: Service,
    accounts: Accounts,
    tables: MailTables,
    listeners: list[Listener],
    stop: trio.Event,
    store: Store,
    ready: Callable[[Running], None],
    node: bytes,
) -> None:
    def statistics() -> dict[str, Any]:
        return {
            "hub": attrs.asdict(hub.statistics()),
            **service.statistics(),
            "accounts": accounts.statistics(),
            "store": store.statistics(),
        }

    sweep = Sweep(settings.mail, tables, service.mail, hub.soon)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(accounts.run)
        nursery.start_soon(sweep.run)
        nursery.start_soon(_finish_wipes, accounts, service, hub)
        await nursery.start(hub.run)
        addresses = tuple((one.settings.name, one.address[0], one.address[1]) for one in listeners)
        ready(Running(node, addresses, statistics, service, hub, tuple(listeners)))
        await stop.wait()
        log.info("stopping", connections=hub.statistics().connections)
        await hub.stop(settings.stop_grace_s)
        nursery.cancel_scope.cancel()


async def _finish_wipes(accounts: Accounts, service: Service, hub: Hub[Session]) -> None:
    """What a former end cut off: mail for devices that were replaced is ended before the new ones may log in."""
    while True:
        try:
            found = await accounts.unfinished_wipes()
        except StoreFatal:
            raise
        except StoreError as error:  # busy: nobody whose wipe is unfinished can log in meanwhile
            log.warning("unfinished_wipes_not_read", cause=str(error))
        else:
            if not found:
                return
            hub.soon(partial(_wipe, service, found))
        await trio.sleep(WIPES_AGAIN_S)


def _wipe(service: Service, found: list[Replaced]) -> None:
    for replaced in found:
        if replaced.user not in service.mail.wipes:
            service.replaced(replaced)


def _delivered(store: Store) -> None:
    store.deliver_results()


def _finish(service: Service, store: Store) -> bool:
    """Whether everything could be written. The hub has ended: nobody else is waiting for this thread."""
    until = time.monotonic() + FINISH_S

    def deliver() -> None:
        while not store.deliver_results() and time.monotonic() < until:
            time.sleep(0.001)

    return service.finish(deliver, lambda: time.monotonic() < until)
