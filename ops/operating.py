"""The admin channel beside the node that it operates: what its commands may use is put together here.

Keys and files are made before the node is opened, so that a mistake in them is told before anything serves; the socket
is opened when the node is ready.
"""

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any

import structlog
import trio

from admin.backup.service import Backups
from admin.channel.desk import Tell
from admin.channel.folder import Folder
from admin.channel.keyring import Asker
from admin.channel.place import Place
from admin.channel.server import AdminServer
from admin.channel.settings import AdminSettings
from admin.commands.plain import Facts
from admin.commands.registry import COMMANDS
from admin.commands.table import Context
from admin.knobs.board import FILE, Knobs
from admin.knobs.loglevel import LogLevel
from admin.profiling.service import Profiling
from admin.statistics.service import Statistics
from admin.tee.service import Tee
from node.running import Running
from ops.backing import PROGRAM
from replication.cluster import Cluster
from replication.membership.member import TEXT_CHARACTERS_MAX
from replication.zeromq.address import Address

log = structlog.get_logger()


def say_where(cluster: Cluster, place: Place | None, key: str = "") -> None:
    """Let other members know where this one is operated, and by which key it is known there. None: nowhere."""
    own = cluster.membership.own.address
    at = place.reached(Address.parse(own).host if own else "") if place is not None else ""
    if len(at) > TEXT_CHARACTERS_MAX:
        log.warning("not_operated_by_others", cause=f"{len(at)} characters are no address for them", place=at)
        at = ""
    with cluster.within():
        cluster.membership.say(admin=at, admin_key=key)


class Operating:
    """The channel of one node, made before it is opened.

    Raises:
        ChannelError, LinkError: its files or its address can't be used.
        OSError
    """

    def __init__(
        self,
        settings: AdminSettings,
        data: Path,
        log_level: LogLevel,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._wall = wall
        self._running: Running | None = None
        self.server = AdminServer(settings, data, COMMANDS, self._context, wall)
        self.services: dict[type[Any], Any] = {
            AdminServer: self.server,
            LogLevel: log_level,
            Facts: Facts(version("waystation"), str(data), wall()),
        }
        self._data = data
        self._folder = Folder.of(data).path
        self._knobs = self.services[Knobs] = Knobs(self._folder / FILE, self.services, wall)

    async def run(
        self, running: Running, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled.

        Raises:
            PlaceUnusable
            StoreFatal: the node must end.
        """
        self._running = running
        self.services[Backups] = Backups(PROGRAM, self._data, running.node.hex(), self._wall)
        tee = self.services[Tee] = Tee(running, self._folder)
        profiling = self.services[Profiling] = Profiling()
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._knobs.run, running)
                await nursery.start(tee.run)
                place: Place = await nursery.start(self.server.run)
                if running.cluster is not None:
                    say_where(running.cluster, place, self.server.key)
                task_status.started(place)
        finally:
            profiling.close()

    def faults(self) -> int:
        """Commands and samples that failed by a bug, so far, and failures of the channel itself."""
        statistics: Statistics | None = self.services.get(Statistics)
        sampling = statistics.costs.failures if statistics is not None else 0
        return self.server.faults + sampling

    def _context(self, asker: Asker, tell: Tell) -> Context:
        assert self._running is not None
        return Context(
            node=self._running,
            asker=asker.name,
            role=asker.role,
            clock=self._wall,
            commands=COMMANDS,
            services=MappingProxyType(self.services),
            tell=tell,
        )
