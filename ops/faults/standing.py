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
"""A planned move holds a partition up for less."""
OVER_SHARE_MAX: Final = 0.01
"""… but for so many, for the same reason."""
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


def too_many(found: Mapping[str, int]) -> str:
    """What is wrong with the holds of a run in which nobody was paused; "" if nothing is."""
    over, all_ = found.get(f"holds_over_{HOLD_MS}_ms", 0), found.get("holds", 0)
    if over <= all_ * OVER_SHARE_MAX:
        return ""
    return f"{over} of {all_} partitions stood still for more than {HOLD_MS} ms while they were moved"


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
