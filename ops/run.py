"""`waystation run`: one node in the foreground, as systemd or `make run` starts it."""

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import attrs
import structlog
import trio
from cyclopts import Parameter

from admin.channel.errors import ChannelError
from admin.systemd.notify import is_journal
from admin.systemd.supervision import Supervision
from admin.upgrade.predecessor import Predecessor
from admin.upgrade.service import Upgrade
from node.accounts.errors import SecretRefused
from node.accounts.settings import AccountsSettings
from node.founding import FoundingError
from node.handing.freezing import Cargo
from node.hub.errors import HubError
from node.hub.memory import raise_descriptors_max
from node.running import NodeSettings, Running, Surroundings, run_node
from ops.beside import Beside
from ops.config import ConfigError, node_settings, read_config
from ops.failures import told
from ops.logs import configure_logs
from ops.shadowing import check_directory
from ops.upgrading import Start, said_to, start_again, start_anew, wait_for
from replication.identity import DamagedIdentity
from replication.zeromq.errors import LinkError
from store.errors import StoreError

log = structlog.get_logger()

SWITCH_INTERVAL_S = 0.0005
"""The committer's thread waits a third as long for the interpreter's lock as with the default, 5 ms."""
GC_GENERATION_0 = 50_000
"""Sessions live long and hold no cycles: looking for them rarely keeps the loop free."""
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT)


def run(
    *,
    config: Annotated[Path | None, Parameter(help="Configuration file (TOML). Without it: defaults.")] = None,
    data: Annotated[Path | None, Parameter(help="Data directory, instead of the file's node.data.")] = None,
    guide: Annotated[
        bool, Parameter(negative="", help="Print how to talk to this node once it is ready.")
    ] = False,
    shadow: Annotated[
        bool,
        Parameter(negative="", help="Have no phones, and be said what live nodes tee: see [shadow]."),
    ] = False,
) -> None:
    """Run a node in the foreground until SIGTERM or SIGINT, then stop gracefully.

    What systemd sets in the environment is heeded: NOTIFY_SOCKET, WATCHDOG_USEC, LISTEN_FDS, JOURNAL_STREAM.
    """
    predecessor = Predecessor.of(os.environ)
    refusals = (
        ConfigError, StoreError, DamagedIdentity, SecretRefused, HubError, ChannelError, LinkError,
        FoundingError, OSError,
    )  # fmt: skip
    with told(*refusals), said_to(predecessor):
        faulthandler.enable()  # killed by the watchdog (SIGABRT), it says where it stood
        gc.freeze()  # what imports made, and nothing of the node: a reload finds live objects on the collector's lists
        read = read_config(config)
        if data is not None:
            read = attrs.evolve(read, node=attrs.evolve(read.node, data=str(data.absolute())))
        error = predecessor.standard_error if predecessor is not None else sys.stderr.fileno()
        log_level = configure_logs(read.node.log, is_journal(error, os.environ))
        supervision = Supervision.of(os.environ)
        if shadow:
            read = attrs.evolve(read, shadow=attrs.evolve(read.shadow, enabled=True))
        check_directory(read)
        settings = node_settings(read)
        beside = Beside(read, settings, log_level)
        raise_descriptors_max()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.set_threshold(GC_GENERATION_0, 20, 100)
        if predecessor is not None:
            wait_for(predecessor, settings)
        beside.listen()
        another = partial(Beside, read, settings, log_level)
        trio.run(_run, settings, guide, supervision, predecessor, beside, another)


async def _run(
    settings: NodeSettings,
    guide: bool,
    supervision: Supervision,
    predecessor: Predecessor | None,
    beside: Beside,
    another: Callable[[Beside], Beside],
) -> None:
    """Serve; and again, if what was to be handed over to another process wasn't taken."""
    asked = Asked(supervision.stopping)
    upgrade = Upgrade(supervision)
    start = start_anew(supervision, settings.listeners, predecessor)
    with _asked_by_signals(asked):
        while True:
            cargo = await _serve(settings, guide, supervision, upgrade, beside, start, asked, predecessor)
            if cargo is None:
                break
            start, beside, predecessor = start_again(cargo), another(beside), None
            beside.listen()
    log.info("stopped")


