"""`bench upgrade --nodes 3`: what phones notice when processes of a cluster's members are replaced, one after another.

Two phones wait for each other's messages across the member that is replaced: one that sends from it, and one that is
sent to at it, a message at a time. The longest wait of each is the pause as clients see it. Partitions move at the
rates that a cluster has by default. This module must never know how connections are handed over.
"""

import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import attrs

from node.wire import verbs
from ops.bench.cluster_load import LOGIN_SECONDS_MAX
from ops.bench.clusters import plan_of, running
from ops.bench.exchange import NotAllArrivedError
from ops.bench.fleet import Fleet, pairs_shape
from ops.bench.identities import device_key, number_of, stream_of
from ops.bench.reloads import Load
from ops.bench.screen import Screen
from ops.bench.server import LIMITS_OFF, LOGINS_FREE
from ops.bench.session import LoadError
from ops.bench.upgrades import UPGRADE, Connecting, asked, succeeded
from ops.faults.raw import RawPhone
from ops.faults.standing import standing
from ops.faults.town import Town, TownNode
from replication.membership.settings import MembershipSettings

PROBES: Final = 4
"""Phones that measure, at each member that is replaced."""
BETWEEN_SECONDS: Final = 0.01
"""From one message of theirs to the next."""
UNDISTURBED_SECONDS: Final = 3.0
SETTLED_SECONDS: Final = 1.5
"""After a new process has answered: what it had to tell others is told."""
WHOLE_SECONDS_MAX: Final = 60.0
LAST_SECONDS_MAX: Final = 60.0
WAIT_SECONDS_MAX: Final = 60.0
AS_SHIPPED: Final = MappingProxyType(
    {
        "mail": LIMITS_OFF,
        "session": LOGINS_FREE,
        "cluster": {
            name: getattr(MembershipSettings(), name) for name in ("calm_ms", "moves_per_s", "moves_max")
        },
    }
)


class Waiting(threading.Thread):
    """One phone writes to another, a message at a time, and waits until it is there and accepted.

    accepted_ms_max, deliver_ms_max: the longest that it took.
    """

    def __init__(self, sender: RawPhone, recipient: RawPhone, index: int, to: int) -> None:
        super().__init__(daemon=True)
        self.accepted_ms_max = 0.0
        self.deliver_ms_max = 0.0
        self._sender = sender
        self._recipient = recipient
        self._from = index
        self._to = to
        self._end = threading.Event()
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()
        if self._error is not None:
            raise self._error

    def run(self) -> None:
        """Until the end."""
        n = 0
        try:
            while not self._end.wait(BETWEEN_SECONDS):
                n += 1
                self._exchange(n)
        except (OSError, NotAllArrivedError) as error:
            self._error = error

    def _exchange(self, n: int) -> None:
        began = time.monotonic()
        self._sender.send(verbs.SEND, number_of(self._to), stream_of(self._from), n, n, b"body")
        while (frame := self._recipient.expect(verbs.DELIVER))[3] != n:
            if frame[3] > n:
                raise NotAllArrivedError(f"{frame[3]} came before {n}")
        self.deliver_ms_max = max(self.deliver_ms_max, (time.monotonic() - began) * 1000)
        self._recipient.send(verbs.ACK, frame[1], frame[2], n, n)
        while self._sender.expect(verbs.ACCEPTED)[4] < n:
            pass
        self.accepted_ms_max = max(self.accepted_ms_max, (time.monotonic() - began) * 1000)


@attrs.define
class Seen:
    """Of one upgrade: what the old process told of it, and what the phones saw."""

    done: dict[str, Any]
    from_it_ms: float
    to_it_ms: float
    port: Connecting


