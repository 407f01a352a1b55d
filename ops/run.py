"""`waystation run`: one node in the foreground, as systemd or `make run` starts it."""

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final

import attrs
import structlog
import trio
from cyclopts import Parameter

from admin.channel.errors import ChannelError
from admin.reload.service import Reload
from admin.statistics.service import Statistics
from admin.systemd.notify import is_journal
from admin.systemd.supervision import Supervision
from admin.tee.receiver import Receiver
from node.accounts.errors import SecretRefused
from node.accounts.settings import AccountsSettings
from node.founding import FoundingError
from node.hub.errors import HubError
from node.hub.memory import raise_descriptors_max
from node.running import NodeSettings, Running, Surroundings, run_node
from ops.config import ConfigError, node_settings, read_config, statistics_settings
from ops.failures import told
from ops.logs import configure_logs
from ops.operating import Operating
from ops.reloading import Reloading
from ops.sampling import Sampling, parts_of
from ops.shadowing import Shadowing, check_directory
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
    with told(
        ConfigError,
        StoreError,
        DamagedIdentity,
        SecretRefused,
        HubError,
        ChannelError,
        LinkError,
        FoundingError,
        OSError,
    ):
        faulthandler.enable()  # killed by the watchdog (SIGABRT), it says where it stood
        gc.freeze()  # what imports made, and nothing of the node: a reload finds live objects on the collector's lists
        read = read_config(config)
        if data is not None:
            read = attrs.evolve(read, node=attrs.evolve(read.node, data=str(data.absolute())))
        log_level = configure_logs(read.node.log, is_journal(sys.stderr.fileno(), os.environ))
        supervision = Supervision.of(os.environ)
        if shadow:
            read = attrs.evolve(read, shadow=attrs.evolve(read.shadow, enabled=True))
        check_directory(read)
        settings = node_settings(read)
        shadowing = Shadowing(read.shadow, settings.data) if settings.shadow else None
        operating = Operating(read.admin, settings.data, log_level) if read.admin.enabled else None
        sampling = Sampling(statistics_settings(read), settings.data) if read.statistics.enabled else None
        reloading = Reloading(settings.data) if operating is not None else None
        raise_descriptors_max()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.set_threshold(GC_GENERATION_0, 20, 100)
        trio.run(_run, settings, guide, operating, sampling, reloading, supervision, shadowing)


async def _run(
    settings: NodeSettings,
    guide: bool,
    operating: Operating | None,
    sampling: Sampling | None,
    reloading: Reloading | None,
    supervision: Supervision,
    shadowing: Shadowing | None,
) -> None:
    stop = trio.Event()
    surroundings = Surroundings(listening=supervision.prepare(settings.listeners))

    async def operate(running: Running) -> None:
        """Whoever reads that the node is ready may ask it for something."""
        if sampling is not None:
            statistics = await nursery.start(sampling.run, running)
            if operating is not None:
                operating.services[Statistics] = statistics
        if reloading is not None and operating is not None:
            reload = await nursery.start(reloading.run, running)
            if reload is not None:
                operating.services[Reload] = reload
        receiver = await nursery.start(shadowing.run, running) if shadowing is not None else None
        if operating is not None:
            if receiver is not None:
                operating.services[Receiver] = receiver
            operating.services[Supervision] = supervision
            await nursery.start(operating.run, running)
            if sampling is not None and sampling.statistics is not None:
                sampling.statistics.parts.update(parts_of(operating.services))
        supervision.keep(running.listeners)
        supervision.ready()
        nursery.start_soon(supervision.run, running.hub, lambda: _status(running))
        _ready(settings, running, guide)

    with _asked_by_signals(stop, supervision.stopping):
        async with trio.open_nursery() as nursery:
            await run_node(
                settings,
                lambda running: nursery.start_soon(operate, running),
                stop,
                surroundings=surroundings,
            )
            nursery.cancel_scope.cancel()
    log.info("stopped")


@contextmanager
def _asked_by_signals(stop: trio.Event, stopping: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT ask the node to stop. When it has, they are ignored until the process ends: one that comes in
    these last moments must not turn a graceful stop into a death by signal."""
    token = trio.lowlevel.current_trio_token()

    def ask() -> None:
        if stop.is_set():
            log.warning("stopping already; a second signal changes nothing")
            return
        stopping()
        stop.set()

    for number in _STOPPING:
        signal.signal(number, lambda *_: token.run_sync_soon(ask))
    try:
        yield
    finally:
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _status(running: Running) -> str:
    connections, sessions = running.hub.counters.connections, len(running.service.mail.sessions)
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
