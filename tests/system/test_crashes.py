"""Node and clients killed, stopped and stalled under load: nothing accepted is lost, nothing repeated, order kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from verdicts import must_hold

from ops.faults.drill import Drill
from ops.faults.plan import Kind, make_plan

SLOW_SYNC_MS = 40


@pytest.mark.parametrize(
    ("kills", "of_clients", "messages"), [(2, 1, 120), pytest.param(4, 2, 200, marks=pytest.mark.long)]
)
def test_kills_stalls_and_restarts_of_node_and_clients(
    make_drill: Callable[..., Drill], kills: int, of_clients: int, messages: int
) -> None:
    drill = make_drill(seed=20)
    drill.begin(rate=40)
    wanted = {
        Kind.NODE_KILL: kills,
        Kind.NODE_PAUSE: 1,
        Kind.NODE_STOP: 1,
        Kind.CLIENT_KILL: of_clients,
        Kind.CLIENT_PAUSE: 1,
    }
    drill.suffer(make_plan(20, wanted, pause=0.6, haste=2.0))
    must_hold(drill.conclude(), messages=messages)


@pytest.mark.long
def test_clients_that_were_away_get_what_waited(make_drill: Callable[..., Drill], shim: Path) -> None:
    """Offline mail: accepted on disk, then the node is killed, then the recipients come.

    The shim is here for its slow syncs only: a ✓ that is said a moment too early is then found by a plain kill.
    """
    drill = make_drill(seed=21, shim=shim)
    drill.stage.sync_ms = SLOW_SYNC_MS
    drill.begin(rate=40)
    drill.crowd.stop(drill.crowd.workers[0])
    drill.suffer(make_plan(21, {Kind.NODE_KILL: 3}, pause=0.8))
    outcome = drill.conclude()
    must_hold(outcome, messages=100)
    assert outcome.report.events["receipt"] > 0
