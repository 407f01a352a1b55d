"""Functions that are called between two batches of a hub, and whose result somebody on another task waits for.

A hub that ends calls nothing any more: whoever waits is told so, and never waits for ever. What is called isn't known
here.
"""

from collections.abc import Callable
from typing import TypeVar

import trio

from node.hub.errors import HubStopped

T = TypeVar("T")


async def between_passes(
    soon: Callable[[Callable[[], None]], None], stopped: trio.Event, function: Callable[[], T]
) -> T:
    """What `function` gives, called in the hub's next pass; what it raises is raised here, never in the hub. Cancelled,
    it may be called all the same.

    Args:
        soon, stopped: the hub's.

    Raises:
        HubStopped: it wasn't called, and won't be.
        HubFull
    """
    if stopped.is_set():
        raise HubStopped
    over = trio.Event()
    found: list[T] = []
    failed: list[Exception] = []

    def call() -> None:
        try:
            found.append(function())
        except Exception as error:  # noqa: BLE001 - it is the asker's, and must not end the hub
            failed.append(error)
        over.set()

    soon(call)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_give_up, stopped, nursery.cancel_scope)
        await over.wait()
        nursery.cancel_scope.cancel()
    if failed:
        raise failed[0]
    if not over.is_set():
        raise HubStopped
    return found[0]


async def _give_up(stopped: trio.Event, waiting: trio.CancelScope) -> None:
    """Its last pass has called what it had to call."""
    await stopped.wait()
    waiting.cancel()
