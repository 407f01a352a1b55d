"""A history that can't be written refuses what has not begun, and is no reason to end for what has happened."""

from pathlib import Path
from typing import Any

import pytest

from admin.reload.errors import HistoryNotWritten, ReloadRefused
from admin.reload.history import History
from admin.reload.service import ITSELF
from tests.admin.reload.reloaded import Node, node_of
from tests.admin.reload.world import World

TWO = "def f(): return 2"


def _started(world: World, old: str = "def f(): return 1") -> Any:
    world.write("one", old)
    world.start()
    return world.module("one")


async def _written(node: Node) -> list[dict[str, Any]]:
    """What a node reads that starts when there is room again."""
    node.make_room()
    await node.until(lambda: not node.reload.statistics()["history_waiting"])
    assert node.reload.statistics()["history_failed"] > 0
    again = History(node.folder / "history.jsonl")
    again.open()
    return again.entries()


async def test_what_can_not_be_written_down_before_is_not_done(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        node.fill_disk()
        world.write("one", TWO)
        with pytest.raises(HistoryNotWritten, match="nothing was touched: make room"):
            await node.reload.apply("ann")
        assert (module.f(), node.batches, node.reload.history()) == (1, 0, [])
        world.write("one", "def f(: return 2")
        with pytest.raises(ReloadRefused, match="doesn't compile"):
            await node.reload.apply("ann")
        node.make_room()
        world.write("one", TWO)
        await node.reload.apply("ann")
        assert module.f() == 2


async def test_from_the_swap_on_it_is_done_and_says_so(world: World, folder: Path) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        world.write("one", TWO)
        node.before_batch = node.fill_disk
        done = await node.reload.apply("ann")
        assert (done["state"], module.f()) == ("watched", 2)
        node.goes_on(at_s=11, events=100)
        await node.until(lambda: node.state(done["reload"]) == "kept")
        assert [one["state"] for one in await _written(node)] == ["kept"]


async def test_a_swap_that_failed_is_told_as_such(world: World, folder: Path) -> None:
    module = _started(world, "class C:\n    def __init__(self): self.a = 1\n    def f(self): return 1")
    one = module.C()
    async with node_of(world, folder) as node:
        world.write(
            "one",
            "class C:\n    def __init__(self): self.b = 1\n    def f(self): return 2\n"
            "    def code_change(self): raise ValueError\n    def code_change_back(self): pass",
        )
        node.before_batch = node.fill_disk
        with pytest.raises(Exception, match="failed while it was put in place"):
            await node.reload.apply("ann")
        assert one.f() == 1
        assert [one["state"] for one in await _written(node)] == ["failed"]


@pytest.mark.parametrize("how", ["by hand", "by the watch", "by a pass that failed"])
async def test_what_was_undone_stays_undone(world: World, folder: Path, how: str) -> None:
    module = _started(world)
    async with node_of(world, folder) as node:
        node.goes_on(at_s=60, events=6_000)
        world.write("one", TWO)
        number = (await node.reload.apply("ann"))["reload"]
        node.fill_disk()
        if how == "by hand":
            await node.reload.rollback("bob")
        elif how == "by the watch":
            node.goes_on(at_s=61, events=6_100, errors=50)
            await node.until(lambda: node.state(number) == "rolled_back")
        else:
            assert node.reload.rescue(ValueError())
        await node.until(lambda: node.reload.statistics()["history_failed"] > 0)
        assert module.f() == 1
        (entry,) = await _written(node)
        assert entry["rolled_back_by"] == ("bob" if how == "by hand" else ITSELF)


async def test_without_a_way_back_either(world: World, folder: Path) -> None:
    _started(world, "class C:\n    def __init__(self): self.a = 1")
    async with node_of(world, folder) as node:
        world.write(
            "one",
            "class C:\n    def __init__(self): self.a = self.b = 1\n    def code_change(self): self.b = 1",
        )
        number = (await node.reload.apply("ann"))["reload"]
        node.fill_disk()
        node.goes_on(events=100, errors=50)
        await node.until(lambda: node.state(number) == "kept")
        await node.until(lambda: node.reload.statistics()["history_failed"] > 0)
        assert "code_change_back" in (await _written(node))[0]["remedy"]
