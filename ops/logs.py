"""Logs: one line an event, key=value, on standard error, where systemd and people look for them.

Nothing is logged for a message at `info`, and bodies, PINs and keys never.
"""

import logging
import sys
from types import MappingProxyType

import structlog

LEVELS = MappingProxyType(
    {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
)


def configure_logs(level: str) -> None:
    """``level``: a key of LEVELS."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
