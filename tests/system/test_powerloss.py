"""Power loss: what was accepted survives it, and the same run with an fsync that lies doesn't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from verdicts import must_hold

from ops.faults.drill import Drill
from ops.faults.plan import Kind, make_plan
from ops.powerloss.image import Cut, Loss

SLOW_SYNC_MS = 40


def load_while_some_are_away(drill: Drill) -> None:
    """Mail for the last worker's users has to wait on the disk; its other way out is delivery at once."""
    drill.begin(rate=40)
    drill.crowd.stop(drill.crowd.workers[-1])


@pytest.mark.parametrize(("losses", "messages"), [(2, 50), pytest.param(3, 80, marks=pytest.mark.long)])
def test_accepted_messages_survive_power_loss(
    make_drill: Callable[..., Drill], shim: Path, losses: int, messages: int
) -> None:
    drill = make_drill(seed=30, shim=shim)
    drill.stage.sync_ms = SLOW_SYNC_MS
    load_while_some_are_away(drill)
    drill.suffer(make_plan(30, {Kind.POWER_LOSS: losses}, pause=0.8))
    must_hold(drill.conclude(), messages=messages)


def test_the_same_run_with_an_fsync_that_lies_loses_messages(
    make_drill: Callable[..., Drill], shim: Path
) -> None:
    drill = make_drill(seed=30, shim=shim)
    load_while_some_are_away(drill)
    drill.stage.stop()
    drill.stage.settle()  # the directory itself is sound: only this run's syncs are lies
    drill.stage.lie = True
    drill.stage.start()
    drill.crowd.wait_online()
    drill.suffer(make_plan(30, {Kind.CLIENT_KILL: 1}, pause=2.0))
    drill.stage.lose_power(Cut(Loss.UNSYNCED))
    drill.stage.lie = False
    drill.stage.start()
    outcome = drill.conclude()
    assert outcome.report.rules.get("lost", 0) > 10, str(outcome)


def test_after_a_failed_fsync_the_node_ends_and_nothing_is_lost(
    make_drill: Callable[..., Drill], shim: Path
) -> None:
    """The kernel forgets what a failed fsync should have written; a node that tried again would say ✓ to it."""
    drill = make_drill(seed=31, shim=shim)
    load_while_some_are_away(drill)
    drill.suffer(make_plan(31, {Kind.NODE_STOP: 1}, pause=1.0))
    drill.crowd.wait_online()
    drill.stage.fail_next_sync()
    log = drill.stage.node.directory / "node.log"
    assert drill.stage.wait_end(20) != 0
    assert "fsync" in log.read_text().lower().splitlines()[-1]
    account = drill.stage.lose_power(Cut(Loss.UNSYNCED))
    assert account.lost_bytes > 0
    drill.stage.start()
    must_hold(drill.conclude(), messages=80)


@pytest.mark.long
@pytest.mark.parametrize("seed", [32])
def test_phones_that_lose_power_lose_and_repeat_nothing(
    make_drill: Callable[..., Drill], shim: Path, seed: int
) -> None:
    """Counters, outbox and what was received are on the phone's disk before anybody relies on them."""
    drill = make_drill(seed=seed, shim=shim, phones_lose_power=True)
    drill.begin(rate=30)
    drill.suffer(make_plan(seed, {Kind.CLIENT_POWER_LOSS: 3, Kind.NODE_KILL: 1}, pause=0.8))
    must_hold(drill.conclude(), messages=80)
