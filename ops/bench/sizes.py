"""What a message costs on clusters of growing size: the same users on one node, on a cluster of one member, and on
larger ones, where the two of a pair are at different nodes and their primaries anywhere.

Each size is measured twice: as nodes are by default, where a message that isn't acknowledged within the sync delay is
written, and with writing put off. What the second costs more than one member does, is hops; what the first costs more
than the second, is writing. All nodes share this machine's cores, so the rate falls as the cost of a message grows; CPU
for a message is what says something about more machines. This module must never know how a message travels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
from rich.table import Table

from admin.channel.client import Client, Target
from ops.bench import exchange
from ops.bench.cluster_load import Cost
from ops.bench.clusters import FAST, load, running
from ops.bench.exchange import Exchange
from ops.bench.screen import Screen
from ops.bench.server import waystation
from ops.faults.town import Town

PUT_OFF_MS: Final = 5_000
"""Longer than an answer takes, however loaded the machine is."""
PUT_OFF: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {**FAST, "mail": {**FAST["mail"], "sync_delay_ms": PUT_OFF_MS}}
)


@attrs.frozen
class OfSize:
    """What a load on one size came to. written_share: of its messages, how many were written; unwritten: the same load
    with writing put off."""

    cost: Cost
    written_share: float
    unwritten: Cost


def measure(folder: Path, users: int, window: int, seconds: float, counts: Sequence[int]) -> dict[str, Any]:
    """Online pairs: a node that stands alone, a cluster of one member, and larger ones.

    Raises:
        LoadError, NotAllArrivedError, StageError, NodeStartError
    """
    alone = _alone(folder / "alone", users, window, seconds)
    found: dict[int, OfSize] = {}
    for count in sorted({1, *counts}):
        with running(folder / f"of-{count}", count, users) as town:
            before = _written(town)
            cost = load(town, users, window, seconds)
            written, taken = (after - first for after, first in zip(_written(town), before, strict=True))
        with running(folder / f"of-{count}-unwritten", count, users, settings=PUT_OFF) as town:
            found[count] = OfSize(cost, written / taken, load(town, users, window, seconds))
    return figures(alone, found)


def _written(town: Town) -> tuple[int, int]:
    """Messages that were written, and those that were taken, at all nodes since they started."""
    written = taken = 0
    for node in town.nodes:
        with Client(Target.find(str(node.data))) as client:
            mail = client.ask(("stats", "mail"))
        written += mail["written"]
        taken += mail["taken"]
    return written, taken


def figures(alone: Mapping[str, Any], found: Mapping[int, OfSize]) -> dict[str, Any]:
    """By size, one member's among them; `hop_cpu_us` at the top is that of the smallest cluster with hops."""
    one = found[1]
    members: list[dict[str, Any]] = []
    for count, of in sorted(found.items()):
        of_size = {
            "nodes": count,
            "hops_per_message": hops(count),
            **attrs.asdict(of.cost),
            "written_share": of.written_share,
            "unwritten_cpu_us": of.unwritten.cpu_us,
            "unwritten_messages_per_s": of.unwritten.messages_per_s,
            "writing_cpu_us": of.cost.cpu_us - of.unwritten.cpu_us,
        }
        if count > 1:
            of_size["hop_cpu_us"] = (of.unwritten.cpu_us - one.unwritten.cpu_us) / hops(count)
            of_size["cost_over_one_member"] = of.cost.cpu_us / one.cost.cpu_us
        members.append(of_size)
    result: dict[str, Any] = {
        "alone": dict(alone),
        "one_member": attrs.asdict(one.cost),
        "members": members,
    }
    first = next((one for one in members if one["nodes"] > 1), None)
    if first is not None:
        result["hop_cpu_us"] = first["hop_cpu_us"]
    return result


def hops(nodes: int) -> float:
    """Of one message between random users on as many nodes: send and accepted between the sender's edge and the
    recipient's primary, deliver and ack between that and the recipient's edge; each stays on its node by chance."""
    return 4 * (nodes - 1) / nodes


def table(found: Mapping[str, Any]) -> Table:
    """The same for a person: how the cost changes with the size."""
    shown = Table(title="a message, by the number of nodes")
    for name in ("nodes", "messages/s", "CPU µs", "written", "CPU µs, unwritten", "hops", "CPU µs of a hop"):
        shown.add_column(name, justify="right")
    alone = found["alone"]
    shown.add_row("alone", f"{alone['messages_per_s']:,.0f}", f"{alone['cpu_us']:.1f}", "", "", "0", "")
    for one in found["members"]:
        shown.add_row(
            str(one["nodes"]),
            f"{one['messages_per_s']:,.0f}",
            f"{one['cpu_us']:.1f}",
            f"{one['written_share']:.0%}",
            f"{one['unwritten_cpu_us']:.1f}",
            f"{one['hops_per_message']:.2f}",
            f"{one['hop_cpu_us']:.1f}" if "hop_cpu_us" in one else "",
        )
    return shown


def _alone(folder: Path, users: int, window: int, seconds: float) -> dict[str, Any]:
    with waystation(folder, users) as server:
        found = exchange.measure(server, Exchange(users, window, seconds=seconds), Screen())
    return {
        "messages_per_s": found["messages_per_s"],
        "cpu_us": found["node_cpu_us_per_message"],
        "to_accepted_ms": found["send_to_accepted_ms"],
        "to_deliver_ms": found["send_to_deliver_ms"],
    }
