"""A run as a value: the seed, the knobs and the list of what happens when.

Steps say everything explicitly (which node, which key, how long), so that some can be left out and the rest still
means the same. A step that finds nothing to do (a crash of a node that is down) does nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import attrs


def _tuple(found: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(one) if isinstance(one, list | tuple) else one for one in found)


@attrs.frozen(slots=True)
class Step:
    """Something that happens at a time (ms since the world began)."""

    at: int
    kind: str
    arguments: tuple[Any, ...] = attrs.field(default=(), converter=_tuple)

    def __str__(self) -> str:
        words = " ".join(_word(one) for one in self.arguments)
        return f"{self.at:7d} ms  {self.kind} {words}".rstrip()


@attrs.frozen(slots=True)
class Plan:
    """What a run is made from. `knobs` are what the world draws from the seed before the first step."""

    world: str
    seed: int
    nodes: int
    knobs: dict[str, Any]
    steps: tuple[Step, ...]

    def with_steps(self, steps: Iterable[Step]) -> Plan:
        """The same world with other steps."""
        return attrs.evolve(self, steps=tuple(steps))

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        rows = [[step.at, step.kind, step.arguments] for step in self.steps]
        return json.dumps(
            {"world": self.world, "seed": self.seed, "nodes": self.nodes, "knobs": self.knobs, "steps": rows}
        )

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Raises ValueError, KeyError, TypeError: it isn't one."""
        found = json.loads(text)
        steps = tuple(Step(*row) for row in found["steps"])
        return cls(found["world"], int(found["seed"]), int(found["nodes"]), dict(found["knobs"]), steps)

    def told(self) -> str:
        """For people: knobs, then a line to a step."""
        knobs = ", ".join(f"{name} {_word(value)}" for name, value in sorted(self.knobs.items()))
        head = f"world {self.world}, seed {self.seed}, {self.nodes} nodes, {len(self.steps)} steps\n  {knobs}"
        return "\n".join([head, *map(str, self.steps)])


def _word(one: Any) -> str:
    if isinstance(one, tuple | list):
        return "(" + " ".join(map(_word, one)) + ")"
    return str(one)
