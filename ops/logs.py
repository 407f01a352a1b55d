"""Logs: one line an event, key=value, on standard error, where systemd and people look for them.

Nothing is logged for a message at `info`, and bodies, PINs and keys never.
"""

import logging
import sys

import structlog

from admin.commands.logs import LogLevel


def configure_logs(level: str) -> LogLevel:
    """``level``: a key of LEVELS. Gives what can change it later."""
    log_level = LogLevel(level)
    structlog.configure(
        processors=[
            log_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    return log_level
