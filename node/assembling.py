"""The parts of a node that are the same whether it stands alone or is a member of a cluster, put together on an open
store. Nothing runs yet. This module must never wait.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import attrs
import structlog

from node.accounts.gateway import Gateway
from node.accounts.gateways import make_gateway
from node.accounts.keeping import Keeping
from node.accounts.numbercheck import NumberCheck
from node.accounts.service import Accounts
from node.accounts.silent import SilentGateway
from node.clock import SteadyClock
from node.hub.hub import Hub
from node.mail.committing import Committing
from node.mail.rows import MailTables
from node.service import Service
from node.session import Session
from node.tables import USERS
from replication.cluster import Cluster
from replication.core.state import LIVE, SERVING
from replication.identity import Identity
from replication.placement import Placement
from store.store import Store

if TYPE_CHECKING:
    from node.running import NodeSettings, Surroundings

log = structlog.get_logger()


@attrs.frozen(kw_only=True)
class Parts:
    """What serves phones. node: this node's id. partition_of: user → partition. cluster: None if it stands alone."""

    node: bytes
    store: Store
    hub: Hub[Session]
    service: Service
    accounts: Accounts
    tables: MailTables
    partition_of: Callable[[int], int]
    cluster: Cluster | None = None

    def statistics(self) -> dict[str, Any]:
        """Of all of them."""
        found = {
            "hub": attrs.asdict(self.hub.statistics()),
            **self.service.statistics(),
            "accounts": self.accounts.statistics(),
            "store": self.store.statistics(),
        }
        return found if self.cluster is None else {**found, "cluster": summary(self.cluster)}


def summary(cluster: Cluster) -> dict[str, Any]:
    """What is counted of a member beside what routing counts: numbers, few and cheap."""
    parts = cluster.groups[USERS.name].carrier.state.parts
    me = cluster.me
    links = cluster.links.statistics().links
    return {
        "members": len(cluster.nodes),
        "members_alive": sum(map(cluster.is_alive, cluster.nodes)),
        "partitions": {
            "primary": sum(part.claim is not None and part.claim.primary == me for part in parts),
            "served": sum(part.phase == SERVING and not part.ceased for part in parts),
            "complete": sum(part.copy == LIVE for part in parts),
            "at_one_copy": sum(
                part.single_since is not None and part.claim is not None and part.claim.primary == me
                for part in parts
            ),
            "unserved": sum(part.unserved_since is not None for part in parts),
            "moving": sum(part.move_to is not None for part in parts),
        },
        "reports": dict(cluster.reports),
        "links_up": sum(link.up for link in links),
        "links_down": sum(not link.up for link in links),
        "links_waiting": sum(link.queue_messages for link in links),
        "messages_too_large": cluster.too_large,
        "not_understood": cluster.not_understood(),
        "rebalancing": dict(cluster.operate.rebalancer.statistics()),
    }


def assemble(
    settings: NodeSettings,
    world: Surroundings,
    store: Store,
    identity: Identity,
    epoch_of: Callable[[int], int],
    *,
    committing: Committing | None = None,
    keeping: Keeping | None = None,
    trusted_since: Callable[[int], int] | None = None,
    kind: Callable[..., Service] = Service,
) -> Parts:
    """
    Args:
        epoch_of: partition → the epoch of its claim.
        committing, keeping: who makes mail and accounts durable; None: the store's group, which has no copies.
        trusted_since: see `MailTables`.
        kind: makes the service.

    Raises:
        DescriptorsTooFew, SecretRefused
    """
    placement = Placement(identity.secret, identity.partitions)
    users = store.group(USERS.name)
    tables = MailTables(users, placement.partition_of, trusted_since, settings.mail.mailbox_messages_max)
    clock = SteadyClock(world.wall, world.monotonic)
    service: Service = kind(
        settings.session,
        settings.mail,
        tables,
        epoch_of,
        lambda user: settings.shadow or service.accounts.may_be_registered(user),
        NumberCheck(settings.accounts.numbers),
        clock,
        world.monotonic,
        committing=committing,
    )
    service.accounts = Accounts(
        settings.accounts,
        users,
        placement.partition_of,
        _gateway(settings, world),
        secret=blake2b(identity.secret, digest_size=32, person=b"ws-accounts").digest(),
        clock=clock,
        random=world.chance,
        on_replaced=service.replaced,
        keeping=keeping,
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
    return Parts(
        node=identity.node,
        store=store,
        hub=hub,
        service=service,
        accounts=service.accounts,
        tables=tables,
        partition_of=placement.partition_of,
    )


def _gateway(settings: NodeSettings, world: Surroundings) -> Gateway:
    if settings.shadow:
        return SilentGateway()
    return make_gateway(
        settings.accounts, output=world.output, clock=lambda: int(world.wall() * 1000), random=world.chance
    )


def _delivered(store: Store) -> None:
    store.deliver_results()
