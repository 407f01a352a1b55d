"""Three nodes with phones on each: one is killed under load, and what the others say meanwhile is kept. Longer runs,
with pauses, splits and members that come and go: `waystation drill cluster`."""

from __future__ import annotations

from pathlib import Path

from verdicts import must_hold

from ops.faults.siege import Fault, Kind, Siege


def test_a_node_is_killed_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    with Siege(tmp_path / "run", seed=40, users_each=1, tell=print) as siege:
        siege.begin(rate=15)
        siege.suffer([Fault(Kind.KILL, 1, 2.5, whole=False)])
        served = siege.town.wait_whole(30.0)
        assert {one["alive"] for one in served["members"]} == {"this", "alive"}
        must_hold(siege.conclude(), messages=60)
