"""A run of one cluster of three nodes under load, as `waystation drill cluster` has it: what a seed draws; then each
node is killed in its turn, one gets another key, a fourth joins and is killed, one leaves, all are brought to another
release one at a time, and one is removed for good."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ops.faults.siege import Fault, Kind, drawn
from ops.faults.trial import able, undergo

STANDARD: Final = (Kind.KILL, Kind.PAUSE, Kind.STOP, Kind.UPGRADE, Kind.SPLIT, Kind.MOVE, Kind.APPS)
"""Faults after which the same members are there."""
STEPS: Final = (
    *((Kind.KILL, n) for n in (0, 1, 2)),
    (Kind.ROTATE, 1),
    (Kind.JOIN, 0),
    (Kind.MOVE, 1),
    (Kind.KILL, 3),
    (Kind.LEAVE, 1),
    *((Kind.RELEASE, n) for n in (0, 1, 2)),
    (Kind.MOVE, 0),
    (Kind.REMOVE, 2),
)
"""What is done at the end of a run that may do everything, and to which of those that run then."""


def run(folder: Path, seed: int, count: int, only: Sequence[Kind], rate: float) -> dict[str, Any]:
    """A whole run; `not_done`: what this machine can't do."""
    kinds, network = able(only or STANDARD)
    not_done = [kind.name for kind in only or STANDARD if kind not in kinds]
    if not kinds:
        failure = "this machine can do nothing of what was asked for"
        return {"seed": seed, "failure": failure, "good": False, "not_done": not_done}
    plan = drawn(seed, count, kinds)
    if not only:
        plan += [Fault(kind, node) for kind, node in STEPS]
    return undergo(folder, plan, rate, seed=seed, most=4, network=network) | {"not_done": not_done}
