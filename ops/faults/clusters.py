"""A run of two clusters that know one another, under load, as `waystation drill cluster --clusters 2` has it.

Partitions go from one to the other and back, each cluster is cut off, both ways and one way, nodes join, leave, get
another key, are removed for good, and each is brought to another release and back, one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ops.faults.siege import Fault, Kind, drawn
from ops.faults.trial import able, undergo

LABELS: Final = ("north", "north", "south", "south", "south", "north")
"""Of the clusters that nodes belong to: the first four from the beginning."""
NODES: Final = 4
DRAWN: Final = (Kind.ASSIGN, Kind.KILL, Kind.STOP, Kind.APPS)
STEPS: Final = (
    (Kind.CUT, 2),
    (Kind.ASSIGN, 3),
    (Kind.ASSIGN, 0),
    (Kind.DEAF, 0),
    (Kind.ROTATE, 1),
    (Kind.JOIN, 0),
    (Kind.LEAVE, 2),
    *((Kind.RELEASE, n) for n in (0, 1)),
    (Kind.ASSIGN, 2),
    *((Kind.RELEASE, n) for n in (2, 3)),
    (Kind.ASSIGN, 1),
    *((Kind.RELEASE, n) for n in (3, 2, 1, 0)),
    (Kind.CUT, 0),
    (Kind.JOIN, 0),
    (Kind.REMOVE, 0),
    (Kind.ASSIGN, 2),
)
"""What is done, and to which of those that run then."""


def plan(seed: int, count: int) -> list[Fault]:
    """So many faults that the seed draws, then all steps."""
    return [*drawn(seed, count, DRAWN), *(Fault(kind, node) for kind, node in STEPS)]


def run(folder: Path, seed: int, count: int, rate: float, steps: Sequence[Fault] = ()) -> dict[str, Any]:
    """A whole run; `not_done`: what this machine can't do."""
    wanted = steps or plan(seed, count)
    kinds, network = able([fault.kind for fault in wanted])
    done = [fault for fault in wanted if fault.kind in kinds]
    not_done = sorted({fault.kind.name for fault in wanted if fault.kind not in kinds})
    options = {"nodes": NODES, "most": len(LABELS), "labels": LABELS, "users_each": 2, "network": network}
    return undergo(folder, done, rate, seed=seed, **options) | {"not_done": not_done}
