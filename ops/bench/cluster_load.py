"""A load on the nodes of a cluster, ours or a peer's: pairs of users at different nodes, and what a message costs all.

This module must never know what the nodes are, nor judge a figure.
"""

import time
from collections.abc import Callable
from typing import Final

from attrs import frozen

from ops.bench.exchange import NotAllArrivedError
from ops.bench.fleet import Fleet, Mark, pairs_shape
from ops.bench.plan import Dialect, Plan, Shape

LOGIN_SECONDS_MAX: Final = 120.0
LAST_SECONDS_MAX: Final = 60.0
WARM_UP_SECONDS: Final = 1.5
LOGINS_PARALLEL: Final = 32


@frozen
class Members:
    """What a load has to know. cpu_seconds: of all of them, so far."""

    dialect: Dialect
    ports: tuple[int, ...]
    cpu_seconds: Callable[[], float]

    def plan(self, shape: Shape, window: int, *, offline: bool) -> Plan:
        """The generators' orders: users connect to the nodes in turn."""
        return Plan(
            dialect=self.dialect,
            host="127.0.0.1",
            port=self.ports[0],
            tls=False,
            shape=shape,
            window=window,
            rate=0,
            body_bytes=120,
            flight="accepted" if offline else "receipted",
            logins_parallel=LOGINS_PARALLEL,
            ports=self.ports,
        )


@frozen
class Cost:
    """What a load came to. cpu_us: of all nodes, for one message, less what they use when nobody says anything."""

    messages: int
    messages_per_s: float
    cpu_us: float
    idle_cores: float
    to_accepted_ms: dict[str, float | None]
    to_deliver_ms: dict[str, float | None]


def load(members: Members, users: int, window: int, seconds: float, *, offline: bool = False) -> Cost:
    """Messages to and fro between users, half of whom are away if `offline`: then each is stored.

    Raises:
        LoadError, NotAllArrivedError
    """
    if offline:
        half = users // 2
        shape = Shape(senders=half, recipients=half, partners=1)
    else:
        shape = pairs_shape(users, 1)
    with Fleet.of(members.plan(shape, window, offline=offline), 1) as fleet:
        fleet.connect(0, shape.senders, lambda _: None, LOGIN_SECONDS_MAX)
        time.sleep(1.0)
        idle_before, idle_at = members.cpu_seconds(), time.monotonic()
        time.sleep(1.0)
        idle = (members.cpu_seconds() - idle_before) / (time.monotonic() - idle_at)
        fleet.begin()
        time.sleep(WARM_UP_SECONDS)
        before, cpu_before = fleet.mark(), members.cpu_seconds()
        time.sleep(seconds)
        after, cpu_after = fleet.mark(), members.cpu_seconds()
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
