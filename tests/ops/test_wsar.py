"""`waystation wsar` on histories that a test has written."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cyclopts import App

from admin.statistics.catalogue import CATALOGUE
from admin.statistics.columns import SETS, Column
from admin.statistics.figures import COUNTER, HISTOGRAM, TEXT, UNKNOWN
from admin.statistics.history import FILE, HistoryReader, HistoryWriter
from admin.statistics.plot import plot
from ops.following import LATE_S, POLL_S, STRETCH, Following, NothingThere, Shown
from ops.wsar import wsar

Say = Callable[[str], str]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    app = App(name="wsar", result_action="return_value")
    app.default(wsar)

    def run(words: str) -> str:
        app(words)
        return capsys.readouterr().out

    return run


def kept(folder: Path, seconds: int, ago_s: float = 0.0) -> Path:
    folder.mkdir()
    now = time.time() - ago_s
    with HistoryWriter(folder / FILE) as history:
        for second in range(seconds):
            history.keep(
                now - seconds + second,
                1.0,
                {"mail.taken": 10.0 * second, "sessions": 5.0, "mail.pending": 1.0},
            )
    return folder


def test_the_last_minutes_are_printed_with_headings_and_an_average(tmp_path: Path, say: Say) -> None:
    lines = say(f"--data {kept(tmp_path / 'a', 5)}").splitlines()
    assert len(lines) == 7
    heading, *rows, average = (line.split() for line in lines)
    assert [row[heading.index("in/s")] for row in rows] == ["0", "10", "20", "30", "40"]
    assert [row[heading.index("cpu%")] for row in rows] == ["-"] * 5, "what wasn't kept isn't zero"
    assert average[heading.index("in/s")] == "20"
    assert len({len(line) for line in lines}) == 1, "columns are aligned"


def test_so_much_is_put_together_in_one_line(tmp_path: Path, say: Say) -> None:
    rows = say(f"--data {kept(tmp_path / 'a', 20)} --every 1h --json").splitlines()
    assert sum(json.loads(row)["covers_s"] for row in rows) == 20
    assert len(rows) <= 2


def test_what_is_long_ago_is_printed_by_minutes(tmp_path: Path, say: Say) -> None:
    folder = kept(tmp_path / "a", 181, ago_s=4_000)
    rows = [json.loads(row) for row in say(f"--data {folder} --last 2h --json").splitlines()]
    assert [row["covers_s"] for row in rows] == [60, 60, 60]
    with pytest.raises(SystemExit):
        say(f"--data {folder}")


def test_a_time_of_day_bounds_it(tmp_path: Path, say: Say) -> None:
    folder = kept(tmp_path / "a", 10)
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() - 6))
    assert 3 <= len(say(f"--data {folder} --since {since} --json").splitlines()) <= 7


def test_two_nodes_are_told_apart(tmp_path: Path, say: Say) -> None:
    a, b = kept(tmp_path / "node-a", 2), kept(tmp_path / "node-b", 2)
    rows = say(f"--data {a} --data {b}").splitlines()[1:]
    assert sorted(row.split()[1] for row in rows) == ["node-a", "node-a", "node-b", "node-b"]


def test_figures_of_ones_own_are_columns_and_are_drawn(tmp_path: Path, say: Say) -> None:
    folder = kept(tmp_path / "a", 4)
    assert say(f"--data {folder} --list").splitlines() == ["mail.pending", "mail.taken", "sessions"]
    assert say(f"--data {folder} --figure sessions").splitlines()[1].split()[1:] == ["5.00"]
    drawn = say(f"--data {folder} --figure mail.taken --plot").splitlines()
    assert drawn[0] == "a: mail.taken (mail.taken)"
    assert "█" in drawn[1]
    assert drawn[1].index("█") > drawn[12].index("█")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--figure mail.sent", "no node has a figure 'mail.sent': --list shows"),
        ("--last soon", "write a duration"),
        ("--since 25:00", "is no time"),
        ("--since 2020-01-01T00:00 --until 2020-01-02T00:00", "nothing was kept in that time"),
    ],
)
def test_a_mistake_is_named(
    tmp_path: Path, say: Say, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    kept(tmp_path / "a", 2)
    with pytest.raises(SystemExit):
        say(f"--data {tmp_path / 'a'} {words}")
    assert told in capsys.readouterr().err


def test_no_history_is_named(tmp_path: Path, say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        say(f"--data {tmp_path}")
    assert "can't be read: No such file" in capsys.readouterr().err


def test_live_lines_come_as_records_do(tmp_path: Path) -> None:
    path = tmp_path / FILE
    with HistoryWriter(path) as history:
        history.keep(1.0, 1.0, {"logins": 99.0})
        seconds = iter(range(2, 100))

        def wait(_: float) -> None:
            second = next(seconds)
            history.keep(float(second), 1.0, {"logins": float(second)})

        with HistoryReader(path) as reader:
            following = Following({tmp_path: reader}, 2, 3, wait=wait)
            lines = list(following.lines())
    assert [(line.at, line.values["logins"]) for line in lines] == [(3, 2.5), (5, 4.5), (7, 6.5)]
    assert following.silent == {}


class Passing:
    """Time, and a node that keeps a second of it each second until it dies."""

    def __init__(self, history: HistoryWriter, dies_at: float = 1e9) -> None:
        self.now = 0.0
        self._history = history
        self._dies_at = dies_at
        self._kept = 0

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 1_000, "it ends"
        while self._kept + 1 <= min(self.now, self._dies_at):
            self._kept += 1
            self._history.keep(float(self._kept), 1.0, {"sessions": 5.0})


def followed(
    tmp_path: Path, interval: int, count: int | None, dies_at: float = 1e9
) -> tuple[Following, Iterator[Shown]]:
    """Two nodes: `b` keeps nothing any more."""
    kept(tmp_path / "b", 3)
    (tmp_path / "a").mkdir()
    history = HistoryWriter(tmp_path / "a" / FILE)
    passing = Passing(history, dies_at)
    readers = {tmp_path / name: HistoryReader(tmp_path / name / FILE) for name in ("a", "b")}
    following = Following(
        readers, interval, count, wait=passing.wait, clock=passing.clock, wall=passing.clock
    )

    def lines() -> Iterator[Shown]:
        with history, readers[tmp_path / "a"], readers[tmp_path / "b"]:
            yield from following.lines()
        assert passing.now < (interval * (count or 0)) * STRETCH + LATE_S + 2 * POLL_S

    return following, lines()


@pytest.mark.parametrize(("interval", "count"), [(1, 3), (2, 6)])
def test_a_dead_node_is_shown_by_dashes_and_the_count_ends(tmp_path: Path, interval: int, count: int) -> None:
    following, lines = followed(tmp_path, interval, count)
    shown = list(lines)
    assert [line.values for line in shown if line.node == "a"] == [{"sessions": 5.0}] * count
    dashes = [line for line in shown if line.node == "b"]
    assert [(line.covers_s, line.values) for line in dashes] == [(0.0, {})] * count
    assert [round(line.at) for line in dashes] == [interval * (number + 1) for number in range(count)]
    assert following.silent == {"b": "nothing was kept for 5 s"}


def test_a_node_that_dies_while_it_is_followed_is_shown_by_dashes_from_then_on(tmp_path: Path) -> None:
    following, lines = followed(tmp_path, 1, 20, dies_at=4.5)
    with pytest.raises(NothingThere, match="a: nothing was kept for 5 s; b: nothing was kept"):
        list(lines)
    assert set(following.silent) == {"b"}


def test_a_node_of_the_list_that_is_silent_is_named_and_the_status_is_1(
    tmp_path: Path, say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path / "a", 3)
    kept(tmp_path / "b", 3)
    (tmp_path / "b" / FILE).write_bytes(b"no history")
    for name in ("a", "b"):
        (tmp_path / name / "admin").mkdir()
        (tmp_path / name / "admin" / "node.pub").write_text("x" * 40)
    with pytest.raises(SystemExit) as ended:
        say(f"--all --nodes {tmp_path} --show mail")
    told = capsys.readouterr()
    assert ended.value.code == 1
    assert len(told.out.splitlines()) == 4
    assert "waystation: b: " in told.err
    assert "is no history of this version" in told.err


def test_columns_show_figures_that_are_known() -> None:
    for column in (column for columns in SETS.values() for column in columns):
        assert isinstance(column, Column)
        for name in (*column.figures, *column.of):
            if name.startswith("age."):
                continue
            stem = name.rsplit(".", 1)[0] if name.endswith((".p50", ".p99", ".most")) else name
            figure = CATALOGUE.of(stem)
            assert figure is not UNKNOWN, name
            assert (figure.kind == HISTOGRAM) == (stem != name), name
            assert figure.kind != TEXT
            if "/s" in column.heading and "kB" not in column.heading:
                assert figure.kind == COUNTER, name


def test_a_share_of_nothing_is_zero_and_of_what_is_missing_nothing() -> None:
    column = Column("hit%", ("a",), 100, 0, ("a", "b"))
    assert column.value({"a": 1.0, "b": 3.0}) == 25
    assert column.value({"a": 0.0, "b": 0.0}) == 0
    assert column.value({"b": 3.0}) is None


def test_a_plot_has_its_width_and_height_and_the_highest_on_top() -> None:
    rows = plot([(float(n), float(n % 50)) for n in range(500)], 80, 6)
    assert len(rows) == 7
    assert {len(row) for row in rows} == {80}
    assert rows[0].lstrip().startswith("49┤")
    assert plot([(1.0, None), (2.0, 4.0)], 40, 2)[1].endswith("┤·█")
    assert plot([], 40, 2)[-1].endswith("┼")
    assert plot([(1.0, 0.0)], 40, 1)[0].endswith("┤ ")
