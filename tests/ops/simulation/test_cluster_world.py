"""The world of a cluster: no seed breaks a promise, much happens in it, and planted bugs of its routing are found."""

from __future__ import annotations

from ops.simulation.running import draw, perform

SEEDS = 20
STEPS = 100
"""Longer worlds are for `waystation simulate --world cluster`."""


def test_no_seed_breaks_a_promise_and_much_happens() -> None:
    totals: dict[str, int] = {}
    for seed in range(SEEDS):
        outcome = perform(draw("cluster", seed, None, STEPS))
        assert not outcome.rule, outcome
        for what, count in outcome.totals.items():
            totals[what] = totals.get(what, 0) + count
    assert totals["handed"] > 30 * SEEDS
    assert totals["ticked at 2"] > totals["ticked at 1"] > 0
    assert totals["ticked at 0"] > 0
    assert totals["serves"] > 10 * SEEDS, "nothing was ever taken over"
    for what in (
        "busy",
        "gap",
        "resent",
        "superseded",
        "looks in the calm",
        "connections lost",
        "joined",
        "left",
        "moved home",
    ):
        assert totals.get(what, 0) > 0, what


def test_a_seed_is_the_same_each_time() -> None:
    digests = [perform(draw("cluster", seed, 3, 40), digest=True).digest for seed in (5, 5, 6)]
    assert digests[0] == digests[1] != digests[2]