def measure(load: Load, upgrades: int, nodes: int, directory: Path, screen: Screen) -> dict[str, Any]:
    """
    Args:
        upgrades: one member after the other.

    Raises:
        LoadError: a session was closed, or it took too long.
        NotAllArrivedError: messages were lost, repeated to an app, or overtaken.
        Refused: an upgrade failed.
    """
    users = load.idle + load.busy
    accounts = users + PROBES * upgrades
    with running(directory / "cluster", nodes, accounts, settings=AS_SHIPPED) as town, ExitStack() as stack:
        for node in town.nodes:
            asked(node.data, "cluster", "rebalance")
        town.wait_whole(WHOLE_SECONDS_MAX)
        plan = plan_of(town, pairs_shape(users, 1), 1, offline=False)
        sending = attrs.evolve(plan, shape=pairs_shape(load.busy, 1), window=0, rate=load.rate)
        busy = stack.enter_context(Fleet.of(sending, 1))
        idle = stack.enter_context(Fleet.of(plan, 1))
        with screen.phase("logging in", users) as phase:
            busy.connect(0, load.busy, lambda counts: phase.show(counts.connected), LOGIN_SECONDS_MAX)
            idle.connect(
                load.busy, users, lambda counts: phase.show(load.busy + counts.connected), LOGIN_SECONDS_MAX
            )
        busy.begin()
        time.sleep(1.0)
        busy.mark()
        time.sleep(UNDISTURBED_SECONDS)
        quiet = busy.mark()
        seen = []
        with screen.phase("upgrading", upgrades) as phase:
            for number in range(upgrades):
                seen.append(_upgrade(town, number, users + PROBES * number))
                phase.show(number + 1, f"{seen[-1].from_it_ms:.0f} ms")
        under = busy.mark()
        busy.end()
        last = busy.wait(
            lambda counts: counts.receipted >= counts.sent,
            lambda _: None,
            LAST_SECONDS_MAX,
            "the last receipts",
        )
        if last.delivered != last.sent or last.disordered:
            raise NotAllArrivedError(f"{last}")
        idle.counts()  # raises if a session was closed
        sessions = sum(asked(node.data, "stats", "sessions") for node in town.nodes)
        counted = standing([town.status(node) for node in town.nodes])
    return {
        "nodes": nodes,
        "upgrades": len(seen),
        **_spread("client_pause_ms", [max(one.from_it_ms, one.to_it_ms) for one in seen]),
        **_spread("client_accepted_pause_ms", [one.from_it_ms for one in seen]),
        **_spread("client_deliver_pause_ms", [one.to_it_ms for one in seen]),
        **_spread("pause_ms", [one.done["pause_ms"] for one in seen]),
        **_spread("moves_ms", [one.done["moves_ms"] for one in seen]),
        "partitions_handed_over": [one.done["partitions"] for one in seen],
        "partitions_left": sum(one.done["partitions_left"] for one in seen),
        "handed_over": [one.done["connections"] for one in seen],
        "sessions": users,
        "sessions_kept": min(users, sessions),
        "deaths": counted["deaths"],
        "wrong_deaths": counted["wrong_deaths"],
        "connects": sum(one.port.connected for one in seen),
        "connects_refused": sum(one.port.refused for one in seen),
        "connect_ms_max": max(one.port.ms_max for one in seen),
        "handed_over_again": last.repeated,
        "send_to_accepted_ms": under.to_accepted.summary_ms(),
        "send_to_accepted_without_upgrades_ms": quiet.to_accepted.summary_ms(),
        "send_to_deliver_ms": under.to_deliver.summary_ms(),
        "send_to_deliver_without_upgrades_ms": quiet.to_deliver.summary_ms(),
    }


def _upgrade(town: Town, number: int, first: int) -> Seen:
    """Of one member after the other, once everything has two copies; partitions needn't have come home."""
    _wait_for_copies(town)
    node, other = (town.nodes[(number + more) % len(town.nodes)] for more in (0, 1))
    places = (node, other, other, node)
    with ExitStack() as stack:
        phones = [stack.enter_context(_logged_in(place, first + index)) for index, place in enumerate(places)]
        port = stack.enter_context(Connecting(node.port))
        from_it = stack.enter_context(Waiting(phones[0], phones[1], first, first + 1))
        to_it = stack.enter_context(Waiting(phones[2], phones[3], first + 2, first + 3))
        time.sleep(0.2)
        from_it.accepted_ms_max = to_it.deliver_ms_max = 0.0
        assert node.process is not None
        done = succeeded(node.data, *UPGRADE)
        node.process = node.process.succeeded_by(done["pid"])
        time.sleep(SETTLED_SECONDS)
    return Seen(done, from_it.accepted_ms_max, to_it.deliver_ms_max, port)


def _wait_for_copies(town: Town) -> None:
    """
    Raises:
        LoadError
    """
    until = time.monotonic() + WHOLE_SECONDS_MAX
    while True:
        parts = [town.status(node)["partitions"] for node in town.nodes]
        if not any(one["at_one_copy"] or one["served_by_nobody"] for one in parts):
            return
        if time.monotonic() > until:
            raise LoadError(f"not everything has two copies after {WHOLE_SECONDS_MAX:.0f} s: {parts}")
        time.sleep(0.1)


def _logged_in(node: TownNode, index: int) -> RawPhone:
    phone = RawPhone("127.0.0.1", node.port, tls=False, seconds_max=WAIT_SECONDS_MAX)
    phone.login(number_of(index), device_key(index))
    return phone


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    return {f"{name}_p50": statistics.median(values), f"{name}_max": max(values)}
