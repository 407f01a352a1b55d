"""Pairs on one side of a border between clusters; and, with real nodes, what a cut costs."""

from pathlib import Path

import pytest

from ops.bench import border
from ops.bench.border import CANDIDATES, PAIRS
from ops.bench.session import LoadError
from ops.faults.unavailable import UnavailableError


def is_even(user: int) -> bool:
    return not user % 2


def test_pairs_are_at_one_node_and_a_third_of_them_cross_the_border() -> None:
    crowds = border.crowds_of([71, 72], is_even)
    assert [crowd.ports for crowd in crowds] == [(71,), (72,)]
    for crowd in crowds:
        assert {one.port for one in crowd.phones} == set(crowd.ports)
        writers = [one for one in crowd.phones if one.to >= 0]
        assert all(is_even(one.user) for one in writers)
        assert sum(is_even(one.to) for one in writers) == PAIRS
        assert len(writers) == PAIRS + PAIRS // 2
    users = [one.user for crowd in crowds for one in crowd.phones]
    assert len(users) == len(set(users))
    assert max(users) < CANDIDATES


def test_too_few_users_are_told() -> None:
    with pytest.raises(LoadError, match="too few users"):
        border.crowds_of([71, 72], lambda user: user < 20)


@pytest.mark.long
@pytest.mark.system
def test_pairs_of_a_cluster_go_on_while_the_other_one_is_cut_off(tmp_path: Path) -> None:
    try:
        found = border.cut_off(tmp_path / "cut")
    except UnavailableError as error:
        pytest.skip(str(error))
    assert found["accepted_and_not_delivered"] == 0
    assert found["sessions_lost"] == 0
    own, other = found["live"][border.OWN]["during"], found["live"][border.OTHER]["during"]
    assert own["messages"] > 100
    assert own["delivered_ms"]["p50"] < other["delivered_ms"]["p50"], "these wait for the cut to heal"
