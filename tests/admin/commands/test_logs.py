"""What is below the level is not logged, and the level can be moved."""

import pytest
import structlog

from admin.commands.logs import LEVELS, LogLevel


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_below_the_level_is_dropped(level: str) -> None:
    log_level = LogLevel("error")
    log_level.set(level)
    logged = []
    for method in ("debug", "info", "warning", "error", "exception", "critical"):
        try:
            log_level(None, method, {"event": "x"})
        except structlog.DropEvent:
            continue
        logged.append(method)
    everything = ["debug", "info", "warning", "error", "exception", "critical"]
    assert logged == everything[everything.index(level) :]
