"""Running plans: one, or as many seeds as asked in as many processes, and what they come to together.

A run is a function of its plan. So a seed can be run anywhere and anew, and a history that is shortened is only a plan
with fewer steps.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

import attrs

from ops.simulation.plan import Plan
from ops.simulation.scenarios import scenario
from ops.simulation.shrinking import shorten
from ops.simulation.world import Outcome, World

CHUNK: Final = 8
"""Seeds that a process is given at a time."""

SHORTENED_MAX: Final = 3
"""Different rules of which a history is shortened."""


def draw(world: str, seed: int, nodes: int | None, steps: int) -> Plan:
    """The plan of a seed."""
    return scenario(world).draw(seed, nodes, steps)


def perform(plan: Plan, *, digest: bool = False) -> Outcome:
    """One run."""
    return World(plan, scenario(plan.world), digest=digest).run()


def broken(plan: Plan) -> str:
    """The rule that a plan breaks, or nothing."""
    return perform(plan).rule


@attrs.frozen(slots=True)
class Task:
    """Seeds that are run one after another."""

    world: str
    seeds: range
    nodes: int | None
    steps: int

    def outcomes(self) -> list[Outcome]:
        """All of them."""
        return [perform(draw(self.world, seed, self.nodes, self.steps)) for seed in self.seeds]


def outcomes(world: str, seeds: range, nodes: int | None, steps: int, jobs: int) -> Iterator[Outcome]:
    """The outcome of each seed, in order."""
    tasks = [
        Task(world, seeds[at : at + CHUNK if jobs > 1 else at + 1], nodes, steps)
        for at in range(0, len(seeds), CHUNK if jobs > 1 else 1)
    ]
    if jobs == 1:
        for task in tasks:
            yield from task.outcomes()
        return
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for some in pool.map(Task.outcomes, tasks):
            yield from some


@attrs.frozen(slots=True)
class Finding:
    """A broken rule, and the shortest history found that breaks it."""

    outcome: Outcome
    plan: Plan
    shortest: Plan | None
    words: str
    """The checker's words at the end of the shortest history."""


class Tally:
    """What many runs come to."""

    def __init__(self) -> None:
        self.seeds = 0
        self.totals: dict[str, int] = {}
        self.broken: list[Outcome] = []
        self._began = time.perf_counter()
        self.seconds = 0.0

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.seeds += 1
        for what, count in outcome.totals.items():
            self.totals[what] = self.totals.get(what, 0) + count
        if outcome.rule:
            self.broken.append(outcome)
        self.seconds = time.perf_counter() - self._began

    @property
    def seeds_per_second(self) -> float:
        """Over the whole time."""
        return self.seeds / self.seconds if self.seconds else 0.0


def shortest(plan: Plan, outcome: Outcome) -> Finding:
    """Shorten the history of one outcome."""
    found = shorten(plan, outcome.rule, broken)
    return Finding(outcome, plan, found, perform(found).words)


def findings(tally: Tally, world: str, nodes: int | None, steps: int, *, shrink: bool) -> Sequence[Finding]:
    """The first outcome of every rule that was broken, with its shortest history."""
    first: dict[str, Outcome] = {}
    for outcome in tally.broken:
        first.setdefault(outcome.rule, outcome)
    found = []
    for at, outcome in enumerate(first.values()):
        plan = draw(world, outcome.seed, nodes, steps)
        if shrink and at < SHORTENED_MAX:
            found.append(shortest(plan, outcome))
        else:
            found.append(Finding(outcome, plan, None, outcome.words))
    return found
