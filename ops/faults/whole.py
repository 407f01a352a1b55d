"""Whether nothing of a cluster, or of several, is missing or on its way: from what their members say. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def missing(found: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """What isn't as it should be; "": everything has two copies, and is served where it belongs. found: of each member
    that runs, the label of its cluster and its `cluster status`.

    By counts: where as many partitions are to go one way as the other, it can't be seen that they haven't gone. Of one
    copy a member knows for what it serves itself. The first of each cluster is asked: while partitions go home, some
    always stand there for a moment, and a run doesn't wait until the last one has gone.
    """
    spokesmen: dict[str, Mapping[str, Any]] = {}
    for label, status in found:
        spokesmen.setdefault(label, status)
    for status in spokesmen.values():
        parts = status["partitions"]
        if parts["at_one_copy"] or parts["served_by_nobody"]:
            return f"{status['node']} says {parts}"
    first = found[0][1]
    idle = [one["node"] for one in first["members"] if one["state"] == "active" and not one["primary"]]
    if idle:
        return f"{' '.join(idle)} has nothing to serve"
    return _elsewhere(found) if len(spokesmen) > 1 else ""


def _elsewhere(found: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Of several clusters: what is served, or has its other copy, in another one than the one that owns it."""
    served: Counter[str] = Counter()
    for label, status in found:
        served[label] += status["partitions"]["served_here"]
    for label, status in found:
        owned = {name: one["partitions"] for name, one in status["clusters"].items()}
        if any(served[name] != count for name, count in owned.items()):
            return f"served: {dict(served)}; owned, as {status['node']} knows it: {owned}"
        own = [one for one in status["members"] if one["cluster"] == label]
        primary, heir = (sum(one[what] for one in own) for what in ("primary", "heir"))
        if primary != heir:
            return f"{label} has {primary} partitions as primary and {heir} as heir, as {status['node']} knows it"
    return ""
