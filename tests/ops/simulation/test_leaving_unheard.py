"""A node leaves that hears the other one and isn't heard: when it has gone, the other one must know that."""

from __future__ import annotations

import attrs

from ops.simulation.cluster.drawing import NUMBER
from ops.simulation.plan import Plan, Step
from ops.simulation.running import draw, perform


def unheard(seed: int) -> Plan:
    """Of two nodes; a number is asked for meanwhile, and later on."""
    drawn = draw("cluster", seed, 2, 0)
    steps = (
        Step(32, "cut", (0, 1)),
        Step(33, "leave", (0, 0)),
        Step(33, "register", (NUMBER,)),
        Step(3_000, "heal"),
    )
    return attrs.evolve(drawn, knobs={**drawn.knobs, "founders": 2, "newcomers": 1}, steps=steps)


def test_who_stays_gives_out_numbers() -> None:
    """It counted the one that had left as a member that is dead, and so was half of the members, for ever."""
    outcome = perform(unheard(0))
    assert not outcome.rule, outcome
    assert outcome.totals["left"] == 1
    assert outcome.totals["granted"] >= 1
