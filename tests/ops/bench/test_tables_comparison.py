"""Pairs that take turns, and what is made of their figures; the pairs here are dictionaries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pytest
from attrs import define, evolve, field

from ops.bench import tables_costs
from ops.bench.screen import Screen
from ops.bench.tables_comparison import Setting, compare
from ops.bench.tables_measure import DisagreeError, Wanted
from ops.bench.tables_plan import Contents, Expected, Load


@pytest.fixture(autouse=True)
def _nothing_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_costs.os, "sync", lambda: None)


WANTED = Wanted(
    tables=1,
    keys=100,
    value=20,
    writers=(2, 8),
    writes={"async": 400, "sync": 200, "transaction": 40, "update": 20},
    returning=50,
)


@define
class Journal:
    """What the pairs were asked for, in order."""

    entries: list[tuple[str, str]] = field(factory=list)
    loads: dict[str, list[Load]] = field(factory=dict)
    running: int = 0


@define
class FakePair:
    """A pair that is as fast as it says, and may lose a record of its second node."""

    name: str
    directory: Path
    journal: Journal
    writes_per_s: float
    loses: bool = False
    lags: bool = False
    pids: Sequence[int] = ()
    expected: Expected = field(factory=Expected)
    away: bool = False

    def __enter__(self) -> Self:
        self.directory.mkdir()
        self.journal.running += 1
        assert self.journal.running == 1, "pairs are alone on the machine"
        self.journal.entries.append((self.name, "start"))
        return self

    def __exit__(self, *_: object) -> None:
        self.journal.running -= 1

    def cpu_seconds(self) -> float:
        return 1.0

    def run(self, load: Load) -> dict[str, Any]:
        self.journal.loads.setdefault(self.name, []).append(load)
        self.expected.apply(load)
        seconds = load.writes / self.writes_per_s / load.writers
        latencies = [[load.writers * 100, load.writes]] if load.mode not in ("fill", "async") else []
        return {"seconds": seconds, "issued_seconds": seconds / 2, "latencies": latencies}

    def tidy(self) -> float:
        return 0.0

    def contents(self) -> list[Contents]:
        whole = self.expected.contents()
        second = evolve(whole, digest=whole.digest + 1) if self.lags else whole
        if self.loses:
            return [evolve(whole, records=whole.records - 1)] * 2
        return [whole] if self.away else [whole, second]

    def leave(self) -> None:
        self.away = True
        self.journal.entries.append((self.name, "leave"))

    def rejoin(self) -> float:
        self.away = False
        return 0.5

    def warnings(self) -> list[str]:
        return [f"{self.name} is a dictionary"]


def setting(journal: Journal, tmp_path: Path, **changes: Any) -> Setting:
    """Ours is three times as fast with equal writers."""
    systems: dict[str, Any] = {
        "waystation": lambda path, _: FakePair("waystation", path, journal, 300),
        "mnesia": lambda path, _: FakePair("mnesia", path, journal, 100),
    }
    return Setting(**{"wanted": WANTED, "systems": systems, "directory": tmp_path, **changes})


def test_ratios_are_of_the_best_numbers_of_writers(tmp_path: Path) -> None:
    journal = Journal()
    result = compare(setting(journal, tmp_path), Screen())
    for mode in ("async", "sync", "transaction", "update", "insert"):
        assert result[f"{mode}_ratio"] == pytest.approx(3)
        assert all(ratio == pytest.approx(3) for ratio in result["ratios_by_writers"][mode].values())
    assert result["waystation"]["sync"]["8"]["writes_per_s"] == pytest.approx(2_400)
    assert result["settled_writers"] == 2
    assert (result["settled_p50_ms"], result["settled_p99_ms"]) == (0.2, 0.2)
    assert result["catch_up_records_per_second"] == 100
    assert result["catch_up_ratio"] == 1
    assert result["cpu_us_per_write"] == 0
    assert {"mnesia: mnesia is a dictionary", "waystation: waystation is a dictionary"} <= {
        *result["warnings"]
    }
    assert list(tmp_path.iterdir()) == []


def test_both_get_the_same_loads(tmp_path: Path) -> None:
    journal = Journal()
    compare(setting(journal, tmp_path, sizes=[200], groups=[1, 2]), Screen())
    loads = journal.loads["waystation"]
    assert loads == journal.loads["mnesia"]
    counted = [load for load in loads if load.phase < 1_000]
    assert [load.mode for load in counted[:9]] == ["fill"] + [
        mode for mode in ("async", "sync", "transaction", "update") for _ in (2, 8)
    ]
    assert {(load.tables, load.keys) for load in loads} == {(1, 100), (1, 200), (2, 50)}
    assert len({load.phase for load in loads[:14]}) == 14, "every phase has keys of its own"


def test_those_who_begin_alternate_and_medians_are_taken(tmp_path: Path) -> None:
    journal = Journal()
    result = compare(setting(journal, tmp_path, repeat=3), Screen())
    starts = [name for name, what in journal.entries if what == "start"]
    assert starts == ["waystation", "mnesia", "mnesia", "waystation", "waystation", "mnesia"]
    assert len(result["runs"]) == 3
    assert result["async_ratio"] == pytest.approx(3)


def test_groups_are_compared_with_one(tmp_path: Path) -> None:
    result = compare(setting(Journal(), tmp_path, groups=[4, 1]), Screen())
    assert result["four_groups_ratio"] == pytest.approx(1)
    assert result["mnesia"]["four_groups_ratio"] == pytest.approx(1)
    assert set(result["waystation"]["groups"]) == {"1", "4"}


def test_ours_alone_has_no_ratios(tmp_path: Path) -> None:
    journal = Journal()
    alone = {"waystation": lambda path, _: FakePair("waystation", path, journal, 300)}
    result = compare(setting(journal, tmp_path, systems=alone), Screen())
    assert not any(key.endswith("_ratio") for key in result)
    assert result["catch_up_records_per_second"] == 100


def test_without_a_returning_node_nobody_leaves(tmp_path: Path) -> None:
    journal = Journal()
    result = compare(setting(journal, tmp_path, wanted=evolve(WANTED, returning=0)), Screen())
    assert "catch_up_ratio" not in result
    assert ("mnesia", "leave") not in journal.entries


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"lags": True}, "nodes of mnesia hold different"), ({"loses": True}, "systems hold different")],
)
def test_different_records_are_an_error(tmp_path: Path, changes: dict[str, bool], words: str) -> None:
    journal = Journal()
    one = setting(journal, tmp_path)
    systems = {
        **one.systems,
        "mnesia": lambda path, _: FakePair("mnesia", path, journal, 100, **changes),
    }
    with pytest.raises(DisagreeError, match=words):
        compare(evolve(one, systems=systems), Screen())
    assert journal.running == 0
    assert list(tmp_path.iterdir()) == []
