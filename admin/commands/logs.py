"""How much is logged, changed while the node runs."""

from collections.abc import Mapping
from typing import Any, Final

from admin.commands.knobs import FOR_MAX_S, turn
from admin.commands.table import Command, Context, Parameter, Role
from admin.knobs.board import Knobs
from admin.knobs.loglevel import LEVELS

KNOB: Final = "node.log"


async def _level(context: Context, arguments: Mapping[str, Any]) -> Any:
    if arguments["level"] is None:
        level = context.service(Knobs).read(KNOB)[0]
        return {"level": level, "before": level}
    row = await turn(context, KNOB, arguments["level"], arguments["for"])
    return {"level": row["value"], "before": row["before"], "until": row["until"]}


COMMANDS: Final = (
    Command(
        name="log level",
        role=Role.OPERATOR,
        summary="How much the node logs.",
        help=(
            "LEVEL is the least that is logged: debug, info, warning or error. Without it, the level is only shown. It"
            " is the knob node.log: for good (also after a restart, until `knob reset node.log`), or with --for for a"
            " time. No level shows bodies, PINs or keys."
        ),
        example="log level info --for 10m",
        parameters=(
            Parameter(name="level", help="The least that is logged.", choices=tuple(LEVELS), required=False),
            Parameter(
                name="for",
                kind="duration",
                option=True,
                required=False,
                low=1,
                high=FOR_MAX_S,
                help="How long it holds.",
            ),
        ),
        run=_level,
    ),
)
