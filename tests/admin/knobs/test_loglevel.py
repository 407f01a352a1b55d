"""What is below the level is not logged, and the level can be moved."""

import pytest
import structlog

from admin.knobs.loglevel import LEVELS, LogLevel, LogSettings


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_below_the_level_is_dropped(level: str) -> None:
    log_level = LogLevel("error")
    log_level.put(LogSettings(log=level))
    logged = []
    for method in ("debug", "info", "warning", "error", "exception", "critical"):
        try:
            log_level(None, method, {"event": "x"})
        except structlog.DropEvent:
            continue
        logged.append(method)
    everything = ["debug", "info", "warning", "error", "exception", "critical"]
    assert logged == everything[everything.index(level) :]


def test_a_level_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"node\.log is 'loud': choose one of debug, info, warning, error"):
        LogSettings(log="loud")
