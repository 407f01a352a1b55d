"""Work on the hub's task: sessions and mail are changed between two of its passes, never beside one."""

from collections.abc import Callable
from typing import TypeVar

from admin.commands.table import CommandError, Context
from node.hub.between import between_passes
from node.hub.errors import HubFull, HubStopped

T = TypeVar("T")


async def on_hub(context: Context, function: Callable[[], T]) -> T:
    """What `function` gives, called in the hub's next pass. It must be short.

    Raises:
        CommandError: the hub has too much to do, or has ended.
        Whatever `function` raises.
    """
    hub = context.node.hub
    try:
        return await between_passes(hub.soon, hub.stopped, function)
    except HubFull:
        raise CommandError(
            "the node has more to do than it can queue: see stats hub, and try again"
        ) from None
    except HubStopped:
        raise CommandError(
            "the node is ending, or is handing over to another process: ask again when it serves"
        ) from None
