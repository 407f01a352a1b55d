"""What members themselves counted of a run: peers that were called dead wrongly, and how long partitions stood still.

Counters of a node begin anew with each of its lives: these are those of the lives that are left at the end.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from replication.core.settings import ReplicaSettings

SLACK_MS: Final = 1_000
"""Of a machine that is busy with a whole cluster, and its load."""


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


def hold_ms_max(seconds: Sequence[float]) -> int:
    """How long a partition may stand still for a move: until it is given up, and as long as the longest of the faults,
    for a node that is paused can't give anything up."""
    return ReplicaSettings().move_wait_ms + SLACK_MS + round(max(seconds, default=0.0) * 1000)


def too_long(found: Mapping[str, int], seconds: Sequence[float]) -> str:
    """What is wrong with that; "" if nothing is."""
    most = hold_ms_max(seconds)
    if found.get("hold_ms_most", 0) <= most:
        return ""
    return f"a partition stood still for {found['hold_ms_most']} ms while it was moved, more than {most}"
