"""When something may be done: one reload at a time, and what touches code between two batches of the hub.

This module must never know what is done.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import trio

from admin.reload.errors import HubGone, HubTooBusy, ReloadBusy
from node.hub.between import between_passes
from node.hub.errors import HubFull, HubStopped

T = TypeVar("T")


@asynccontextmanager
async def alone(lock: trio.Lock) -> AsyncIterator[None]:
    """Whoever comes while somebody has it is told so, and doesn't wait.

    Raises:
        ReloadBusy
    """
    try:
        lock.acquire_nowait()
    except trio.WouldBlock:
        raise ReloadBusy from None
    try:
        yield
    finally:
        lock.release()


async def between_batches(
    soon: Callable[[Callable[[], None]], None], stopped: trio.Event, function: Callable[[], T]
) -> T:
    """Have the hub call it, and wait. What it raises is raised here, never in the hub.

    Raises:
        HubTooBusy, HubGone
    """
    try:
        return await between_passes(soon, stopped, function)
    except HubFull as full:
        raise HubTooBusy from full
    except HubStopped as ended:
        raise HubGone from ended
