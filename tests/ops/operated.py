"""A node in this process with its channel, put together as `waystation run` does, and terminals that ask it."""

import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from admin.channel.client import Client, Target
from admin.channel.settings import AdminSettings
from admin.knobs.loglevel import LogLevel
from admin.reload.service import Reload
from admin.statistics.service import Statistics
from admin.statistics.settings import StatisticsSettings
from ops.operating import Operating
from ops.reloading import Reloading
from ops.sampling import Sampling
from tests.node.live import WALL_AT_START, Device, FakeTime, LiveNode, live_node

GIVE_UP_S = 20.0
ALICE, BOB = Device.of(1), Device.of(2)


@attrs.frozen
class Operated:
    """node: as the tests of nodes know it."""

    node: LiveNode
    operating: Operating
    data: Path

    async def ask(self, line: str, item: Callable[[Any], None] | None = None, **more: Any) -> Any:
        """The result of a line, asked for by this machine's own key."""

        def talk() -> Any:
            with Client(Target.find(str(self.data))) as client:
                return client.ask(shlex.split(line), item, **{"seconds_max": GIVE_UP_S / 2, **more})

        with trio.fail_after(GIVE_UP_S):
            return await trio.to_thread.run_sync(talk)


@asynccontextmanager
async def operated(path: Path, **sections: Any) -> AsyncIterator[Operated]:
    """A node with two registered numbers, +15551230001 and +15551230002."""
    time = FakeTime(1_000.0)
    async with live_node(path, devices=(ALICE, BOB), time=time, **sections) as node:
        sampling = Sampling(StatisticsSettings(), path)
        operating = Operating(AdminSettings(), path, LogLevel("info"), lambda: WALL_AT_START + time())
        async with trio.open_nursery() as nursery:
            operating.services[Statistics] = await nursery.start(sampling.run, node.running)
            reloading = Reloading(path, wall=lambda: WALL_AT_START + time())
            operating.services[Reload] = await nursery.start(reloading.run, node.running, operating.faults)
            await nursery.start(operating.run, node.running)
            yield Operated(node, operating, path)
            nursery.cancel_scope.cancel()
