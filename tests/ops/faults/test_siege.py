"""A run says which faults the machine couldn't do."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from ops.faults import clusters, trial
from ops.faults.cluster import STANDARD, run
from ops.faults.siege import Fault, Kind
from ops.faults.unavailable import UnavailableError


@pytest.fixture
def without_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(count: int) -> NoReturn:
        raise UnavailableError("no namespaces")

    monkeypatch.setattr(trial, "Namespaces", unavailable)


@pytest.mark.usefixtures("without_namespaces")
def test_without_namespaces_all_but_splits_are_done() -> None:
    kinds, network = trial.able(STANDARD)
    assert [kind for kind in STANDARD if kind not in kinds] == [Kind.SPLIT]
    assert not network


@pytest.mark.usefixtures("without_namespaces")
def test_where_nothing_of_what_was_asked_for_can_be_done_a_run_fails_and_says_so(tmp_path: Path) -> None:
    result = run(tmp_path / "run", 1, 3, [Kind.SPLIT], 10.0)
    assert result["not_done"] == ["SPLIT"]
    assert not result["good"]
    text = trial.as_text(result)
    assert "FAILED: this machine can do nothing of what was asked for" in text
    assert "NOT DONE" in text
    assert "SPLIT" in text


def test_a_run_that_did_everything_says_nothing_of_it() -> None:
    result = {"seed": 1, "good": True, "failure": "", "not_done": []}
    assert "NOT DONE" not in trial.as_text(result)


@pytest.mark.usefixtures("without_namespaces")
def test_a_run_of_two_clusters_says_that_none_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffered: list[Fault] = []

    def undergo(folder: Path, plan: list[Fault], rate: float, **options: object) -> dict[str, object]:
        suffered.extend(plan)
        assert not options["network"]
        return {}

    monkeypatch.setattr(clusters, "undergo", undergo)
    assert clusters.run(tmp_path, 1, 0, 10.0)["not_done"] == ["CUT", "DEAF"]
    assert suffered == [fault for fault in clusters.plan(1, 0) if fault.kind not in (Kind.CUT, Kind.DEAF)]
