"""What members themselves counted of a run: peers that were called dead wrongly, and how long partitions stood still.

Counters of a node begin anew with each of its lives: `standing` are those of the lives that are left at the end. A node
that is asked to stop writes its holds to its log: `holds` are those of all lives but the ones that were killed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from replication.core.settings import ReplicaSettings

SLACK_MS: Final = 1_000
"""Of a machine that is busy with a whole cluster, and its load."""
HOLD_MS: Final = 500
"""No planned move holds a partition up for longer, unless a node or the machine has no time."""
_STOOD_STILL: Final = re.compile(r"event=stood_still (.*)")
_COUNT: Final = re.compile(r"(holds\w*|hold_ms_most)=(\d+)")


def standing(statuses: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Of several members' `cluster status`: sums, and the longest hold."""
    found: dict[str, int] = {}
    for status in statuses:
        for part in ("detector", "rebalancing"):
            for name, count in status[part].items():
                if name == "hold_ms_most":
                    found[name] = max(found.get(name, 0), count)
                else:
                    found[name] = found.get(name, 0) + count
    return found


def holds(logs: Iterable[str]) -> dict[str, int]:
    """How many partitions stood still for planned moves, how many for how long, and the longest: of nodes' logs."""
    found: dict[str, int] = {}
    for log in logs:
        for line in _STOOD_STILL.findall(log):
            for name, count in _COUNT.findall(line):
                if name == "hold_ms_most":
                    found[name] = max(found.get(name, 0), int(count))
                else:
                    found[name] = found.get(name, 0) + int(count)
    return found


def hold_ms_max(paused: Sequence[float], *, busy: bool) -> int:
    """How long a partition may stand still for a move. Whoever was paused (for so many seconds) couldn't give anything
    up meanwhile; nor could nodes of a busy machine, which are only to end it soon."""
    if not paused and not busy:
        return HOLD_MS
    return ReplicaSettings().move_wait_ms + SLACK_MS + round(max(paused, default=0.0) * 1000)


def too_long(found: Mapping[str, int], paused: Sequence[float] = (), *, busy: bool = False) -> str:
    """What is wrong with the longest hold of a run; "" if nothing is."""
    most = hold_ms_max(paused, busy=busy)
    if found.get("hold_ms_most", 0) <= most:
        return ""
    return f"a partition stood still for {found['hold_ms_most']} ms while it was moved, more than {most}"
