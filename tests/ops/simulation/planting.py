"""Bugs that are planted in the code that a world runs, and looked for."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import pytest

from ops.simulation.plan import Plan
from ops.simulation.running import draw, perform
from ops.simulation.world import Outcome


@attrs.frozen
class Plant:
    """A bug, in words; the function and what is changed in it; the seeds in which it is found, and by which rules.

    plan: what each seed stands for, if it isn't drawn: a history in which little else happens.
    """

    what: str
    where: Any
    name: str
    old: str
    new: str
    seeds: range
    rules: set[str]
    world: str = "cluster"
    steps: int = 120
    plan: Callable[[int], Plan] | None = None

    def put(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Change the function."""
        function = getattr(self.where, self.name)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.old) == 1, f"{self.name} is not what it was: plant the bug anew"
        made: dict[str, Any] = {}
        exec(compile(source.replace(self.old, self.new), "<planted>", "exec"), function.__globals__, made)
        monkeypatch.setattr(self.where, self.name, made[self.name])

    def outcomes(self) -> Iterator[Outcome]:
        """Of its seeds."""
        for seed in self.seeds:
            plan = self.plan(seed) if self.plan else draw(self.world, seed, None, self.steps)
            yield perform(plan)

    def found(self) -> str:
        """The first rule that is broken; nothing if none is."""
        return next((outcome.rule for outcome in self.outcomes() if outcome.rule), "")
