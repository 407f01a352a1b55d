"""What `waystation cluster status` shows on a terminal: how the cluster is, in a few lines, then its members. All of it
is in `--json`, and in `waystation admin NODE cluster status`. Pure: plain data in and out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

PARTITIONS_SHOWN_MAX: Final = 12
"""Runs of partitions that are named."""
LONG_MS: Final = 500


def glance(status: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of `cluster status`, as the node answered it."""
    if status.get("alone"):
        return {
            "node": status["node"],
            "alone": "it is in no cluster: `waystation cluster init` begins one, `cluster join` joins one",
        }
    shown: dict[str, Any] = {
        "cluster": f"{status['name']}, as {status['node']} knows it",
        "members": _members(status),
        "partitions": _partitions(status["partitions"]),
        "at one copy": _few(status, "at_one_copy"),
        "served by nobody": _few(status, "served_by_nobody"),
        "links": _links(status),
        "versions": _versions(status),
        "moves": _moves(status["rebalancing"]),
        "detector": _thought(status["detector"]),
    }
    if len(status["clusters"]) > 1:
        shown["clusters"] = "; ".join(_owner(name, one) for name, one in status["clusters"].items())
    shown["its members"] = status["members"]
    shown["where they are"] = status["addresses"]
    shown["their keys"] = status["keys"]
    awaited = {one["node"] for one in status["members"] if one["state"] == "invited"}
    down = [one for one in status["links_down"] if one["peer"] not in awaited]
    if down:
        shown["links down"] = down
    return shown


def _members(status: Mapping[str, Any]) -> str:
    counted = Counter(_kind(one) for one in status["members"] if one["state"] != "removed")
    kinds = ", ".join(f"{count} {kind}" for kind, count in counted.items())
    return f"{sum(counted.values())}: {kinds}; {status['agreed']} known to have the same list"


def _kind(member: Mapping[str, Any]) -> str:
    if member["state"] != "active":
        return str(member["state"])
    return "alive" if member["alive"] in ("this", "alive") else str(member["alive"]) or "not heard yet"


def _partitions(found: Mapping[str, Any]) -> str:
    moving = f", {found['moving']} moving" if found["moving"] else ""
    return (
        f"{found['all']}: {found['served_here']} served here, {found['complete_here']} complete here{moving}"
    )


def _few(status: Mapping[str, Any], name: str) -> str:
    """Which, and since when. Those that another node serves are told by that node."""
    count, listed = status["partitions"][name], status[name]
    if not count:
        return "none" if name == "served_by_nobody" else "none of those that are served here"
    most = max(one["for_s"] for one in listed)
    runs = list(_runs(one["partition"] for one in listed))
    more = " …" if len(runs) > PARTITIONS_SHOWN_MAX or count > len(listed) else ""
    return f"{count}, the longest for {most:,.0f} s: {' '.join(runs[:PARTITIONS_SHOWN_MAX])}{more}"


def _runs(numbers: Iterable[int]) -> Iterable[str]:
    """1 2 3 7 → 1-3 7."""
    first = last = -2
    for number in sorted(numbers):
        if number != last + 1:
            if last >= 0:
                yield f"{first}-{last}" if last > first else f"{first}"
            first = number
        last = number
    if last >= 0:
        yield f"{first}-{last}" if last > first else f"{first}"


def _links(status: Mapping[str, Any]) -> str:
    links = status["links"]
    waits = f"{links['waiting']} messages wait in them" if links["waiting"] else "nothing waits in them"
    return f"{links['up']} of {links['all']} up; {waits}"


def _versions(status: Mapping[str, Any]) -> str:
    releases: Sequence[str] = sorted({one["release"] for one in status["members"] if one["release"]})
    low, high = status["speaks"][0], status["speaks"][-1]
    unknown = sum(one["messages"] for one in status["not_understood"])
    more = f"; {unknown} messages of a later one not understood" if unknown else ""
    return f"release {', '.join(releases)}; all speak {status['spoken']}, this node {low} to {high}{more}"


def _moves(found: Mapping[str, Any]) -> str:
    long = found[f"holds_over_{LONG_MS}_ms"]
    held = (
        f"; held up for {found['hold_ms_most']} ms at most, {long} for more than {LONG_MS}"
        if found["holds"]
        else ""
    )
    return f"{found['moved']} moved, {found['failed']} given up, {found['under_way']} under way{held}"


def _thought(found: Mapping[str, Any]) -> str:
    """Of the asked node's detector, since its start."""
    suspicions, deaths, wrong = found["suspicions"], found["deaths"], found["wrong_deaths"]
    ended = found.get("ended", 0)
    return f"called others suspect {suspicions} times, dead {deaths} times ({ended} as ended), {wrong} of these wrongly"


def _owner(name: str, one: Mapping[str, Any]) -> str:
    return f"{name} {one['members']} members, {one['partitions']} partitions"
