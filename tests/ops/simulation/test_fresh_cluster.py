"""Phones that register while the nodes of a new cluster meet, and then nothing happens: each request is answered."""

from __future__ import annotations

import attrs
import pytest

from ops.simulation.cluster.drawing import AGAIN_FROM, NUMBER
from ops.simulation.plan import Plan, Step
from ops.simulation.running import draw, perform
from replication.core import settling
from tests.ops.simulation.planting import Plant


def fresh(seed: int) -> Plan:
    """Three nodes and two numbers; some phones don't hear the answer, and ask once more."""
    drawn = draw("cluster", seed, 3, 0)
    steps = tuple(Step(0, "register", (NUMBER + one,)) for one in range(2))
    knobs = {**drawn.knobs, "founders": 3, "newcomers": 2, "again": True}
    return attrs.evolve(drawn, knobs=knobs, steps=steps)


def test_whoever_registers_while_a_cluster_begins_is_answered() -> None:
    outcome = perform(fresh(1))
    assert not outcome.rule, outcome
    assert outcome.totals["granted"] >= 2
    assert outcome.totals["requests answered"] > 10


def test_higher_seeds_have_phones_that_ask_once_more() -> None:
    drawn = [draw("cluster", seed, None, 20) for seed in range(AGAIN_FROM, AGAIN_FROM + 20)]
    hasty = [plan for plan in drawn if plan.knobs.get("again")]
    assert 0 < len(hasty) < len(drawn)
    asked = [step.at for plan in hasty for step in plan.steps if step.kind == "register"]
    assert asked
    assert set(asked) == {0}


def test_an_answer_that_waits_for_the_next_write_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    bug = Plant(
        "what wrote nothing waits for a frame that nobody sends",
        settling, "_has_all",
        "return ", "return False and ",
        range(1, 2), {"request unanswered"}, plan=fresh,
    )  # fmt: skip
    bug.put(monkeypatch)
    assert bug.found() in bug.rules
