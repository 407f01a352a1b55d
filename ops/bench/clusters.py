"""Clusters of real nodes on this machine to be measured.

This module must never judge a figure.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen

from admin.channel.client import Client, Target
from node.accounts.provision import provision
from ops.bench import cluster_load, process
from ops.bench.cluster_load import Cost, Members
from ops.bench.exchange import NotAllArrivedError
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.plan import Plan, Shape
from ops.bench.server import LIMITS_OFF, LOGINS_FREE
from ops.faults.stage import StageError
from ops.faults.town import Town, TownNode
from ops.history.writer import HistoryWriter
from ops.tables.cables import Cables, Plain

WHOLE_SECONDS_MAX: Final = 120.0
LOOK_SECONDS: Final = 0.1
STILL_SECONDS: Final = 1.5
"""Without a move: that was all, but for those that failed and are tried again later."""
PLACED_SECONDS: Final = 1.0
"""For so long nobody had anything to move: who hasn't a link yet doesn't know what is wanted there."""
HAPPENED: Final = ("announced", "announced_again", "closed", "choked", "stale_answers", "resent")
"""Of routing: what comes with something that is said again."""
FAST: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "mail": LIMITS_OFF,
        "session": LOGINS_FREE,
        "cluster": {"calm_ms": 0, "moves_per_s": 10_000.0, "moves_max": 64},
    }
)
"""Partitions go where they are wanted as fast as they can."""


@contextmanager
def running(
    folder: Path,
    nodes: int,
    users: int,
    labels: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] = FAST,
    cables: Cables | None = None,
) -> Iterator[Town]:
    """A cluster with accounts for users 0 … users - 1, or several that know one another, if the nodes have labels of
    clusters; ended with the block. cables: between them; None: loopback."""
    accounts = [(number_of(i), public_key(i), stream_of(i)) for i in range(users)]
    with _town(folder, nodes, labels, settings, cables) as town:
        town.prepare()
        for node in town.nodes:  # each has all of them: there is nothing to be copied
            provision(node.data, accounts)
        town.start_all()
        if nodes > 1:
            town.wait_whole(WHOLE_SECONDS_MAX)
        else:
            _served(town)
        yield town


@frozen
class Spread:
    """How partitions came to be spread over nodes that joined: how many moved, in how long."""

    partitions: int
    accounts: int
    seconds: float


def spread(folder: Path, nodes: int, users: int) -> Spread:
    """All that one node has is spread over several."""
    accounts = [(number_of(i), public_key(i), stream_of(i)) for i in range(users)]
    with _town(folder, nodes) as town:
        provision(town.nodes[0].data, accounts)
        town.prepare()
        town.start_all()
        began, moved = 0.0, 0
        at, until = time.monotonic(), time.monotonic() + WHOLE_SECONDS_MAX
        while time.monotonic() < until:
            now = town.status(town.nodes[0])["rebalancing"]["moved"]
            if now != moved:
                moved, at = now, time.monotonic()
                began = began or at
            elif began and time.monotonic() - at > STILL_SECONDS:
                break
            time.sleep(LOOK_SECONDS)
    return Spread(moved, users, at - began)


@contextmanager
def _town(
    folder: Path,
    nodes: int,
    labels: Sequence[str] = (),
    settings: Mapping[str, Mapping[str, Any]] = FAST,
    cables: Cables | None = None,
) -> Iterator[Town]:
    history = HistoryWriter(_made(folder) / "history.jsonl", "bench")
    try:
        with (
            cables or Plain(nodes) as network,
            Town(folder, history, network, nodes, settings=settings, labels=labels) as town,
        ):
            yield town
    finally:
        history.close()


def _served(town: Town) -> dict[str, Any]:
    until = time.monotonic() + WHOLE_SECONDS_MAX
    while True:
        status = town.status(town.nodes[0])
        if not status["partitions"]["served_by_nobody"] or time.monotonic() > until:
            return status
        time.sleep(0.1)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cpu_seconds(nodes: Sequence[TownNode]) -> float:
    """Of all of them."""
    return sum(process.cpu_seconds(node.process.pid) for node in nodes if node.process is not None)


def members_of(town: Town) -> Members:
    """As a load sees them."""
    nodes = town.nodes
    return Members("waystation", tuple(node.port for node in nodes), lambda: cpu_seconds(nodes))


def plan_of(town: Town, shape: Shape, window: int, *, offline: bool) -> Plan:
    """The generators' orders for these nodes."""
    return members_of(town).plan(shape, window, offline=offline)


def wait_placed(town: Town, seconds_max: float = WHOLE_SECONDS_MAX) -> None:
    """Until every partition is where it is wanted. Whoever is ready first claims most of them, and hands them over when
    there are others: on a busy machine for many seconds after all have two copies. A session whose partition moves is
    announced to the next primary, which hands over again what wasn't acknowledged: right, but not what a load measures.

    Raises:
        StageError: it took longer.
    """
    until, since = time.monotonic() + seconds_max, 0.0
    while not since or time.monotonic() < since + PLACED_SECONDS:
        if left := _to_move(town):
            if time.monotonic() > until:
                raise StageError(f"{left} partitions aren't where they are wanted after {seconds_max} s")
            since = 0.0
        else:
            since = since or time.monotonic()
        time.sleep(LOOK_SECONDS)
    if len(town.nodes) > 1:
        town.wait_whole(max(0.0, until - time.monotonic()))


def _to_move(town: Town) -> int:
    """Partitions that are being moved; if there are none, those that are to be. Asking for these begins again at once
    what failed, so it is done only then."""
    moving: int = sum(town.status(node)["rebalancing"]["under_way"] for node in town.nodes)
    return moving or sum(town.ask(node, "rebalance")["to_move"] for node in town.nodes)


def _happened(town: Town) -> dict[str, int]:
    """What may be the cause of a message that is handed over twice, at all nodes since they started."""
    found = dict.fromkeys((*HAPPENED, "moved", "move_failed"), 0)
    for node in town.nodes:
        with Client(Target.find(str(node.data))) as client:
            routing = client.ask(("stats", "routing"))
        for name in HAPPENED:
            found[name] += routing[name]
        rebalancing = town.status(node)["rebalancing"]
        found["moved"] += rebalancing["moved"]
        found["move_failed"] += rebalancing["failed"]
    return found


def load(town: Town, users: int, window: int, seconds: float, *, offline: bool = False) -> Cost:
    """As `cluster_load.load`, on these nodes, when partitions are where they are wanted.

    Raises:
        LoadError, StageError
        NotAllArrivedError: it says what happened to sessions and partitions meanwhile.
    """
    wait_placed(town)
    before = _happened(town)
    try:
        return cluster_load.load(members_of(town), users, window, seconds, offline=offline)
    except NotAllArrivedError as error:
        happened = {name: count - before[name] for name, count in _happened(town).items()}
        raise NotAllArrivedError(f"{error}; meanwhile: {happened}") from error
