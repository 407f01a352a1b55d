"""What becomes of measurements: ratios, medians, tables, command line. Servers are stand-ins."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import pytest

from ops.bench import comparison, report
from ops.bench import ejabberd as peer
from ops.bench.command import app
from ops.bench.comparison import Setting
from ops.bench.mailbox import tables_in
from ops.bench.report import BEGIN, END, Case, MarkersMissingError, Row
from ops.bench.screen import Screen, print_result

OURS, THEIRS = "waystation", "ejabberd"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the servers that were started, in order; both are stand-ins."""
    names: list[str] = []

    def stand_in(name: str) -> Any:
        @contextmanager
        def start(directory: Path, users: int, **_: Any) -> Iterator[str]:
            names.append(name)
            yield name
            names.append(f"end of {name}")

        return start

    monkeypatch.setattr(comparison, OURS, stand_in(OURS))
    monkeypatch.setattr(comparison, THEIRS, stand_in(THEIRS))
    monkeypatch.setattr(comparison, "find_ejabberd", lambda: ("erl", Path(), "1"))
    return names


def figures(*ours: float, theirs: float = 100.0) -> Any:
    rest = list(ours)

    def measure(server: Any) -> dict[str, Any]:
        cost = theirs if server == THEIRS else rest.pop(0)
        return {"node_cpu_us_per_message": cost, "rss": {"max_bytes": cost}, "warnings": [f"{cost} is odd"]}

    return measure


def test_the_peer_is_started_when_the_node_has_ended(started: list[str]) -> None:
    comparison.run("messages", {}, Setting(users=1, against="ejabberd"), figures(20.0), Screen())
    assert started == [OURS, f"end of {OURS}", THEIRS, f"end of {THEIRS}"]


def test_the_ratio_is_the_peers_figure_over_ours(started: list[str]) -> None:
    result = comparison.run("messages", {}, Setting(users=1, against="ejabberd"), figures(20.0), Screen())
    assert result["cpu_ratio_ejabberd_over_waystation"] == 5.0
    assert result["ejabberd"]["node_cpu_us_per_message"] == 100.0
    assert result["warnings"] == ["ejabberd: 100.0 is odd", "waystation: 20.0 is odd"]


def test_without_a_peer_there_is_no_ratio(started: list[str]) -> None:
    result = comparison.run("messages", {}, Setting(users=1), figures(20.0), Screen())
    assert started == [OURS, f"end of {OURS}"]
    assert not {"ejabberd", "cpu_ratio_ejabberd_over_waystation"} & set(result)


def test_repeats_give_medians_of_figures_and_of_ratios(started: list[str]) -> None:
    setting = Setting(users=1, against="ejabberd", repeat=3)
    result = comparison.run("messages", {}, setting, figures(10.0, 50.0, 20.0), Screen())
    assert result["node_cpu_us_per_message"] == 20.0
    assert result["rss"] == {"max_bytes": 20.0}
    assert result["cpu_ratio_ejabberd_over_waystation"] == 5.0
    assert [run["node_cpu_us_per_message"] for run in result["runs"]] == [10.0, 50.0, 20.0]


def test_a_failure_ends_the_server(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    @contextmanager
    def start(directory: Path, users: int, **_: Any) -> Iterator[str]:
        try:
            yield OURS
        finally:
            ended.append(directory)

    def fail(server: Any) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison, OURS, start)
    with pytest.raises(KeyboardInterrupt):
        comparison.run("messages", {}, Setting(users=1), fail, Screen())
    assert ended
    assert not ended[0].parent.exists()


def test_a_file_system_in_memory_is_warned_of(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "filesystem_of", lambda _: "tmpfs")
    result = comparison.run("messages", {}, Setting(users=1), figures(20.0), Screen())
    assert any("fsync does nothing" in text for text in result["warnings"])


def test_json_is_one_line_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"a": {"p99.9": 1.5}, "list": []}, as_json=True)
    out, err = capsys.readouterr()
    assert out.count("\n") == 1
    assert json.loads(out) == {"a": {"p99.9": 1.5}, "list": []}
    assert err == ""


def test_a_table_has_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"a": {"p99.9": 1.5}, "count": 15_000, "none": None, "runs": [{"x": 1}]}, as_json=False)
    out, _ = capsys.readouterr()
    assert "a.p99.9" in out
    assert "15,000" in out
    assert "runs" not in out


def test_a_missing_peer_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peer, "_LIBRARIES", ())
    with pytest.raises(SystemExit, match="1"):
        app(["messages", "--against", "ejabberd"])
    assert "apt-get install" in capsys.readouterr().err


def test_too_many_connections_for_the_limit_on_files_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        app(["connections", "--count", str(10**7)])
    assert "ulimit -n" in capsys.readouterr().err


# ---- the report

RESULT: dict[str, Any] = {
    "node_cpu_us_per_message": 12.3,
    "send_to_deliver_ms": {"p99": 4.0, "p99.9": 9.0},
    "machine": {"cores": 2, "python": "3.11", "kernel": "6", "filesystem": "ext4"},
    "warnings": ["the generator is odd"],
    "cpu_ratio_ejabberd_over_waystation": 7.0,
}
CASE = Case(
    title="Some users",
    name="messages",
    users=2,
    measure=lambda _: {},
    rows=(
        Row("CPU", "node_cpu_us_per_message", report.us, "≤ 30 µs"),
        Row("p99", "send_to_deliver_ms.p99", report.ms),
        Row("p99.9", "send_to_deliver_ms.p99.9", report.ms),
        Row("accepted", "send_to_accepted_ms.p99", report.ms),
    ),
)


def test_a_table_of_the_report_has_node_target_and_peers() -> None:
    theirs = {"node_cpu_us_per_message": 86.1, "ratio": RESULT}
    text = report.markdown([(CASE, {"": RESULT, "lean": theirs})], repeat=3)
    assert "Medians of 3 runs on 2 cores" in text
    assert "| CPU | 12.3 µs | ≤ 30 µs | 86.1 µs |" in text
    assert "| p99 | 4.00 ms |  | — |" in text
    assert "| p99.9 | 9.00 ms |  | — |" in text
    assert "| accepted | — |  | — |" in text
    assert "| times the CPU of Waystation |  | ≥ 5 | 7.0 |" in text
    assert "Warning: the generator is odd" in text


def test_figures_are_put_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    report.place("new\n", page)
    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text")
    with pytest.raises(MarkersMissingError):
        report.place("new", page)
    assert page.read_text() == "text"


def test_the_page_in_docs_has_the_markers() -> None:
    page = Path(__file__).parents[3] / "docs/benchmarks.md"
    text = page.read_text()
    assert text.index(BEGIN) < text.index(END)


def test_titles_of_the_report_differ() -> None:
    titles = [case.title for case in report.cases(Screen(), quick=True)]
    assert len(set(titles)) == len(titles)


# ---- a look into LMDB's files


def test_tables_are_found_with_entries_and_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "store" / "mail"
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), max_dbs=2, lib_version=0, map_size=1 << 24) as environment:
        database = environment.open_db(b"t:message")
        with environment.begin(database, write=True) as transaction:
            for number in range(1_000):
                transaction.put(b"%06d" % number, bytes(100))
    ((name, sizes),) = tables_in(tmp_path).items()
    assert (name, sizes["entries"]) == ("store/mail/t:message", 1_000)
    assert 100_000 < sizes["bytes"] < 200_000
