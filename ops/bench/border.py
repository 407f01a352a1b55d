"""A border between clusters: what it adds to a message, and what it costs a cluster that another one is cut off.

The same users write over two clusters of two nodes and over one of four, in the same run. Then one of two clusters is
cut off, packets vanishing, while pairs in the other go on. For that the nodes are in network namespaces of their own,
and so are the phones of each. This module must never know how a message travels.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs

from ops.bench.clusters import FAST, cpu_seconds, load, running, wait_placed
from ops.bench.failover import primaries
from ops.bench.identities import number_of
from ops.bench.session import LoadError, now_us
from ops.bench.sizes import hops
from ops.bench.storm_figures import Window, latencies, lost_messages
from ops.bench.storm_fleet import Crowds, together
from ops.bench.storm_plan import Crowd, Order, Phone, Told
from ops.faults.town import Town, TownNode
from ops.faults.unavailable import UnavailableError
from ops.tables.cables import Namespaces

LABELS: Final = ("east", "east", "west", "west")
CANDIDATES: Final = 400
"""Users of whom those are taken whose partitions are where they are wanted."""
PAIRS: Final = 10
"""At each node that isn't cut off: so many to users of its own cluster, and half as many to those of the other one."""
RATE: Final = 10.0
"""Messages a second of each."""
CALM_S: Final = 4.0
CUT_S: Final = 8.0
LOGIN_S_MAX: Final = 60.0
REST_S: Final = 20.0
BODY_BYTES: Final = 120
INSIDE: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType({**FAST, "listen": {"host": "127.0.0.1"}})
"""Phones are in their node's namespace, and need no other way to it."""
OWN, OTHER = "to_own_cluster", "to_the_other"


def measure(folder: Path, users: int, window: int, seconds: float) -> dict[str, Any]:
    """Loads over both, then the cut, as far as this machine can make one.

    Raises:
        LoadError, NotAllArrivedError, StageError, NodeStartError
    """
    nodes = len(LABELS)
    with running(folder / "clusters", nodes, users, LABELS) as town:
        two = load(town, users, window, seconds)
    with running(folder / "one-of-four", nodes, users) as town:
        one = load(town, users, window, seconds)
    found: dict[str, Any] = {
        "two_clusters": {"nodes": nodes, "hops_per_message": hops(nodes), **attrs.asdict(two)},
        "one_cluster_of_as_many": attrs.asdict(one),
        "border_cpu_us": two.cpu_us - one.cpu_us,
        "border_cost_over_one_cluster": two.cpu_us / one.cpu_us,
    }
    try:
        found["cut_off"] = cut_off(folder / "cut-off")
    except UnavailableError as error:
        found["cut_off_not_done"] = str(error)
    return found


def cut_off(folder: Path) -> dict[str, Any]:
    """Latencies in one cluster before, while and after the other one can't be reached.

    Raises:
        UnavailableError: no namespaces can be made here.
        LoadError, StageError, NodeStartError
    """
    nodes = len(LABELS)
    with running(folder, nodes, CANDIDATES, LABELS, INSIDE, Namespaces(nodes)) as town:
        wait_placed(town)
        near = [node for node in town.nodes if town.label(node) == LABELS[0]]
        is_near = owned(town, near)
        crowds = crowds_of([node.port for node in near], is_near)
        to = {one.user: one.to for crowd in crowds for one in crowd.phones}
        with Crowds.of(crowds, [node.prefix for node in near]) as fleet:
            everybody = len(to)
            if not fleet.wait(lambda one: one.online == everybody, LOGIN_S_MAX):
                raise LoadError(f"not everybody was logged in after {LOGIN_S_MAX:.0f} s")
            fleet.order(Order("begin"))
            time.sleep(CALM_S)
            cores = [_cores(near, CALM_S)]
            cut = now_us()
            town.cut_off(LABELS[0])
            cores.append(_cores(near, CUT_S))
            healed = now_us()
            town.heal()
            time.sleep(CALM_S)
            fleet.order(Order("end"))
            fleet.wait(lambda one: not one.open, REST_S)
            told = together(fleet.order(Order("tell")))
    return {
        "cut_s": (healed - cut) / 1e6,
        "live": latencies(told.messages, Window(cut, healed), _kind(is_near, to)),
        **lost_messages(told.messages),
        "sessions_lost": len(told.returns),
        "node_cores_before": cores[0],
        "node_cores": cores[1],
    }


def owned(town: Town, near: Sequence[TownNode]) -> Callable[[int], bool]:
    """Whether a user's partition is served by one of these."""
    partition_of, claims = primaries(near[0].data)
    ids = {node.id for node in near}
    return lambda user: claims.get(partition_of(number_of(user))) in ids


def crowds_of(ports: Sequence[int], is_near: Callable[[int], bool]) -> list[Crowd]:
    """At each of these, pairs that write: of each pair both are there, for they are in one namespace.

    Raises:
        LoadError: too few users have their partitions where they are wanted.
    """
    here = [user for user in range(CANDIDATES) if is_near(user)]
    there = [user for user in range(CANDIDATES) if not is_near(user)]
    if len(here) < len(ports) * 3 * PAIRS or len(there) < len(ports) * PAIRS:
        raise LoadError("too few users have their partitions where they are wanted")
    crowds = []
    for seed, port in enumerate(ports):
        phones: list[Phone] = []
        for place in range(PAIRS + PAIRS // 2):
            sender, recipient = here.pop(), (here if place < PAIRS else there).pop()
            phones += [Phone(sender, port, recipient), Phone(recipient, port)]
        crowds.append(
            Crowd(
                tuple(phones),
                ports=(port,),
                rate=RATE,
                body_bytes=BODY_BYTES,
                logins_parallel=8,
                seed=seed,
                nice=0,
                cut_spread=1.0,
            )
        )
    return crowds


def _kind(is_near: Callable[[int], bool], to: dict[int, int]) -> Callable[[Told], str]:
    return lambda told: OWN if is_near(to[told.sender]) else OTHER


def _cores(nodes: Sequence[TownNode], seconds: float) -> float:
    """What these use, for so long."""
    before, began = cpu_seconds(nodes), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(nodes) - before) / (time.monotonic() - began)
