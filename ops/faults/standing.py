"""What members themselves counted of a run: peers that were called dead wrongly, and how long partitions stood still.

Counters of a node begin anew with each of its lives: `standing` are those of the lives that are left at the end. A node
that ends or leaves writes its holds to its log: `holds` are those of all lives but the ones that were killed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_STOOD_STILL: Final = re.compile(r"event=stood_still (.*)")
_COUNT: Final = re.compile(r"(holds\w*|\w+_ms_most)=(\d+)")


def standing(statuses: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Of several members' `cluster status`: sums, and the longest hold."""
    found: dict[str, int] = {}
    for status in statuses:
        for part in ("detector", "rebalancing"):
            for name, count in status[part].items():
                if name.endswith("_most"):
                    found[name] = max(found.get(name, 0), count)
                elif name == "at_once":
                    found[name] = min(found.get(name, count), count)
                else:
                    found[name] = found.get(name, 0) + count
    return found


def holds(logs: Iterable[str]) -> dict[str, int]:
    """How many partitions stood still for planned moves, how many for how long, and the longest: of nodes' logs."""
    found: dict[str, int] = {}
    for log in logs:
        for line in _STOOD_STILL.findall(log):
            for name, count in _COUNT.findall(line):
                if name.endswith("_most"):
                    found[name] = max(found.get(name, 0), int(count))
                else:
                    found[name] = found.get(name, 0) + int(count)
    return found
