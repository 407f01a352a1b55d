"""The world of a cluster in which links are full now and then, each channel by itself: everything heals when there is
room, and whoever counts on silence to end is found."""

from __future__ import annotations

import random

import attrs
import pytest

from node.mail import telling
from ops.simulation.cluster.drawing import CHANNELS, CLOGS_FROM, USERS, clogs
from ops.simulation.plan import Plan, Step
from ops.simulation.running import draw, perform

SEEDS = range(2)
BEGIN_MS, END_MS = 300, 1_500


def full(seed: int) -> Plan:
    """Phones talk, and nothing fails; but links take nothing for a moment, again and again. They have room enough
    otherwise."""
    drawn, hand = draw("cluster", seed, 3, 0), random.Random(seed)
    steps = [
        Step(BEGIN_MS + at * 20, "compose", (at, at % USERS + 1, (at + 3) % USERS + 1)) for at in range(60)
    ]
    for channel in CHANNELS[:3]:
        for at in range(BEGIN_MS, END_MS, 60):
            link = (*hand.sample(range(3), 2), channel)
            steps += [Step(at, "clog", link), Step(at + hand.choice((20, 50)), "unclog", link)]
    knobs = {**drawn.knobs, "founders": 3, "newcomers": 0, "link_window": 1_000}
    return attrs.evolve(drawn, knobs=knobs, steps=tuple(sorted(steps, key=lambda step: step.at)))


def test_what_finds_no_room_is_said_later_or_answered_busy() -> None:
    for seed in SEEDS:
        outcome = perform(full(seed))
        assert not outcome.rule, outcome
        assert outcome.totals["handed"] == 60
        assert outcome.totals["found no room"] > 30


def test_receipts_that_wait_for_silence_to_end_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "put_off", lambda *_: None)
    assert perform(full(0)).rule == "told in bound"


def test_seeds_draw_full_links_of_every_channel_that_end() -> None:
    drawn = [clogs(seed, 3, 1_000) for seed in range(CLOGS_FROM, CLOGS_FROM + 60)]
    assert sum(map(bool, drawn)) > 5
    for steps in drawn:
        begun = sorted(step.arguments for step in steps if step.kind == "clog")
        assert begun == sorted(step.arguments for step in steps if step.kind == "unclog")
    assert {step.arguments[2] for steps in drawn for step in steps} == set(CHANNELS)
    assert not any(clogs(seed, 3, 1_000) for seed in range(0, CLOGS_FROM, 10)), "tests name seeds from there"
