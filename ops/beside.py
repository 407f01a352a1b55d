"""What runs beside a node in `waystation run`: channel, statistics, hot reload. Made anew for each node that this
process serves, one after the other.

Keys, files and sources are looked at when it is made, so that a mistake in them is told before anything serves; what
listens is opened by `listen`, for a predecessor may have it open until then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from admin.knobs.loglevel import LogLevel, LogSettings
from admin.reload.service import Reload
from admin.statistics.service import Statistics
from admin.systemd.supervision import Supervision
from admin.tee.receiver import Receiver
from admin.upgrade.predecessor import Predecessor
from admin.upgrade.service import Upgrade
from node.running import NodeSettings, Running
from ops.config import Config, statistics_settings
from ops.operating import Operating, say_where
from ops.reloading import Reloading
from ops.sampling import Sampling, parts_of
from ops.shadowing import Shadowing


class Beside:
    """Of one node.

    Args:
        former: of the node that this process served before; what is known of its code goes over.

    Raises:
        ChannelError, LinkError, OSError
    """

    def __init__(
        self, config: Config, settings: NodeSettings, log_level: LogLevel, former: Beside | None = None
    ) -> None:
        self._config = config
        self._settings = settings
        self._operating = Operating(config.admin, settings.data, log_level) if config.admin.enabled else None
        if (
            former is not None
        ):  # a knob that had turned it ended with the node; one that is kept turns it again
            log_level.put(LogSettings(log=config.node.log))
        self._reloading: Reloading | None = None
        if self._operating is not None:
            kept = former._reloading if former is not None else None
            self._reloading = kept or Reloading(settings.data)
        self._sampling: Sampling | None = None
        self._shadowing: Shadowing | None = None

    def listen(self) -> None:
        """
        Raises:
            SecretRefused, OSError
        """
        config, data = self._config, self._settings.data
        self._shadowing = Shadowing(config.shadow, data) if self._settings.shadow else None
        self._sampling = Sampling(statistics_settings(config), data) if config.statistics.enabled else None

    async def run(
        self,
        running: Running,
        supervision: Supervision,
        upgrade: Upgrade,
        predecessor: Predecessor | None,
        attended: Callable[[trio.CancelScope], None],
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Until cancelled. Started when the node can be asked for something.

        Args:
            predecessor: is waited for before the channel is opened, whose address it holds until it has ended.
            attended: told what ends all that looks at the node's parts.
        """
        operating, sampling = self._operating, self._sampling
        async with trio.open_nursery() as nursery:
            lookers: trio.Nursery = await nursery.start(_apart)
            attended(lookers.cancel_scope)
            if sampling is not None:
                statistics = await lookers.start(sampling.run, running)
                if operating is not None:
                    operating.services[Statistics] = statistics
            if self._reloading is not None and operating is not None:
                reload = await lookers.start(self._reloading.run, running, operating.faults)
                if reload is not None:
                    operating.services[Reload] = reload
            receiver: Any = None
            if self._shadowing is not None:
                receiver = await nursery.start(self._shadowing.run, running)
            if operating is not None:
                if receiver is not None:
                    operating.services[Receiver] = receiver
                operating.services[Supervision] = supervision
                operating.services[Upgrade] = upgrade
                if predecessor is not None:
                    await trio.to_thread.run_sync(predecessor.gone, abandon_on_cancel=True)
                await nursery.start(operating.run, running)
                if sampling is not None and sampling.statistics is not None:
                    sampling.statistics.parts.update(parts_of(operating.services))
            elif running.cluster is not None:
                say_where(running.cluster, None)
            task_status.started()


async def _apart(task_status: trio.TaskStatus[trio.Nursery]) -> None:
    """A nursery that can be ended without the one around it."""
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()
