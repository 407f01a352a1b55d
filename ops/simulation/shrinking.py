"""Making a history short: leave out steps for as long as the same rule is broken.

Delta debugging (A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE Transactions on
Software Engineering 28:2, 2002): drop chunks, halve the chunks when no more can be dropped. The number of runs and the
time are bounded; what was found by then is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ops.simulation.plan import Plan, Step

TRIES_MAX: Final = 600
SECONDS_MAX: Final = 30.0

Broken = Callable[[Plan], str]
"""Runs a plan and gives the rule that was broken, or nothing."""


def shorten(
    plan: Plan,
    rule: str,
    broken: Broken,
    *,
    tries_max: int = TRIES_MAX,
    seconds_max: float = SECONDS_MAX,
    clock: Callable[[], float] = time.monotonic,
) -> Plan:
    """The shortest plan found that breaks `rule`, too."""
    end = clock() + seconds_max
    steps = list(plan.steps)
    tries = 0

    def still(candidate: list[Step]) -> bool:
        nonlocal tries
        tries += 1
        return broken(plan.with_steps(candidate)) == rule

    size = max(1, len(steps) // 2)
    while steps and tries < tries_max and clock() < end:
        at, dropped = 0, False
        while at < len(steps) and tries < tries_max and clock() < end:
            candidate = steps[:at] + steps[at + size :]
            if still(candidate):
                steps, dropped = candidate, True
            else:
                at += size
        if size > 1:
            size = max(1, size // 2)
        elif not dropped:
            break
    return plan.with_steps(steps)
