"""`waystation bench cluster`: what a cluster costs beside one node, and how long phones wait when a node dies.

All nodes are processes on this machine, so rates are those of its cores together; CPU for each message is the figure
that says something. This module only turns options into calls and figures into a result.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.bench import exchange, failover
from ops.bench.clusters import Cost, load, plan_of, rss_bytes, running, spread
from ops.bench.comparison import terminated_as_interrupted
from ops.bench.exchange import Exchange, NotAllArrivedError
from ops.bench.fleet import Fleet, pairs_shape
from ops.bench.node_process import NodeStartError
from ops.bench.sampling import allow_files, machine
from ops.bench.screen import Screen, print_result
from ops.bench.server import waystation
from ops.bench.session import LoadError
from ops.faults.stage import StageError
from ops.faults.standing import standing

app = App(name="cluster", help="What a cluster costs, and how long phones wait when a node dies.")

NODES: Final = 3
LABELS: Final = ("east", "east", "west", "west")
PAIRS: Final = 40
FAILOVER_USERS: Final = 1_200
WINDOW: Final = 5
LOGIN_S_MAX: Final = 0.2
FILES_SPARE: Final = 400
Part = Literal["messages", "clusters", "stored", "failover", "rebalance", "idle"]
PARTS: Final[tuple[Part, ...]] = ("messages", "clusters", "stored", "failover", "rebalance", "idle")
_FAILURES: Final = (LoadError, NotAllArrivedError, NodeStartError, StageError)


def messages(folder: Path, users: int, seconds: float, counts: Sequence[int]) -> dict[str, Any]:
    """Online pairs: a node that stands alone, a cluster of one member, and larger ones."""
    result: dict[str, Any] = {"alone": _alone(folder / "alone", users, seconds)}
    costs: dict[int, Cost] = {}
    for count in (1, *counts):
        with running(folder / f"of-{count}", count, users) as town:
            costs[count] = load(town, users, WINDOW, seconds)
    result["one_member"] = _shown(costs.pop(1))
    one = result["one_member"]["cpu_us"]
    result["members"] = [
        {
            "nodes": count,
            "hops_per_message": hops(count),
            "hop_cpu_us": (cost.cpu_us - one) / hops(count),
            **_shown(cost),
        }
        for count, cost in costs.items()
    ]
    result["hop_cpu_us"] = next(one["hop_cpu_us"] for one in result["members"])
    return result


def hops(nodes: int) -> float:
    """Of one message between random users on as many nodes: send and accepted between the sender's edge and the
    recipient's primary, deliver and ack between that and the recipient's edge; each stays on its node by chance."""
    return 4 * (nodes - 1) / nodes


def _alone(folder: Path, users: int, seconds: float) -> dict[str, Any]:
    with waystation(folder, users) as server:
        found = exchange.measure(server, Exchange(users, WINDOW, seconds=seconds), Screen())
    return {
        "messages_per_s": found["messages_per_s"],
        "cpu_us": found["node_cpu_us_per_message"],
        "to_accepted_ms": found["send_to_accepted_ms"],
        "to_deliver_ms": found["send_to_deliver_ms"],
    }


def clusters(folder: Path, users: int, seconds: float) -> dict[str, Any]:
    """Online pairs over two clusters of two, each of which owns half of the partitions."""
    with running(folder / "clusters", len(LABELS), users, LABELS) as town:
        cost = load(town, users, WINDOW, seconds)
    return {"two_clusters": {"nodes": len(LABELS), "hops_per_message": hops(len(LABELS)), **_shown(cost)}}


def stored(folder: Path, users: int, seconds: float) -> dict[str, Any]:
    """Mail for users who are away: on one disk, and on two."""
    with running(folder / "one-copy", 1, users) as town:
        one = load(town, users, WINDOW, seconds, offline=True)
    with running(folder / "two-copies", NODES, users) as town:
        two = load(town, users, WINDOW, seconds, offline=True)
    return {
        "stored_at_one_copy": _shown(one),
        "stored_at_two_copies": _shown(two),
        "two_copies_over_one_cpu": two.cpu_us / one.cpu_us,
    }


def die(folder: Path) -> dict[str, Any]:
    """A node is killed under a light load."""
    with running(folder / "failover", NODES, FAILOVER_USERS) as town:
        victim, *others = reversed(town.nodes)
        partition_of, claims = failover.primaries(victim.data)
        ports = [node.port for node in others]
        pairs = failover.pairs_of(FAILOVER_USERS, partition_of, claims, victim.id, ports, PAIRS)
        accepted, delivered = failover.measure(pairs, lambda: town.kill(victim))
        counted = standing([town.status(node) for node in others])
    return {
        "failover_seconds": max(_percentile(accepted, 0.99), _percentile(delivered, 0.99)),
        "failover_partitions": len(pairs),
        "wrong_deaths": counted["wrong_deaths"],
        "next_accepted_s": _summary(accepted),
        "next_deliver_s": _summary(delivered),
    }


def rebalance(folder: Path) -> dict[str, Any]:
    """A node that has everything is joined by two others."""
    found = spread(folder / "rebalance", NODES, FAILOVER_USERS)
    return {
        "rebalanced_partitions": found.partitions,
        "rebalanced_accounts": found.accounts,
        "rebalance_seconds": found.seconds,
        "rebalanced_partitions_per_s": found.partitions / found.seconds if found.seconds else 0.0,
    }


def idle(folder: Path, sessions: int) -> dict[str, Any]:
    """Sessions that say nothing, over all nodes."""
    sessions += sessions % 2
    allow_files(sessions + FILES_SPARE)
    with running(folder / "idle", NODES, sessions) as town:
        warm = min(300, sessions // 4) // 2 * 2
        plan = plan_of(town, pairs_shape(sessions, 1), 1, offline=False)
        with Fleet.of(plan, max(1, sessions // 5_000)) as fleet:
            seconds_max = 60 + sessions * LOGIN_S_MAX
            fleet.connect(0, warm, lambda _: None, seconds_max)
            before = rss_bytes(town.nodes)
            fleet.connect(warm, sessions, lambda _: None, seconds_max)
            after = rss_bytes(town.nodes)
    return {
        "idle_sessions": sessions,
        "idle_nodes": NODES,
        "bytes_per_session": (after - before) / (sessions - warm),
    }


def _shown(cost: Cost) -> dict[str, Any]:
    return attrs.asdict(cost)


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _summary(values: Sequence[float]) -> dict[str, float]:
    return {
        "p50": statistics.median(values),
        "p99": _percentile(values, 0.99),
        "max": max(values),
    }


@app.default
def cluster(
    *,
    seconds: Annotated[float, Parameter(validator=Number(gt=0), help="Of each load.")] = 5.0,
    users: Annotated[int, Parameter(validator=Number(gte=4), help="Who write to one another.")] = 120,
    nodes: Annotated[
        tuple[Annotated[int, Parameter(validator=Number(gte=2, lte=16))], ...],
        Parameter(help="Sizes of the clusters that messages are measured on."),
    ] = (NODES,),
    sessions: Annotated[int, Parameter(validator=Number(gte=100), help="Idle ones.")] = 3_000,
    only: Annotated[tuple[Part, ...], Parameter(help="Only these parts.")] = (),
    directory: Annotated[Path | None, Parameter(help="Where the nodes' directories are made.")] = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Messages over three nodes beside one, mail on two disks beside one, a node's death, idle sessions."""
    users += users % 2
    result: dict[str, Any] = {
        "benchmark": "cluster",
        "settings": {"seconds": seconds, "users": users, "sessions": sessions, "nodes": list(nodes)},
        "machine": machine(),
    }
    screen = Screen()
    wanted = only or PARTS
    try:
        with terminated_as_interrupted(), tempfile.TemporaryDirectory(dir=directory) as place:
            folder = Path(place)
            if "messages" in wanted:
                with screen.phase("messages", 1):
                    result |= messages(folder, users, seconds, nodes)
            if "clusters" in wanted:
                with screen.phase("clusters", 1):
                    result |= clusters(folder, users, seconds)
            if "stored" in wanted:
                with screen.phase("stored", 1):
                    result |= stored(folder, users, seconds)
            if "failover" in wanted:
                with screen.phase("failover", 1):
                    result |= die(folder)
            if "rebalance" in wanted:
                with screen.phase("rebalance", 1):
                    result |= rebalance(folder)
            if "idle" in wanted:
                with screen.phase("idle", 1):
                    result |= idle(folder, sessions)
    except _FAILURES as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    print_result(result, as_json=as_json)
