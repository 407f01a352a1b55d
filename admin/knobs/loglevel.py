"""The least that is logged: a processor of structlog whose level is a knob, like any other option."""

import logging
from collections.abc import MutableMapping
from types import MappingProxyType
from typing import Any, Final

import attrs
import structlog

LEVELS: Final = MappingProxyType(
    {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
)
_OF_EVENTS: Final = MappingProxyType({**LEVELS, "exception": logging.ERROR, "critical": logging.CRITICAL})


@attrs.frozen(kw_only=True)
class LogSettings:
    """What of [node] can be changed while it runs. Raises ValueError, naming option and remedy."""

    log: str = "info"

    def __attrs_post_init__(self) -> None:
        if self.log not in LEVELS:
            raise ValueError(f"node.log is {self.log[:40]!r}: choose one of {', '.join(LEVELS)}")


class LogLevel:
    """The first processor: what is below the level goes no further. `settings`: what holds now."""

    __slots__ = ("level", "settings")

    def __init__(self, name: str) -> None:
        self.put(LogSettings(log=name))

    def put(self, settings: LogSettings) -> None:
        self.level = LEVELS[settings.log]
        self.settings = settings

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if _OF_EVENTS.get(method, logging.CRITICAL) < self.level:
            raise structlog.DropEvent
        return event
