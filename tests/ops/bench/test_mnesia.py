"""Mnesia, if it is installed: two nodes write what the plan says, one returns, and nothing is left running."""

from pathlib import Path

import pytest

from ops.bench import mnesia, process
from ops.bench.mnesia import MnesiaMissingError, MnesiaPair, MnesiaStartError, Storage, find_mnesia
from ops.bench.tables_costs import Costs
from ops.bench.tables_plan import Expected, Load
from ops.bench.tables_process import TableNodeError
from tests.ops.bench.installed import with_mnesia
from tests.ops.bench.pairs import write_in_every_mode


@with_mnesia
@pytest.mark.system
@pytest.mark.parametrize("storage", ["disc_copies", "ram_copies"])
def test_both_nodes_hold_what_the_plan_says(directory: Path, storage: Storage) -> None:
    expected = Expected()
    with MnesiaPair.start(directory, 2, storage=storage) as pair:
        # A writer's last transaction waits longer, for all that it has written, and isn't timed.
        timed = {"sync": 180, "durable": 180, "transaction": 174, "update": 174}
        assert write_in_every_mode(pair, expected) == timed
        assert pair.tidy() >= 0
        pair.leave()
        load = Load("fill", 9, tables=2, keys=90, writers=6, writes=100)
        pair.run(load)
        expected.apply(load)
        assert len(pair.contents()) == 1
        assert pair.rejoin() > 0
        assert pair.contents() == [expected.contents()] * 2
        assert pair.warnings() == []


@with_mnesia
@pytest.mark.system
def test_costs_are_those_of_both(directory: Path) -> None:
    with MnesiaPair.start(directory, 1) as pair:
        before = Costs.of(pair)
        pair.run(Load("fill", 0, 1, keys=2_000, writers=2, writes=2_000))
        spent = Costs.of(pair).since(before)
    assert spent.cpu_seconds > 0
    assert spent.wire_bytes is None or spent.wire_bytes > 2_000 * 150


@with_mnesia
@pytest.mark.system
def test_a_refused_order_has_a_reason_and_nothing_is_left(directory: Path) -> None:
    pair = MnesiaPair.start(directory, 1)
    pids = pair.pids
    with pair, pytest.raises(TableNodeError, match="no_exists"):
        pair.run(Load("async", 0, tables=2, keys=10, writers=2, writes=10))
    assert not any(process.runs(pid) for pid in pids)


@with_mnesia
@pytest.mark.system
def test_a_program_that_does_not_compile_is_told(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tables_mnesia.erl").write_text("-module(tables_mnesia).\nwrong")
    monkeypatch.setattr(mnesia, "PROGRAM", tmp_path / "tables_mnesia.erl")
    with pytest.raises(MnesiaStartError, match="syntax error"):
        MnesiaPair.start(directory, 1)


def test_a_missing_peer_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MnesiaMissingError, match=r"apt-get install.* erlang-base erlang-mnesia"):
        find_mnesia()
