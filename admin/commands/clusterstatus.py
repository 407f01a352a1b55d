"""The cluster that a node is a member of, as that node knows it. Nothing is changed here."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from admin.commands.table import Command, Context, Role
from node.tables import USERS

SHOWN_MAX: Final = 64
"""Partitions that are listed one by one."""
MEMBERS: Final = (
    "node", "state", "alive", "server", "cluster", "primary", "heir", "release", "speaks",
)  # fmt: skip
ADDRESSES: Final = ("node", "weight", "rack", "address", "public")
KEYS: Final = ("node", "key", "next_key")
"""Of members; each of the tables fits 100 columns, as long as labels are short."""


async def _status(context: Context, arguments: Mapping[str, Any]) -> Any:
    cluster = context.node.cluster
    if cluster is None:
        return {"node": context.node.node.hex(), "alone": True}
    status = cluster.operate.status()
    users = status["groups"][USERS.name]
    links = status["links"]
    thought = cluster.detector.statistics()
    return {
        "node": status["node"],
        "name": status["name"],
        "members": [{name: one[name] for name in MEMBERS} for one in status["members"]],
        "addresses": [{name: one[name] for name in ADDRESSES} for one in status["members"]],
        "keys": [{name: one[name] for name in KEYS} for one in status["members"]],
        "partitions": {
            "all": users["partitions"],
            "served_here": users["served"],
            "complete_here": users["live"],
            "moving": users["moving"],
            "at_one_copy": len(users["single"]),
            "at_one_copy_for_s_most": max((ms for _, ms in users["single"]), default=0) / 1000,
            "served_by_nobody": len(users["unserved"]),
            "unpledged": context.node.statistics().get("routing", {}).get("partitions_unpledged", 0),
        },
        "at_one_copy": [{"partition": p, "for_s": ms / 1000} for p, ms in users["single"][:SHOWN_MAX]],
        "served_by_nobody": [{"partition": p, "for_s": ms / 1000} for p, ms in users["unserved"][:SHOWN_MAX]],
        "links": {
            "up": sum(bool(link["up"]) for link in links),
            "all": len(links),
            "waiting": sum(link["waiting"] for link in links),
            "sent": _sent(links),
        },
        "links_down": [
            {"peer": link["peer"], "channel": link["channel"] or "control", "why": link["ended"] or "-"}
            for link in links
            if not link["up"]
        ][:SHOWN_MAX],
        "clusters": status["clusters"],
        "rebalancing": status["rebalancing"],
        "detector": {name: thought[name] for name in ("suspicions", "deaths", "ended", "wrong_deaths")},
        "not_understood": _not_understood(context, status["not_understood"]),
        "agreed": status["agreed"],
        "speaks": status["speaks"],
        "spoken": status["spoken"],
    }


def _sent(links: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Messages to all peers since the start, by channel."""
    sent: dict[str, int] = {}
    for link in links:
        channel = link["channel"] or "control"
        sent[channel] = sent.get(channel, 0) + link["sent"]
    return sent


def _not_understood(context: Context, heard: Mapping[str, Mapping[str, int]]) -> list[dict[str, Any]]:
    """What newer releases say and this one passes over, by channel and code."""
    routing = context.node.statistics().get("routing", {}).get("not_understood", {})
    both = {**heard, **{f"route.{channel}": counts for channel, counts in routing.items()}}
    return [
        {"channel": channel, "code": code, "messages": count}
        for channel, counts in both.items()
        for code, count in counts.items()
    ]


COMMANDS: Final = (
    Command(
        name="cluster status",
        role=Role.VIEWER,
        summary="The cluster as this node knows it.",
        help=(
            "Members with their state, whether this node hears them, what they are primary and heir of; partitions by"
            " state, those that stand at one copy and for how long, those that nobody serves; links that are down;"
            " what is being moved. unpledged: partitions served here in which a registration was refused, as no"
            " majority of the members has pledged them. agreed: how many members are known to have the same list of"
            " members. spoken: the version that all of them understand. On a node that stands alone: that it does."
        ),
        example="cluster status",
        run=_status,
    ),
)
