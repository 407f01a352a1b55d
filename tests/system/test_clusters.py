"""Two clusters of two nodes with phones on each: partitions go from one to the other while their users talk, and a node
dies meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from verdicts import must_hold

from ops.faults.siege import Fault, Kind, Siege


@pytest.mark.long
def test_partitions_go_from_one_cluster_to_another_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    labels = ("north", "north", "south", "south")
    with Siege(tmp_path / "run", seed=6, nodes=4, users_each=1, labels=labels, tell=print) as siege:
        siege.begin(rate=10)
        siege.suffer([Fault(Kind.ASSIGN, 3, whole=False), Fault(Kind.KILL, 2, 1.0)], pause=0.5)
        status = siege.town.wait_whole(30.0)
        assert {label: one["members"] for label, one in status["clusters"].items()} == {
            "north": 2,
            "south": 2,
        }
        must_hold(siege.conclude(), messages=40)
