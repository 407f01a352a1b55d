"""The command behind `top`: a node in one small answer, for whoever asks many nodes once a second."""

from collections.abc import Mapping
from typing import Any, Final

from admin.commands.plain import Facts
from admin.commands.table import Command, Context, Role
from admin.reload.service import Reload
from admin.statistics.service import Statistics
from node.hub.adjusting import is_draining


async def _glance(context: Context, arguments: Mapping[str, Any]) -> Any:
    facts = context.service(Facts)
    reload = context.services.get(Reload)
    return {
        "node": context.node.node.hex(),
        "version": facts.version if reload is None else reload.statistics()["version"],
        "up_s": round(context.clock() - facts.started, 1),
        "draining": is_draining(context.node.hub),
        **context.service(Statistics).glance(),
    }


COMMANDS: Final = (
    Command(
        name="glance",
        role=Role.VIEWER,
        summary="The last second of this node in a few figures, its queues, and what rings.",
        help=(
            "What `waystation top` shows, in one answer: rates of the last second, quantiles of that second alone, CPU"
            " of the process and of its loop, memory, the longest queues and the oldest alarms (16 of each), and the"
            " version of the code that runs. What isn't counted is nothing. `stats` has everything."
        ),
        example="glance",
        run=_glance,
    ),
)
