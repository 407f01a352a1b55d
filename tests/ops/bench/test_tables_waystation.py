"""Two real nodes with replicated tables do what the benchmark's plan says, and the command prints what it should."""

import json
from pathlib import Path

import pytest

from ops.bench import process, tables, tables_costs
from ops.bench.mnesia import MnesiaMissingError
from ops.bench.tables_plan import Expected, Load
from ops.bench.tables_process import TableNodeError
from ops.bench.tables_waystation import WaystationPair
from tests.ops.bench.pairs import write_in_every_mode


@pytest.mark.system
@pytest.mark.parametrize("storage", ["disc", pytest.param("ram", marks=pytest.mark.long)])
def test_both_nodes_hold_what_the_plan_says(tmp_path: Path, storage: str) -> None:
    expected = Expected()
    with WaystationPair.start(tmp_path / "pair", 2, storage=storage) as pair:
        pids = pair.pids
        timed = dict.fromkeys(("sync", "durable", "transaction", "update"), 180)
        assert write_in_every_mode(pair, expected) == timed
    assert not any(process.runs(pid) for pid in pids)


@pytest.mark.long
@pytest.mark.system
def test_contents_are_read_in_parts(tmp_path: Path) -> None:
    expected = Expected()
    load = Load("fill", 0, tables=1, keys=10_000, writers=2, writes=10_000)
    with WaystationPair.start(tmp_path / "pair", 1) as pair:
        pair.run(load)
        expected.apply(load)
        assert pair.contents() == [expected.contents()] * 2


@pytest.mark.long
@pytest.mark.system
def test_a_node_that_returns_has_everything(tmp_path: Path) -> None:
    expected = Expected()
    with WaystationPair.start(tmp_path / "pair", 1) as pair:
        for phase in range(2):
            load = Load("fill", phase, tables=1, keys=400, writers=4, writes=400)
            pair.run(load)
            expected.apply(load)
        pair.leave()
        assert len(pair.pids) == 1
        load = Load("fill", 2, tables=1, keys=400, writers=4, writes=100)
        pair.run(load)
        expected.apply(load)
        assert pair.rejoin() > 0
        assert pair.contents() == [expected.contents()] * 2


@pytest.mark.system
def test_an_order_that_fails_is_an_error(tmp_path: Path) -> None:
    with WaystationPair.start(tmp_path / "pair", 1) as pair, pytest.raises(TableNodeError, match="a refused"):
        pair.run(Load("fill", 0, tables=3, keys=10, writers=3, writes=30))


@pytest.mark.system
def test_the_command_prints_one_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tables_costs.os, "sync", lambda: None)  # others' files take time, too
    words = "--keys 200 --writes 1500 --writers 4 --returning 100 --groups 1,2 --json --directory"
    with pytest.raises(SystemExit) as ended:
        tables.app([*words.split(), str(tmp_path)])
    assert not ended.value.code
    result = json.loads(capsys.readouterr().out)
    for key in (
        "catch_up_records_per_second",
        "cpu_us_per_write",
        "two_groups_ratio",
        "settled_p50_ms",
        "settled_p99_ms",
    ):
        assert result[key] > 0, key
    assert list(tmp_path.iterdir()) == []


def test_a_missing_peer_is_told_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise MnesiaMissingError("install it")

    monkeypatch.setattr(tables, "find_mnesia", missing)
    with pytest.raises(SystemExit) as ended:
        tables.app(["--against", "mnesia", "--directory", str(tmp_path)])
    assert ended.value.code == 1
    assert capsys.readouterr().err == "install it\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--sizes", "--groups"])
def test_numbers_that_are_none_are_refused(option: str) -> None:
    with pytest.raises(SystemExit, match="numbers with commas"):
        tables.app([option, "10000;20000"])
