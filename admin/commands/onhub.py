"""Work on the hub's task: sessions and mail are changed between two of its passes, never beside one."""

from collections.abc import Callable
from typing import Any, TypeVar

import trio

from admin.commands.table import CommandError, Context
from node.hub.errors import HubFull

T = TypeVar("T")


async def on_hub(context: Context, function: Callable[[], T]) -> T:
    """What `function` gives, called in the hub's next pass. It must be short.

    Raises:
        CommandError: the hub has too much to do.
        Whatever `function` raises.
    """
    done = trio.Event()
    found: list[Any] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(function())
        except Exception as error:  # noqa: BLE001 - it is the command's, and must not end the hub
            failed.append(error)
        done.set()

    try:
        context.node.hub.soon(work)
    except HubFull:
        raise CommandError(
            "the node has more to do than it can queue: see stats hub, and try again"
        ) from None
    await done.wait()
    if failed:
        raise failed[0]
    value: T = found[0]
    return value
