"""A number is wanted on one side of a split, then on another side of the next one; a member was on both."""

from __future__ import annotations

import attrs
import pytest

from ops.simulation.cluster.drawing import NUMBER
from ops.simulation.cluster.scenario import Cluster
from ops.simulation.plan import Plan, Step
from ops.simulation.running import draw, perform
from replication.core import keepers, rows
from tests.ops.simulation.planting import Plant

ROUNDS = 20
"""Of looking whether all is calm; what is planted here is found before."""
BOTH = 2
"""The node that is on the side with a majority each time."""


def again(seed: int) -> Plan:
    """Of five nodes, two are cut off, and then two others. Who was on the majority's side first and is there again ends
    between the two."""
    drawn = draw("cluster", seed, 5, 0)
    asked = [Step(1_000, "register", (NUMBER + one,)) for one in range(3)]
    steps = (
        Step(300, "split", ((0, 3, BOTH),)),
        *asked,
        Step(1_480, "crash", (BOTH,)),
        Step(1_490, "start", (BOTH,)),
        Step(1_500, "heal"),
        Step(1_500, "split", ((0, 3),)),
        Step(3_000, "heal"),
    )
    return attrs.evolve(drawn, knobs={**drawn.knobs, "founders": 5, "newcomers": 3}, steps=steps)


def test_a_number_is_given_out_once_whichever_side_has_a_majority() -> None:
    outcome = perform(again(0))
    assert not outcome.rule, outcome
    assert outcome.totals["granted"] >= 3


PLANTS = (
    Plant(
        "a pledge is forgotten at a start",
        rows, "of_part",
        "if part.pledge is not None:", "if False:",
        range(1), {"two owners"}, plan=again,
    ),
    Plant(
        "who is pledged to another claim doesn't say so",
        keepers, "is_covered",
        "return last is None or", "return True or",
        range(1), {"two owners"}, plan=again,
    ),
)  # fmt: skip


@pytest.mark.parametrize("bug", PLANTS, ids=lambda bug: bug.what.replace(" ", "-"))
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, bug: Plant) -> None:
    monkeypatch.setattr(Cluster, "rounds_max", ROUNDS)
    bug.put(monkeypatch)
    assert bug.found() in bug.rules
