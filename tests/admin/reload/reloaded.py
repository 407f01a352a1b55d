"""What a reload sees of a node: batches between which it may act, and pictures that a test paints."""

import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from admin.reload.health import Pulse
from admin.reload.service import Reload
from admin.reload.settings import ReloadSettings
from tests.admin.reload.world import World

QUIET = (0,) * 32


class Node:
    """Of one world. `before_batch` is called at each. `serves`: there are batches."""

    def __init__(self, world: World, folder: Path) -> None:
        self.pulse = Pulse(0, 0, 0, QUIET, 0)
        self.soon: deque[Callable[[], None]] = deque()
        self.stopped = trio.Event()
        self.serves = True
        self.batches = 0
        self.before_batch: Callable[[], None] = lambda: None
        self.world = world
        self.folder = folder
        self.reload = Reload(
            folder,
            self.soon.append,
            lambda: self.pulse,
            stopped=self.stopped,
            wall=lambda: 1_700_000_000.0,
            settings=ReloadSettings(watch_s=10, before_s=10, sample_s=0.001),
            packages=[world.package],
            root=world.root,
        )

    async def run(self) -> None:
        while True:
            while self.soon and self.serves:
                self.before_batch()
                self.soon.popleft()()
                self.batches += 1
            await trio.sleep(0.001)

    def goes_on(self, **changes: Any) -> None:
        self.pulse = attrs.evolve(self.pulse, **changes)

    def state(self, number: int) -> Any:
        return next(one for one in self.reload.history() if one["id"] == number)["state"]

    async def until(self, done: Callable[[], bool]) -> None:
        with trio.fail_after(30):
            while not done():  # noqa: ASYNC110
                await trio.sleep(0.002)

    # ---- a disk that takes nothing, for root as well, whom modes don't stop --------------------------

    def fill_disk(self) -> None:
        path = self.folder / "history.jsonl"
        os.link(path, path.with_suffix(".aside"))
        full = path.with_suffix(".full")
        full.symlink_to("/dev/full")
        full.replace(path)  # at one go, as the way back: a thread may be about to open it

    def make_room(self) -> None:
        path = self.folder / "history.jsonl"
        path.with_suffix(".aside").replace(path)


@asynccontextmanager
async def node_of(world: World, folder: Path, former: Reload | None = None) -> AsyncIterator[Node]:
    """former: of a node that this process served before."""
    made = Node(world, folder)
    if former is None:
        await made.reload.open()
    else:
        former.go_over(made.soon.append, lambda: made.pulse, made.stopped)
        made.reload = former
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.run)
        nursery.start_soon(made.reload.run)
        yield made
        nursery.cancel_scope.cancel()
