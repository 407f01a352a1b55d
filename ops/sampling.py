"""Statistics beside the node that they are of: file, sockets and receivers, put together from the configuration.

What can be wrong with them is found before the node is opened; a history that can't be kept is only reported.
"""

import random
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio

from admin.backup.service import Backups
from admin.channel.server import AdminServer
from admin.knobs.board import Knobs
from admin.profiling.service import Profiling
from admin.reload.service import Reload
from admin.statistics import replicas
from admin.statistics.history import FILE, HistoryWriter
from admin.statistics.machine import Machine
from admin.statistics.scrapes import Scrapes, listen
from admin.statistics.service import Statistics
from admin.statistics.settings import AlarmWebhookSettings, StatisticsSettings
from admin.statistics.telling import Teller
from admin.tee.receiver import Receiver
from admin.tee.service import Tee
from node.accounts.gateways import read_secret
from node.running import Running

log = structlog.get_logger()


class Sampling:
    """Statistics of one node, made before it is opened. `statistics` is there once `run` has started.

    Raises:
        SecretRefused: the webhook's secret can't be used.
        OSError: nobody can listen where Prometheus is to scrape.
    """

    def __init__(self, settings: StatisticsSettings, data: Path) -> None:
        self.statistics: Statistics | None = None
        self._settings = settings
        self._data = data
        webhook = settings.webhook
        self._secret = (
            read_secret(Path(webhook.secret_file), "statistics.webhook.secret_file")
            if webhook.url and webhook.secret_file
            else b""
        )
        self._listening: socket.socket | None = None
        if settings.prometheus_port:
            self._listening = listen(settings.prometheus_host, settings.prometheus_port)

    async def run(
        self, running: Running, *, task_status: trio.TaskStatus[Statistics] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Sample, keep and tell until cancelled. Tells the statistics when there is a first sample."""
        node = running.node.hex()
        teller = _teller(self._settings.webhook, self._secret, node)
        history = self._history()
        try:
            statistics = self.statistics = Statistics(
                self._settings, running.statistics, Machine(self._data), history=history, teller=teller
            )
            if running.cluster is not None:
                statistics.parts["replication"] = partial(replicas.figures, running.cluster)
            async with trio.open_nursery() as nursery:
                await nursery.start(statistics.run)
                if self._listening is not None:
                    scrapes = Scrapes(statistics.scrape, statistics.scraped)
                    nursery.start_soon(scrapes.run, self._listening)
                    host, port = self._listening.getsockname()[:2]
                    log.info("scrapes are answered", host=host, port=port)
                task_status.started(statistics)
        finally:
            if history is not None:
                history.close()

    def _history(self) -> HistoryWriter | None:
        if not self._settings.history:
            return None
        try:
            return HistoryWriter(self._data / FILE)
        except OSError as error:
            log.warning("history_not_kept", cause=error.strerror, path=str(self._data / FILE))
            return None


def parts_of(services: Mapping[type[Any], Any]) -> dict[str, Callable[[], Mapping[str, Any]]]:
    """What runs beside a node and has statistics, by the name that its figures begin with."""
    kinds = (
        ("admin", AdminServer),
        ("knobs", Knobs),
        ("reload", Reload),
        ("profiling", Profiling),
        ("tee", Tee),
        ("backup", Backups),
        ("shadow", Receiver),
    )
    return {name: services[kind].statistics for name, kind in kinds if kind in services}


def _teller(settings: AlarmWebhookSettings, secret: bytes, node: str) -> Teller | None:
    if not settings.url:
        return None
    from node.posting import Poster  # an HTTP client is much to load for nodes without a webhook

    poster = Poster(
        settings, secret, clock=lambda: int(time.time() * 1000), random=random.Random(), connections_max=1
    )
    return Teller(settings, poster, node)
