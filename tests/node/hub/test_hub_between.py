"""Whoever waits for a pass of the hub is told what came of it, also when there is none any more."""

from collections.abc import Callable

import pytest
import trio
import trio.testing

from node.hub import handing
from node.hub.between import between_passes
from node.hub.errors import HubFull, HubStopped
from node.hub.hub import Hub
from node.hub.settings import HubSettings
from tests.node.hub.echo import Echo, EchoHandler

GIVE_UP_S = 20.0


def made() -> Hub[Echo]:
    return Hub(HubSettings(soon_max=2), EchoHandler())


async def ask(hub: Hub[Echo], function: Callable[[], int], came: list[object]) -> None:
    try:
        came.append(await between_passes(hub.soon, hub.stopped, function))
    except (HubStopped, HubFull, ZeroDivisionError) as error:
        came.append(type(error))


@pytest.mark.parametrize(("function", "what"), [(lambda: 7, 7), (lambda: 1 // 0, ZeroDivisionError)])
async def test_what_it_gives_or_raises_is_the_asker_s(function: Callable[[], int], what: object) -> None:
    hub, came = made(), list[object]()
    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            await nursery.start(hub.run)
            await ask(hub, function, came)
            nursery.cancel_scope.cancel()
    assert came == [what]


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_hub_that_ends_calls_nothing_and_lets_nobody_wait(cancelled: bool) -> None:
    """Cancelled, or emptied for another process: in that pass who came before is called, and who comes then isn't."""
    hub, came, called = made(), list[object](), list[int]()

    def last() -> int:
        handing.end(hub)
        return 1

    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, hub, lambda: 0 if cancelled else last(), came)
            await trio.testing.wait_all_tasks_blocked()
            if cancelled:
                hub.close()
            else:
                hub.turn()
            await trio.testing.wait_all_tasks_blocked()
            assert came == [HubStopped if cancelled else 1]
            nursery.start_soon(ask, hub, lambda: called.append(1) or 2, came)
        assert (came[1:], called) == ([HubStopped], [])
        if not cancelled:
            hub.close()


async def test_a_hub_that_has_too_much_to_do_says_so_at_once() -> None:
    hub, came = made(), list[object]()
    for _ in range(2):
        hub.soon(lambda: None)
    await ask(hub, lambda: 7, came)
    assert came == [HubFull]
    hub.close()
