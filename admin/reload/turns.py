"""When something may be done: one reload at a time, and what touches code between two batches of the hub.

This module must never know what is done.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from admin.reload.errors import HubTooBusy, ReloadBusy
from node.hub.errors import HubFull


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


async def between_batches(soon: Callable[[Callable[[], None]], None], function: Callable[[], Any]) -> Any:
    """Have the hub call it, and wait. What it raises is raised here, never in the hub.

    Raises:
        HubTooBusy
    """
    over = trio.Event()
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.append((function(), None))
        except Exception as error:  # noqa: BLE001 - it is the asker's, and must not end the hub
            outcome.append((None, error))
        over.set()

    try:
        soon(call)
    except HubFull as full:
        raise HubTooBusy from full
    await over.wait()
    result, failure = outcome[0]
    if failure is not None:
        raise failure
    return result
