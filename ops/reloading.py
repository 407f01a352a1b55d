"""Hot reload beside the node whose code it replaces.

The sources are read before the node is opened, so that they are those which were imported. One process may serve
several nodes, one after the other: the code that runs is the same, and so is what is known of it.
"""

import time
from collections.abc import Callable
from pathlib import Path

import structlog
import trio

from admin.reload.errors import NoSources
from admin.reload.health import Pulse
from admin.reload.pulses import take_pulse
from admin.reload.service import Reload
from admin.reload.settings import ReloadSettings
from admin.reload.sources import Sources, read_sources
from node.running import Running
from replication.rounds import RESCUE

log = structlog.get_logger()

FOLDER = "reload"
ROOT = Path(__file__).resolve().parents[1]


class Reloading:
    """Of one process, made before its first node is opened. `run` beside each."""

    def __init__(
        self,
        data: Path,
        settings: ReloadSettings | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._folder = data / FOLDER
        self._wall = wall
        self._monotonic = monotonic
        self._reload: Reload | None = None
        self._sources: Sources | None = None
        try:
            self._sources = read_sources(ROOT)
        except NoSources as error:
            log.warning("this node's code can't be reloaded", cause=str(error))

    async def run(
        self,
        running: Running,
        faults: Callable[[], int] = lambda: 0,
        *,
        task_status: trio.TaskStatus[Reload | None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Watch until cancelled. Tells the service, or None if there can be none.

        Args:
            faults: how many there were of what runs beside the hub.
        """
        if self._sources is None:
            task_status.started(None)
            return
        reload = await self._reload_of(
            self._sources, running, lambda: take_pulse(running, self._monotonic(), faults())
        )
        if reload is None:
            task_status.started(None)
            return
        running.hub.rescue = reload.rescue
        RESCUE.set(reload.rescue_beside)
        task_status.started(reload)
        try:
            await reload.run()
        finally:
            running.hub.rescue = None
            RESCUE.set(None)

    async def _reload_of(
        self, sources: Sources, running: Running, pulse: Callable[[], Pulse]
    ) -> Reload | None:
        hub = running.hub
        if self._reload is not None:
            self._reload.go_over(hub.soon, pulse, hub.stopped)
            return self._reload
        reload = Reload(
            self._folder,
            hub.soon,
            pulse,
            stopped=hub.stopped,
            wall=self._wall,
            settings=self._settings,
            root=ROOT,
        )
        try:
            await reload.open(sources)
        except OSError as error:  # a full disk, say: no reason not to serve
            log.warning(
                "this node's code can't be reloaded: its history can't be opened", cause=error.strerror
            )
            return None
        self._reload = reload
        return reload
