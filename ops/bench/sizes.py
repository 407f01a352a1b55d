"""What a message costs on clusters of growing size: the same users on one node, on a cluster of one member, and on
larger ones, where the two of a pair are at different nodes and their primaries anywhere.

All nodes share this machine's cores, so the rate falls as the cost of a message grows; CPU for a message is what says
something about more machines. This module must never know how a message travels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from rich.table import Table

from ops.bench import exchange
from ops.bench.cluster_load import Cost
from ops.bench.clusters import load, running
from ops.bench.exchange import Exchange
from ops.bench.screen import Screen
from ops.bench.server import waystation


def measure(folder: Path, users: int, window: int, seconds: float, counts: Sequence[int]) -> dict[str, Any]:
    """Online pairs: a node that stands alone, a cluster of one member, and larger ones.

    Raises:
        LoadError, NotAllArrivedError, StageError, NodeStartError
    """
    alone = _alone(folder / "alone", users, window, seconds)
    costs: dict[int, Cost] = {}
    for count in sorted({1, *counts}):
        with running(folder / f"of-{count}", count, users) as town:
            costs[count] = load(town, users, window, seconds)
    return figures(alone, costs)


def figures(alone: Mapping[str, Any], costs: Mapping[int, Cost]) -> dict[str, Any]:
    """By size, one member's among them; `hop_cpu_us` at the top is that of the smallest cluster with hops."""
    one = costs[1].cpu_us
    members: list[dict[str, Any]] = []
    for count, cost in sorted(costs.items()):
        of_size = {"nodes": count, "hops_per_message": hops(count), **attrs.asdict(cost)}
        if count > 1:
            of_size["hop_cpu_us"] = (cost.cpu_us - one) / hops(count)
            of_size["cost_over_one_member"] = cost.cpu_us / one
        members.append(of_size)
    result: dict[str, Any] = {"alone": dict(alone), "one_member": attrs.asdict(costs[1]), "members": members}
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
    for name in ("nodes", "messages/s", "CPU µs", "hops", "CPU µs of a hop"):
        shown.add_column(name, justify="right")
    alone = found["alone"]
    shown.add_row("alone", f"{alone['messages_per_s']:,.0f}", f"{alone['cpu_us']:.1f}", "0", "")
    for one in found["members"]:
        hop = f"{one['hop_cpu_us']:.1f}" if "hop_cpu_us" in one else ""
        cells = f"{one['messages_per_s']:,.0f}", f"{one['cpu_us']:.1f}", f"{one['hops_per_message']:.2f}", hop
        shown.add_row(str(one["nodes"]), *cells)
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
