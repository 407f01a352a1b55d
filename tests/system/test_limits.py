"""Narrow limits and changing devices under crashes: what is refused, or was for an old device, is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from verdicts import must_hold

from ops.faults.drill import Drill
from ops.faults.plan import Kind, make_plan

NARROW = {
    "mail": {
        "mailbox_messages_max": 40,
        "full_retry_ms": 200,
        "send_rate": 30.0,
        "send_burst": 10,
        "busy_retry_ms": 100,
        "window": 4,
        "pair_share": 2,
    }
}


@pytest.mark.long
def test_full_mailboxes_and_rate_limits_lose_nothing_that_was_accepted(
    make_drill: Callable[..., Drill],
) -> None:
    drill = make_drill(seed=70, settings=NARROW)
    drill.begin(rate=40)
    drill.crowd.stop(drill.crowd.workers[-1])
    drill.suffer(make_plan(70, {Kind.NODE_KILL: 2, Kind.CLIENT_KILL: 1}, pause=1.0))
    outcome = drill.conclude()
    must_hold(outcome, messages=100)
    assert outcome.report.events["refused"] > 0
    assert outcome.report.events["skipped"] > 0


@pytest.mark.long
def test_a_new_device_ends_the_old_ones_mail_and_senders_are_told(make_drill: Callable[..., Drill]) -> None:
    drill = make_drill(seed=71)
    drill.begin(rate=30)
    away = drill.crowd.workers[-1]
    drill.crowd.stop(away)
    drill.suffer(make_plan(71, {Kind.NODE_KILL: 1}, pause=1.5))
    drill.crowd.lose_devices(away)
    drill.crowd.start(away)
    drill.suffer(make_plan(72, {Kind.NODE_KILL: 1, Kind.NEW_DEVICES: 1}, pause=0.7))
    outcome = drill.conclude()
    assert outcome.report.good, str(outcome)
    assert outcome.rested, str(outcome)
    assert outcome.report.totals["expired"] > 10, "nothing waited for the old devices"
