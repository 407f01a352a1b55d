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
import trio.testing

from admin.systemd.inherited import Inherited
from admin.systemd.supervision import Supervision
from admin.upgrade.errors import SuccessorFailed, UpgradeError
from admin.upgrade.service import Upgrade
from node.handing.freezing import Cargo, NotStill
from node.handing.state import Handed
from node.running import Running
from replication.membership.handing import Handed as HandedPartitions
from store.errors import StoreFatal

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


class Cluster:
    """Of which the node is a member; and in which order what was asked of both."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.handing = self
        self.operate = self
        self.rebalancer = self
        self.settings = SimpleNamespace(stop_moves_s=1.0)

    async def hand_over(self, seconds: float, after_s: float) -> HandedPartitions:
        self.said.append("hand over")
        return HandedPartitions(3, 0)

    def stay(self) -> None:
        self.said.append("stay")


class Restless:
    """A node that hands nothing out."""

    def __init__(self, hub: "Stuck", service: Any, *_: Any) -> None:
        self._said = service.said

    async def send_encrypted_away(self) -> None:
        await trio.lowlevel.checkpoint()

    async def hold(self, *_: Any) -> None:
        self._said.append("hold")
        raise NotStill("somebody's answer")

    async def go_on(self) -> None:
        self._said.append("go on")


class Leaving(Restless):
    """A node that hands everything out, once its members are asked."""

    began = 0.0
    sent_away = 0
    cargo = Cargo(Handed(logins=7), ())

    async def hold(self, *_: Any) -> None:
        self._said.append("hold")

    async def take_out(self) -> Cargo:
        self._said.append("take out")
        return self.cargo


class Attended:
    """An upgrade of a node that does nothing, and what was told of it."""

    def __init__(self, folder: Path, nursery: trio.Nursery) -> None:
        self.hub = Stuck()
        self.upgrade = Upgrade(Supervision(None, Inherited({}), 0.0))
        self.told: list[dict[str, Any]] = []
        self._folder = folder
        self._nursery = nursery
        self.attend(None)

    def attend(self, cluster: Cluster | None) -> None:
        said = cluster.said if cluster is not None else []
        service: Any = SimpleNamespace(said=said, accounts=SimpleNamespace(delivers=False))
        hub: Any = self.hub
        running = Running(b"n", (), dict, service, hub, cluster=cast("Any", cluster))
        self.upgrade.attend(running, trio.Event(), self._nursery, lambda: None)

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


@pytest.mark.parametrize("member", [False, True])
async def test_one_whose_configuration_makes_it_another_kind_of_node_is_of_no_use(
    tmp_path: Path, member: bool
) -> None:
    async with attended(tmp_path) as node:
        if not member:
            node.attend(Cluster())
        with pytest.raises(UpgradeError, match="another kind"):
            await node.run(CHECKED.replace("('1')", f"('1', member={member})"))
        assert not node.hub.brought, "nothing was touched"
        assert not lives(node.pids()[0])
        assert node.upgrade.statistics() == {"tried": 1, "failed": 1, "under_way": 0}


async def test_a_member_that_does_not_come_to_rest_has_handed_over_and_says_that_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.upgrade.service.Freezing", Restless)
    cluster = Cluster()
    async with attended(tmp_path) as node:
        node.attend(cluster)
        with pytest.raises(UpgradeError, match="serves on: somebody's answer"):
            await node.run(CHECKED.replace("('1')", "('1', member=True)"))
        assert cluster.said == ["hand over", "hold", "go on", "stay"]
        assert not lives(node.pids()[0])


async def test_whatever_fails_before_anything_was_taken_out_the_node_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.upgrade.service.Freezing", Restless)

    class Faulty(Cluster):
        async def hand_over(self, seconds: float, after_s: float) -> HandedPartitions:
            raise KeyError("+15551230001")

    cluster = Faulty()
    async with attended(tmp_path) as node:
        node.attend(cluster)
        for failed in (1, 2):
            with pytest.raises(UpgradeError, match=r"serves on: .*\(KeyError\)") as found:
                await node.run(CHECKED.replace("('1')", "('1', member=True)"))
            assert "555" not in str(found.value)
            assert cluster.said == ["go on", "stay"] * failed
            assert not lives(node.pids()[-1])
            assert node.upgrade.statistics() == {"tried": failed, "failed": failed, "under_way": 0}


async def test_a_failure_after_which_a_node_must_not_go_on_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.upgrade.service.Freezing", Restless)

    class Broken(Cluster):
        async def hand_over(self, seconds: float, after_s: float) -> HandedPartitions:
            raise StoreFatal("the disk is gone")

    cluster = Broken()
    with pytest.RaisesGroup(StoreFatal, flatten_subgroups=True):
        async with attended(tmp_path) as node:
            node.attend(cluster)
            await node.run(CHECKED.replace("('1')", "('1', member=True)"))
    assert cluster.said == []
    assert not lives(node.pids()[0])


async def test_what_can_not_be_written_down_for_the_successor_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is closed by then: whoever called must start again with it."""

    def encode(handed: Handed) -> bytes:
        raise OverflowError("+15551230001")

    monkeypatch.setattr("admin.upgrade.service.Freezing", Leaving)
    monkeypatch.setattr("admin.upgrade.successor.state.encode", encode)
    came: list[str] = []

    async def ask() -> None:
        with pytest.raises(UpgradeError) as found:
            await node.run(CHECKED.replace("('1')", "('1', member=True)"))
        came.append(str(found.value))

    async with attended(tmp_path) as node:
        cluster = Cluster()
        node.attend(cluster)
        async with trio.open_nursery() as asking:
            asking.start_soon(ask)
            await node.until(lambda: "take out" in cluster.said)
            await trio.testing.wait_all_tasks_blocked()
            assert await node.upgrade.finish(lambda: False) is Leaving.cargo
        assert "after a pause" in came[0]
        assert "(OverflowError): see the node's log" in came[0]
        assert not lives(node.pids()[0])
        assert node.upgrade.statistics()["under_way"] == 0
