"""How much is logged, changed while the node runs."""

import logging
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType
from typing import Any, Final

import structlog

from admin.commands.table import Command, Context, Parameter, Role

LEVELS: Final = MappingProxyType(
    {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
)
_OF_EVENTS: Final = MappingProxyType({**LEVELS, "exception": logging.ERROR, "critical": logging.CRITICAL})


class LogLevel:
    """The least that is logged, now. A processor of structlog, the first one: what is below goes no further."""

    __slots__ = ("level", "name")

    def __init__(self, name: str) -> None:
        self.set(name)

    def set(self, name: str) -> None:
        """`name`: a key of LEVELS."""
        self.level = LEVELS[name]
        self.name = name

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if _OF_EVENTS.get(method, logging.CRITICAL) < self.level:
            raise structlog.DropEvent
        return event


async def _level(context: Context, arguments: Mapping[str, Any]) -> Any:
    log_level = context.service(LogLevel)
    before = log_level.name
    if arguments["level"] is not None:
        log_level.set(arguments["level"])
    return {"level": log_level.name, "before": before}


COMMANDS: Final = (
    Command(
        name="log level",
        role=Role.OPERATOR,
        summary="How much the node logs, until its next start.",
        help=(
            "LEVEL is the least that is logged: debug, info, warning or error. Without it, the level is only"
            " shown. The next start takes the level of the configuration again (node.log). No level shows bodies,"
            " PINs or keys."
        ),
        example="log level info",
        parameters=(
            Parameter(name="level", help="The least that is logged.", choices=tuple(LEVELS), required=False),
        ),
        run=_level,
    ),
)
