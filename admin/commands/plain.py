"""The plainest commands: is the node there, and what is it."""

from collections.abc import Mapping
from typing import Any, Final

from admin.commands.table import Command, Context, Role


async def _ping(context: Context, arguments: Mapping[str, Any]) -> Any:
    return {"time": context.clock(), "asker": context.asker, "role": context.role.title}


COMMANDS: Final = (
    Command(
        name="ping",
        role=Role.VIEWER,
        summary="Ask whether the node answers.",
        help=(
            "Answers with the node's clock (seconds since 1970), and the name and role of the key that asked. The"
            " answer comes from the node's own loop: if it is slow, the node is."
        ),
        example="ping",
        run=_ping,
    ),
)
