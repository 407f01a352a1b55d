"""A node from its data directory to its graceful end: what it is told, what it tells, and which way it runs.

Everything that can be wrong with the directory, the certificate or an address is found before the first connection is
taken.
"""

import secrets
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Literal, TextIO

import attrs
import structlog
import trio

from node.accounts.settings import AccountsSettings
from node.alone import run_alone
from node.assembling import Parts
from node.hub.hub import Hub
from node.hub.listener import Listener
from node.hub.settings import HubSettings, ListenerSettings
from node.mail.settings import MailSettings
from node.member import run_member
from node.membersettings import MemberSettings
from node.service import Service
from node.serving import addresses_of
from node.session import Session
from node.settings import SessionSettings
from node.takeover import take_over
from replication.cluster import Cluster
from store.limits import StoreSettings

log = structlog.get_logger()


@attrs.frozen(kw_only=True)
class NodeSettings:
    """Everything that a node is told. Paths are absolute. shadow: instead of phones of its own it is said what phones
    say to another node (node/shadow): everybody counts as registered, and no PIN goes anywhere. member: None if it
    stands alone."""

    data: Path
    listeners: tuple[ListenerSettings, ...]
    stop_grace_s: float = 10.0
    hub: HubSettings = attrs.Factory(HubSettings)
    session: SessionSettings = attrs.Factory(SessionSettings)
    mail: MailSettings = attrs.Factory(MailSettings)
    accounts: AccountsSettings = attrs.Factory(AccountsSettings)
    store: StoreSettings = attrs.Factory(StoreSettings)
    shadow: bool = False
    member: MemberSettings | None = None


@attrs.frozen(kw_only=True)
class Surroundings:
    """What a node takes from the world besides its directory and its phones; tests bring a world of their own.

    output: where the printing gateway shows PINs. wall, monotonic: seconds. chance: makes PINs and jitter.
    listening: a socket for this listener that is there already; None: one is opened. begin: called with the parts when
    the ports are open, before the first pass; what it raises ends the node.
    """

    output: TextIO = attrs.Factory(lambda: sys.stdout)
    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    chance: Random = attrs.Factory(secrets.SystemRandom)
    committer: Literal["thread", "inline"] = "thread"
    listening: Callable[[ListenerSettings], socket.socket | None] = lambda _: None
    begin: Callable[[Parts], None] = lambda _: None


@attrs.frozen
class Running:
    """A node that serves. `addresses`: (name of the listener, host, port). `cluster`: None if it stands alone."""

    node: bytes
    addresses: tuple[tuple[str, str, int], ...]
    statistics: Callable[[], dict[str, Any]]
    service: Service
    hub: Hub[Session]
    listeners: tuple[Listener, ...] = ()
    cluster: Cluster | None = None


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

    def serving(parts: Parts, listeners: list[Listener]) -> None:
        addresses = addresses_of(listeners)
        ready(
            Running(
                parts.node,
                addresses,
                parts.statistics,
                parts.service,
                parts.hub,
                tuple(listeners),
                parts.cluster,
            )
        )

    run = run_alone if settings.member is None else run_member
    await run(settings, world, serving, stop)
