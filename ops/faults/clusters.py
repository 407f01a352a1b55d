"""A run of two clusters that know one another, under load, as `waystation drill cluster --clusters 2` has it.

Partitions go from one to the other and back, nodes join, leave, are removed for good, and each is brought to another
release and back, one at a time. Nobody is paused, so what a planned move holds up is judged, too, if the machine had
time for all that ran on it; else it is only told.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ops.faults.lateness import Lateness
from ops.faults.siege import FAILURES, Fault, Kind, Siege, drawn
from ops.faults.standing import holds, too_long

LABELS: Final = ("north", "north", "south", "south", "south", "north")
"""Of the clusters that nodes belong to: the first four from the beginning."""
NODES: Final = 4
DRAWN: Final = (Kind.ASSIGN, Kind.KILL, Kind.STOP, Kind.APPS)
STEPS: Final = (
    (Kind.ASSIGN, 3),
    (Kind.ASSIGN, 0),
    (Kind.JOIN, 0),
    (Kind.LEAVE, 2),
    *((Kind.RELEASE, n) for n in (0, 1)),
    (Kind.ASSIGN, 2),
    *((Kind.RELEASE, n) for n in (2, 3)),
    (Kind.ASSIGN, 1),
    *((Kind.RELEASE, n) for n in (3, 2, 1, 0)),
    (Kind.JOIN, 0),
    (Kind.REMOVE, 0),
    (Kind.ASSIGN, 2),
)
"""What is done, and to which of those that run then."""


def plan(seed: int, count: int) -> list[Fault]:
    """So many faults that the seed draws, then all steps."""
    return [*drawn(seed, count, DRAWN), *(Fault(kind, node) for kind, node in STEPS)]


def run(folder: Path, seed: int, count: int, rate: float, steps: Sequence[Fault] = ()) -> dict[str, Any]:
    """A whole run; as `siege.run`, with `holds`: how long partitions stood still for moves, in all lives of nodes that
    weren't killed."""
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {text}", file=sys.stderr, flush=True)

    result: dict[str, Any] = {"seed": seed, "failure": "", "good": False}
    try:
        with (
            Lateness() as lateness,
            Siege(
                folder, seed=seed, nodes=NODES, most=len(LABELS), labels=LABELS, users_each=1, tell=tell
            ) as siege,
        ):
            siege.begin(rate)
            siege.suffer(steps or plan(seed, count))
            outcome = siege.conclude()
            result["standing"] = siege.standing
            result["holds"] = holds(
                (node.folder / "node.log").read_text() for node in siege.town.nodes if node.id
            )
            result["late_turns"] = round(lateness.share, 3)
            result["holds_judged"] = not lateness.is_busy
            result["failure"] = "" if lateness.is_busy else too_long(result["holds"])
    except FAILURES as error:
        result["failure"] = f"{type(error).__name__}: {error}"
        return result
    return result | {
        "good": outcome.report.good and outcome.rested and not result["failure"],
        "rested": outcome.rested,
        "faults": outcome.faults,
        "seconds": round(outcome.seconds, 1),
        "totals": dict(outcome.report.totals),
        "report": outcome.report.as_text(),
    }
