"""Lines for the journal begin with their level and have no time; the others are as people read them."""

import json
from collections.abc import Iterator

import pytest
import structlog

from ops.logs import configure_logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("name", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_the_journal_is_told_the_level(name: str, priority: int, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("debug", journal=True)
    getattr(structlog.get_logger(), name)("it happened", where="here")
    assert capsys.readouterr().err == f'<{priority}>event="it happened" where=here\n'


def test_an_exception_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info", journal=True)
    try:
        json.loads("{")
    except ValueError:
        structlog.get_logger().exception("it failed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("<3>event=")
    assert "JSONDecodeError" in lines[0]


def test_people_see_time_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("info")
    structlog.get_logger().info("it happened")
    line = capsys.readouterr().err
    assert line.startswith("timestamp=")
    assert "level=info" in line
