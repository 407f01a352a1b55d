"""Clusters of real nodes on this machine to be measured, and loads on them.

This module must never judge a figure.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen

from node.accounts.provision import provision
from ops.bench import process
from ops.bench.exchange import NotAllArrivedError
from ops.bench.fleet import Fleet, Mark, pairs_shape
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.plan import Plan, Shape
from ops.bench.server import LIMITS_OFF, LOGINS_FREE
from ops.faults.town import Town, TownNode
from ops.history.writer import HistoryWriter
from ops.tables.cables import Plain

LOGIN_SECONDS_MAX: Final = 120.0
LAST_SECONDS_MAX: Final = 60.0
WHOLE_SECONDS_MAX: Final = 120.0
WARM_UP_SECONDS: Final = 1.5
LOOK_SECONDS: Final = 0.1
STILL_SECONDS: Final = 1.5
"""Without a move: that was all, but for those that failed and are tried again later."""
LOGINS_PARALLEL: Final = 32
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
) -> Iterator[Town]:
    """A cluster with accounts for users 0 … users - 1, or several that know one another, if the nodes have labels of
    clusters; ended with the block."""
    accounts = [(number_of(i), public_key(i), stream_of(i)) for i in range(users)]
    with _town(folder, nodes, labels, settings) as town:
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
    folder: Path, nodes: int, labels: Sequence[str] = (), settings: Mapping[str, Mapping[str, Any]] = FAST
) -> Iterator[Town]:
    history = HistoryWriter(_made(folder) / "history.jsonl", "bench")
    try:
        with (
            Plain(nodes) as cables,
            Town(folder, history, cables, nodes, settings=settings, labels=labels) as town,
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


@frozen
class Cost:
    """What a load came to. cpu_us: of all nodes, for one message, less what they use when nobody says anything."""

    messages: int
    messages_per_s: float
    cpu_us: float
    idle_cores: float
    to_accepted_ms: dict[str, float | None]
    to_deliver_ms: dict[str, float | None]


def plan_of(town: Town, shape: Shape, window: int, *, offline: bool) -> Plan:
    """The generators' orders: users connect to the nodes in turn."""
    ports = tuple(node.port for node in town.nodes)
    return Plan(
        dialect="waystation",
        host="127.0.0.1",
        port=ports[0],
        tls=False,
        shape=shape,
        window=window,
        rate=0,
        body_bytes=120,
        flight="accepted" if offline else "receipted",
        logins_parallel=LOGINS_PARALLEL,
        ports=ports,
    )


def load(town: Town, users: int, window: int, seconds: float, *, offline: bool = False) -> Cost:
    """Messages to and fro between users, half of whom are away if `offline`: then each is stored.

    Raises:
        LoadError, NotAllArrivedError
    """
    if offline:
        half = users // 2
        shape = Shape(senders=half, recipients=half, partners=1)
    else:
        shape = pairs_shape(users, 1)
    nodes = town.nodes
    with Fleet.of(plan_of(town, shape, window, offline=offline), 1) as fleet:
        fleet.connect(0, shape.senders, lambda _: None, LOGIN_SECONDS_MAX)
        time.sleep(1.0)
        idle_before, idle_at = cpu_seconds(nodes), time.monotonic()
        time.sleep(1.0)
        idle = (cpu_seconds(nodes) - idle_before) / (time.monotonic() - idle_at)
        fleet.begin()
        time.sleep(WARM_UP_SECONDS)
        before, cpu_before = fleet.mark(), cpu_seconds(nodes)
        time.sleep(seconds)
        after, cpu_after = fleet.mark(), cpu_seconds(nodes)
        fleet.end()
        last = fleet.wait(
            lambda counts: (counts.accepted if offline else counts.receipted) >= counts.sent,
            lambda _: None,
            LAST_SECONDS_MAX,
            "the last messages",
        )
        if last.repeated or (not offline and last.delivered != last.sent):
            raise NotAllArrivedError(f"cluster: {last}")
    return _cost(before, after, cpu_after - cpu_before, idle, offline=offline)


def _cost(before: Mark, after: Mark, cpu: float, idle: float, *, offline: bool) -> Cost:
    seconds = after.at - before.at
    done = after.counts.accepted - before.counts.accepted
    if not offline:
        done = after.counts.receipted - before.counts.receipted
    if not done:
        raise NotAllArrivedError(f"nothing arrived within {seconds:.0f} s")
    return Cost(
        messages=done,
        messages_per_s=done / seconds,
        cpu_us=(cpu - idle * seconds) / done * 1e6,
        idle_cores=idle,
        to_accepted_ms=after.to_accepted.summary_ms(),
        to_deliver_ms=after.to_deliver.summary_ms(),
    )
