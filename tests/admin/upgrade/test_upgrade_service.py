"""One upgrade at a time, whoever asks when: each ends the process that it has started, and no other's."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio

from admin.systemd.inherited import Inherited
from admin.systemd.supervision import Supervision
from admin.upgrade.errors import SuccessorFailed, UpgradeError
from admin.upgrade.service import Upgrade
from node.memberservice import MemberService
from node.running import Running

ROOT = Path(__file__).resolve().parents[3]
SILENT = "sleep 60"
CHECKED = (
    f'exec env PYTHONPATH={ROOT} {sys.executable} -c "import os, time; from admin.upgrade.predecessor import'
    " Predecessor; Predecessor.of(os.environ).wait('1')\""
)


class Stuck:
    """A hub without passes: what is brought to it waits for ever."""

    def __init__(self) -> None:
        self.brought: list[Callable[[], None]] = []

    def _bring(self, function: Callable[[], None]) -> None:
        self.brought.append(function)


class Attended:
    """An upgrade of a node that does nothing, and what was told of it."""

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        self.hub = Stuck()
        self.upgrade = Upgrade(Supervision(None, Inherited({}), 0.0))
        self.told: list[dict[str, Any]] = []
        self._folder = folder
        running = Running(b"n", (), dict, cast("Any", SimpleNamespace()), cast("Any", self.hub))
        self.upgrade.attend(running, trio.Event(), nursery, lambda: None)

    async def run(self, script: str) -> Any:
        command = self._folder / f"waystation-{script[:5].strip()}"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o700)
        return await self.upgrade.run(str(command), 1.0, self.told.append)

    async def until(self, done: Callable[[], bool]) -> None:
        with trio.fail_after(30):
            while not done():  # noqa: ASYNC110 - processes bring it about
                await trio.sleep(0.01)

    def pids(self) -> list[int]:
        return [one["pid"] for one in self.told if one["state"] == "checking"]


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def attended(folder: Path) -> AsyncIterator[Attended]:
    async with trio.open_nursery() as nursery:
        yield Attended(folder, nursery)
        nursery.cancel_scope.cancel()


async def test_of_two_at_the_same_moment_one_is_refused_and_the_other_goes_on(tmp_path: Path) -> None:
    came: list[str] = []

    async def ask() -> None:
        try:
            await node.run(SILENT)
        except UpgradeError as error:
            came.append(str(error))

    async with attended(tmp_path) as node:
        async with trio.open_nursery() as asking:
            asking.start_soon(ask)
            asking.start_soon(ask)
            await node.until(lambda: bool(came) and bool(node.pids()))
            assert came == ["an upgrade is under way: wait for its end"]
            (pid,) = node.pids()
            assert lives(pid)
            assert node.upgrade.statistics() == {"tried": 1, "failed": 0, "under_way": 1}
            asking.cancel_scope.cancel()
        assert not lives(pid)
        assert node.upgrade.statistics() == {"tried": 1, "failed": 1, "under_way": 0}
        with pytest.raises(SuccessorFailed, match="ended with code 7"):
            await node.run("exit 7")


async def test_one_that_comes_while_the_node_is_brought_to_a_standstill_is_refused(tmp_path: Path) -> None:
    async with trio.open_nursery() as asking:
        async with attended(tmp_path) as node:
            asking.start_soon(node.run, CHECKED)
            await node.until(lambda: bool(node.hub.brought))
            (pid,) = node.pids()
            for _ in range(2):
                with pytest.raises(UpgradeError, match="under way"):
                    await node.run(SILENT)
            assert lives(pid), "it isn't the refused ones' to end"
            assert node.upgrade.statistics()["under_way"] == 1
        assert not lives(pid), "the node is to stop"
        assert node.upgrade.statistics()["under_way"] == 0
        asking.cancel_scope.cancel()


async def test_before_a_node_serves_there_is_nothing_to_hand_over() -> None:
    with pytest.raises(UpgradeError, match="no node serves"):
        await Upgrade(Supervision(None, Inherited({}), 0.0)).run(None, 1.0, lambda _: None)


async def test_a_member_of_a_cluster_refuses_and_says_what_to_do_instead(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        attended = Attended(tmp_path, nursery)
        member = MemberService.__new__(MemberService)
        running = Running(b"n", (), dict, member, cast("Any", attended.hub))
        attended.upgrade.attend(running, trio.Event(), nursery, lambda: None)
        with pytest.raises(UpgradeError, match="drain it, restart it, and undrain"):
            await attended.run(SILENT)
        assert attended.upgrade.statistics()["tried"] == 0
