"""A change that fails in a task beside the hub is taken back as one is that fails in a pass, and the task goes on."""

from pathlib import Path
from typing import Any

import pytest
import trio

from admin.reload.service import ITSELF, Reload
from replication.rounds import RESCUE, go_round
from store.errors import StoreFatal
from tests.admin.reload.reloaded import Node, node_of
from tests.admin.reload.world import World

GOOD = """
import trio
done = []
async def step():
    await trio.sleep(0.001)
    done.append(1)
"""
BAD = GOOD.replace("done.append(1)", "raise ValueError('of a phone')")


@pytest.fixture
def module(world: World) -> Any:
    world.write("one", GOOD)
    world.start()
    return world.module("one")


async def _apply(node: Node) -> int:
    node.world.write("one", BAD)
    number: int = (await node.reload.apply("ann"))["reload"]
    return number


async def test_a_task_that_fails_by_it_goes_on_with_the_old_code(
    world: World, folder: Path, module: Any
) -> None:
    async with node_of(world, folder) as node, trio.open_nursery() as nursery:
        RESCUE.set(node.reload.rescue_beside)
        for _ in range(3):  # of which two are suspended in the bad body when it is taken back
            nursery.start_soon(go_round, module.step)
        number = await _apply(node)
        await node.until(lambda: node.state(number) == "rolled_back")
        so_far = len(module.done)
        await node.until(lambda: len(module.done) > so_far + 10)
        entry = node.reload.history()[-1]
        assert (entry["rolled_back_by"], entry["cause"]) == (ITSELF, "ValueError ended a task beside the hub")
        nursery.cancel_scope.cancel()


async def test_what_no_reload_has_brought_ends_the_node(world: World, folder: Path, module: Any) -> None:
    async with node_of(world, folder) as node:
        assert not node.reload.rescue_beside(ValueError())


async def test_a_store_that_must_not_be_written_ends_it_in_a_group_as_well(
    world: World, folder: Path, module: Any
) -> None:
    async with node_of(world, folder) as node:
        await _apply(node)
        fatal = ExceptionGroup("of a nursery", [ValueError(), StoreFatal("the disk is gone")])
        assert not node.reload.rescue_beside(fatal)
        assert node.reload.rescue_beside(ValueError())
        assert not node.reload.rescue_beside(fatal), "also while others are forgiven"


async def test_code_that_is_undone_is_forgiven_for_a_while_only(
    world: World, folder: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with node_of(world, folder) as node:
        await _apply(node)
        assert [node.reload.rescue_beside(ValueError()) for _ in range(2)] == [True, True]
        assert not node.reload.rescue(ValueError()), "a pass of the hub isn't suspended anywhere"
        monkeypatch.setattr("admin.reload.service.FORGIVEN_S", -1.0)
        node.world.write("one", GOOD)
        node.reload._forgiven_until = trio.current_time() - 1
        assert not node.reload.rescue_beside(ValueError())


async def test_pictures_that_fail_take_it_back(
    world: World, folder: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they are taken of is code like any other."""
    async with node_of(world, folder) as node:
        number = await _apply(node)

        def pulse() -> Any:
            if node.reload.statistics()["watching"]:
                raise KeyError("queue")
            return node.pulse

        monkeypatch.setattr(node.reload, "_pulse", pulse)
        await node.until(lambda: node.state(number) == "rolled_back")


async def test_pictures_that_fail_without_a_reload_are_no_reason_to_end(
    world: World, folder: Path, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = 0

    def pulse() -> Any:
        nonlocal times
        times += 1
        raise KeyError("queue")

    async with node_of(world, folder) as node:
        monkeypatch.setattr(node.reload, "_pulse", pulse)
        await node.until(lambda: times > 3)
    assert isinstance(node.reload, Reload)
