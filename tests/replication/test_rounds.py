"""A step that fails ends its loop, unless what made it fail was mended."""

import pytest
import trio
import trio.testing

from replication.rounds import RESCUE, go_round


class Bug(Exception):
    pass


class Loop:
    """Fails at its second step."""

    def __init__(self) -> None:
        self.steps = 0

    async def step(self) -> None:
        self.steps += 1
        if self.steps == 2:
            raise Bug
        await trio.sleep(1)


@pytest.mark.parametrize("rescue", [None, lambda error: False])
async def test_a_bug_ends_it(rescue, autojump_clock) -> None:
    RESCUE.set(rescue)
    loop = Loop()
    with pytest.raises(Bug):
        await go_round(loop.step)
    assert loop.steps == 2


async def test_what_was_mended_goes_on(autojump_clock) -> None:
    told: list[Exception] = []

    def rescue(error: Exception) -> bool:
        told.append(error)
        return True

    RESCUE.set(rescue)
    loop = Loop()
    with trio.move_on_after(10):
        await go_round(loop.step)
    assert [type(one) for one in told] == [Bug]
    assert loop.steps > 5


async def test_what_fails_always_is_not_all_that_a_process_does(autojump_clock) -> None:
    RESCUE.set(lambda error: True)
    times = 0

    async def step() -> None:
        nonlocal times
        times += 1
        raise Bug

    with trio.move_on_after(10):
        await go_round(step)
    assert times < 200
