"""Which failures end a node whatever code is taken back, and what a plan notes of modules in which they may happen."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from admin.reload.ending import ends_node
from admin.reload.policy import HALF_DONE, LIVE, unguarded
from store.errors import StoreFatal
from tests.admin.reload.reloaded import node_of
from tests.admin.reload.world import World

STEP = "def step():\n    raise ValueError('of a peer')\n"


def failure(module: str) -> Exception:
    """As it comes out of a function of a module."""
    made = ModuleType(module)
    exec(STEP, vars(made))
    try:
        made.step()
    except ValueError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "module", ["replication.carrier", "replication.core.settling", "replication.errands"]
)
def test_a_replicas_step_that_broke_off_ends_the_node(module: str) -> None:
    error = failure(module)
    assert ends_node(error)
    assert ends_node(ExceptionGroup("of a nursery", [KeyError(), ExceptionGroup("of another", [error])]))
    wrapped = RuntimeError()
    wrapped.__cause__ = error
    assert ends_node(wrapped)


@pytest.mark.parametrize(
    "module", ["replication.zeromq.outgoing", "replication.corex", "node.talk", "admin.knobs"]
)
def test_what_failed_elsewhere_does_not(module: str) -> None:
    assert not ends_node(failure(module))
    assert not ends_node(ExceptionGroup("of a nursery", [failure(module)]))


def test_a_store_that_must_not_be_written_ends_it() -> None:
    assert ends_node(StoreFatal("the disk is gone"))


async def test_a_pass_of_the_hub_does_not_go_on_from_a_step_that_broke_off(
    world: World, folder: Path
) -> None:
    """As little as a task beside it does; elsewhere the code is taken back."""
    world.write("one", "def f(): return 1\n")
    world.start()
    async with node_of(world, folder) as node:
        world.write("one", "def f(): return 2\n")
        number = (await node.reload.apply("ann"))["reload"]
        assert not node.reload.rescue(failure("replication.core.replica"))
        assert not node.reload.rescue_beside(failure("replication.core.replica"))
        assert node.state(number) == "watched"
        assert node.reload.rescue(failure("node.talk"))
        assert node.state(number) == "rolled_back"


def test_a_plan_says_which_failures_are_not_taken_back() -> None:
    assert all("isn't taken back" in unguarded(f"{prefix}.x") for prefix in HALF_DONE)
    assert "in it ends the node" in unguarded("replication.core.settling")
    assert "what comes over links" in unguarded("replication.zeromq.incoming")
    others: Any = [one for one in LIVE if one not in ("replication",)]
    assert [unguarded(f"{one}.x") for one in others] == [""] * len(others)
