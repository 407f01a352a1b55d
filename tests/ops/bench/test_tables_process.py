"""Programs that obey by lines: answers, refusals, ends."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.bench import process
from ops.bench.tables_process import Obeying, TableNodeError

ECHO = """
import sys
for line in sys.stdin:
    word = line.strip()
    if word == "end":
        sys.exit("it is over")
    if word == "refuse":
        print('@{"error": "no"}', flush=True)
    elif word != "nothing":
        print("chatter\\n@" + word, flush=True)
"""


@pytest.fixture
def echo(tmp_path: Path) -> Iterator[Obeying]:
    with Obeying.start("echo", [sys.executable, "-c", ECHO], tmp_path / "echo") as program:
        yield program


def test_answers_are_told_from_chatter(echo: Obeying) -> None:
    assert echo.ask('{"one": 1}', 10) == {"one": 1}
    echo.tell('{"two": 2}')
    echo.tell('{"three": 3}')
    assert [echo.answer(10), echo.answer(10)] == [{"two": 2}, {"three": 3}]
    assert echo.log_tail() == "chatter\n" * 3


def test_a_refusal_is_an_error(echo: Obeying) -> None:
    with pytest.raises(TableNodeError, match="echo refused: no"):
        echo.ask("refuse", 10)
    assert echo.ask("{}", 10) == {}


def test_an_end_is_an_error_with_the_log(echo: Obeying) -> None:
    with pytest.raises(TableNodeError, match="it is over"):
        echo.ask("end", 10)
    with pytest.raises(TableNodeError, match="has ended"):
        for _ in range(1_000):  # until its end is noticed
            echo.tell("{}")
            time.sleep(0.01)


def test_silence_is_an_error(echo: Obeying) -> None:
    with pytest.raises(TableNodeError, match="did not answer in time"):
        echo.ask("nothing", 0.01)


def test_it_ends_at_the_end_of_its_input(echo: Obeying) -> None:
    assert process.runs(echo.pid)
    assert echo.cpu_seconds() > 0
    echo.stop()
    assert not process.runs(echo.pid)