async def _serve(
    settings: NodeSettings,
    guide: bool,
    supervision: Supervision,
    upgrade: Upgrade,
    beside: Beside,
    start: Start,
    asked: "Asked",
    predecessor: Predecessor | None,
) -> Cargo | None:
    """One node from its start to its end. Gives what nobody took."""
    stop = asked.renewed()

    async def operate(running: Running) -> None:
        """Whoever reads that the node is ready may ask it for something."""

        def attended(lookers: trio.CancelScope) -> None:
            upgrade.attend(running, stop, nursery, lookers.cancel)

        await nursery.start(beside.run, running, supervision, upgrade, predecessor, attended)
        if predecessor is not None:
            await trio.to_thread.run_sync(supervision.adopted)
        supervision.keep(running.listeners)
        supervision.ready()
        nursery.start_soon(supervision.run, running.hub, lambda: _status(running))
        _ready(settings, running, guide)

    async with trio.open_nursery() as nursery:
        surroundings = Surroundings(listening=start.listening, begin=start.begin)
        await run_node(
            settings, lambda running: nursery.start_soon(operate, running), stop, surroundings=surroundings
        )
        cargo = await upgrade.finish(lambda: asked.is_set)
        nursery.cancel_scope.cancel()
    return cargo


class Asked:
    """Whether somebody wants the node to stop, whichever it is that serves at that moment."""

    def __init__(self, stopping: Callable[[], None]) -> None:
        self.is_set = False
        self._stopping = stopping
        self._stop = trio.Event()

    def renewed(self) -> trio.Event:
        """What the next node waits for."""
        self._stop = trio.Event()
        if self.is_set:
            self._stop.set()
        return self._stop

    def set(self) -> None:
        if self.is_set:
            log.warning("stopping already; a second signal changes nothing")
            return
        self.is_set = True
        self._stopping()
        self._stop.set()


@contextmanager
def _asked_by_signals(asked: Asked) -> Iterator[None]:
    """SIGTERM and SIGINT ask the node to stop. When it has, they are ignored until the process ends: one that comes in
    these last moments must not turn a graceful stop into a death by signal."""
    token = trio.lowlevel.current_trio_token()

    for number in _STOPPING:
        signal.signal(number, lambda *_: token.run_sync_soon(asked.set))
    try:
        yield
    finally:
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _status(running: Running) -> str:
    connections, sessions = running.hub.counters.connections, len(running.service.sessions)
    return f"serving {sessions} sessions on {connections} connections"


def _ready(settings: NodeSettings, running: Running, guide: bool) -> None:
    log.info("ready", node=running.node.hex(), data=str(settings.data))
    places = " ".join(f"{name}={_place(host, port)}" for name, host, port in running.addresses)
    sys.stdout.write(f"ready {places}\n")
    if guide and running.addresses:
        sys.stdout.write(_guide(settings.accounts, running.addresses))
    sys.stdout.flush()


def _place(host: str, port: int) -> str:
    """As it is written in one word: RFC 3986, section 3.2.2, puts IPv6 addresses in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _guide(accounts: AccountsSettings, addresses: Sequence[tuple[str, str, int]]) -> str:
    name, host, port = next((one for one in addresses if one[0] != "plain"), addresses[0])
    option = " --plain" if name == "plain" else ""
    place = _place(_LOOPBACK.get(host, host), port)
    if not accounts.open:
        pins = "Registration is closed: only devices that are registered can talk."
    elif accounts.gateway == "log":
        pins = "Each asks for a PIN the first time, which appears here."
    else:
        pins = f"Each asks for a PIN the first time, which the configured gateway sends ({accounts.gateway})."
    return _GUIDE.format(server=f"--server {place}{option}", pins=pins)


_LOOPBACK: Final = MappingProxyType({"0.0.0.0": "127.0.0.1", "::": "::1"})  # noqa: S104 - nothing is bound here
_GUIDE: Final = """
This is a Waystation node. Talk, each in a terminal of its own:

    .venv/bin/waystation chat --as +15551230001 --to +15551230002 {server}
    .venv/bin/waystation chat --as +15551230002 --to +15551230001 {server}

{pins} Ctrl-C stops the node.
"""
