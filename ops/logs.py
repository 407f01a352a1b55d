"""Logs: one line an event, key=value, on standard error, where systemd and people look for them.

Where they go to systemd's journal, each line begins with its level as sd-daemon(3) has it (`<6>`), so that
`journalctl -p warning` works, and has no time of its own: the journal knows it. Nothing is logged for a message at
`info`, and bodies, PINs and keys never.
"""

import logging
import sys
from collections.abc import MutableMapping
from types import MappingProxyType
from typing import Any, Final

import structlog

from admin.knobs.loglevel import LogLevel

PRIORITIES: Final = MappingProxyType(
    {"critical": 2, "exception": 3, "error": 3, "warning": 4, "warn": 4, "info": 6, "debug": 7}
)
"""Of syslog(3)."""


class JournalRenderer:
    """A line that the journal takes apart itself."""

    def __init__(self) -> None:
        self._render = structlog.processors.LogfmtRenderer(key_order=["event"])

    def __call__(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
        priority = PRIORITIES.get(event.pop("level", name), 6)
        return f"<{priority}>{self._render(logger, name, event)}"


def configure_logs(level: str, journal: bool = False) -> LogLevel:
    """``level``: a key of LEVELS. ``journal``: standard error is systemd's journal. Gives what can change the level
    later."""
    log_level = LogLevel(level)
    processors: list[Any] = [log_level, structlog.stdlib.add_log_level, structlog.processors.format_exc_info]
    if journal:
        processors.append(JournalRenderer())
    else:
        processors.insert(2, structlog.processors.TimeStamper(fmt="iso", utc=True))
        processors.append(structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]))
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return log_level
