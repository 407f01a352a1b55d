"""`waystation bench cluster`: what a cluster costs beside one node, and how long phones wait when a node dies.

All nodes are processes on this machine, so rates are those of its cores together; CPU for each message is the figure
that says something. A peer's cluster can be measured in the same run. This module only turns options into calls and
figures into a result.
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
from rich.console import Console

from ops.bench import border, cluster_peer, failover, idle, sizes
from ops.bench.cluster_peer import Wanted
from ops.bench.clusters import load, running, spread, wait_placed
from ops.bench.comparison import Peer, terminated_as_interrupted
from ops.bench.ejabberd import EjabberdMissingError, EjabberdStartError, find_ejabberd
from ops.bench.ejabberd_configuration import Profile
from ops.bench.exchange import NotAllArrivedError
from ops.bench.node_process import NodeStartError
from ops.bench.places import Directory
from ops.bench.sampling import TooFewFilesError, machine
from ops.bench.screen import Screen, print_result
from ops.bench.session import LoadError
from ops.faults.stage import StageError
from ops.faults.standing import standing

app = App(name="cluster", help="What a cluster costs, and how long phones wait when a node dies.")

NODES: Final = 3
PAIRS: Final = 40
FAILOVER_USERS: Final = 1_200
WINDOW: Final = 5
Part = Literal["messages", "clusters", "stored", "failover", "rebalance", "idle"]
PARTS: Final[tuple[Part, ...]] = ("messages", "clusters", "stored", "failover", "rebalance", "idle")
_FAILURES: Final = (
    EjabberdMissingError, EjabberdStartError, LoadError, NotAllArrivedError, NodeStartError, StageError,
    TooFewFilesError,
)  # fmt: skip


def stored(folder: Path, users: int, seconds: float) -> dict[str, Any]:
    """Mail for users who are away: on one disk, and on two."""
    with running(folder / "one-copy", 1, users) as town:
        one = load(town, users, WINDOW, seconds, offline=True)
    with running(folder / "two-copies", NODES, users) as town:
        two = load(town, users, WINDOW, seconds, offline=True)
    return {
        "stored_at_one_copy": attrs.asdict(one),
        "stored_at_two_copies": attrs.asdict(two),
        "two_copies_over_one_cpu": two.cpu_us / one.cpu_us,
    }


def die(folder: Path) -> dict[str, Any]:
    """A node is killed under a light load."""
    with running(folder / "failover", NODES, FAILOVER_USERS) as town:
        wait_placed(town)
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
        tuple[Annotated[int, Parameter(validator=Number(gte=1, lte=16))], ...],
        Parameter(
            consume_multiple=True,
            help="Sizes of the clusters that messages are measured on, besides one member.",
        ),
    ] = (NODES,),
    sessions: Annotated[int, Parameter(validator=Number(gte=100), help="Idle ones.")] = 24_000,
    idle_nodes: Annotated[
        int, Parameter(validator=Number(gte=2, lte=16), help="Nodes that idle sessions are spread over.")
    ] = NODES,
    only: Annotated[tuple[Part, ...], Parameter(help="Only these parts.")] = (),
    against: Annotated[
        Peer | None,
        Parameter(help="Measure three nodes of this server, too. It is taken from the system's packages."),
    ] = None,
    peer: Annotated[
        Profile,
        Parameter(
            help="How the peer is configured; managed: its clients and servers acknowledge, as ours do."
        ),
    ] = "managed",
    directory: Directory = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Messages over three nodes beside one, mail on two disks beside one, a node's death, idle sessions."""
    users += users % 2
    if against:
        nodes = tuple(sorted({*nodes, NODES}))
    result: dict[str, Any] = {
        "benchmark": "cluster",
        "settings": {
            "seconds": seconds,
            "users": users,
            "nodes": list(nodes),
            "sessions": sessions,
            "idle_nodes": idle_nodes,
            "against": against,
        },
        "machine": machine(),
    }
    screen = Screen()
    wanted = only or PARTS
    try:
        if against:
            find_ejabberd()
        with terminated_as_interrupted(), tempfile.TemporaryDirectory(dir=directory) as place:
            folder = Path(place)
            if "messages" in wanted:
                with screen.phase("messages", 1):
                    result |= sizes.measure(folder, users, WINDOW, seconds, nodes)
            if "clusters" in wanted:
                with screen.phase("clusters", 1):
                    result |= border.measure(folder, users, WINDOW, seconds)
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
                    result |= idle.measure(folder, sessions, idle_nodes, screen)
            if against:
                with screen.phase("ejabberd", 1):
                    asked = Wanted(wanted, NODES, users, WINDOW, seconds, sessions, idle_nodes, peer)
                    if "failover" in wanted:
                        result |= cluster_peer.ends(folder, NODES)
                    theirs = cluster_peer.measure(folder / "ejabberd", asked)
                result |= {**cluster_peer.ratios(result, theirs, NODES), "ejabberd": theirs}
    except _FAILURES as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    if not as_json and "members" in result:
        Console().print(sizes.table(result))
        del result["members"]
    print_result(result, as_json=as_json)
