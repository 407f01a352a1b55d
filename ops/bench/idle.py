"""Idle sessions over the nodes of a cluster: what one costs in memory at its edge and at its user's primary, beside one
of a node that stands alone.

One node is looked at twice. First its share of the phones logs in on it alone: its memory grows by sessions. Then all
others log in elsewhere: its memory grows by what the primary of a share of them keeps. This module must never know
what a node keeps of a session.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import attrs
from attrs import frozen

from ops.bench import connections, process
from ops.bench.clusters import FAST, WHOLE_SECONDS_MAX, cpu_seconds, plan_of, running, wait_placed
from ops.bench.connections import Connections
from ops.bench.failover import primaries
from ops.bench.fleet import Fleet, pairs_shape
from ops.bench.identities import number_of
from ops.bench.sampling import allow_files
from ops.bench.screen import Screen
from ops.bench.server import LOGINS_FREE, waystation
from ops.faults.stage import StageError
from ops.faults.town import Town, TownNode
from replication.core.settings import ReplicaSettings

WARM_PER_NODE: Final = 1_500
"""They are there before, to have paid for what is needed once."""
PER_GENERATOR: Final = 12_500
FILES_SPARE: Final = 400
ALONE_MAX: Final = 15_000
"""Sessions of the node that stands alone."""
LEAVE_S: Final = ReplicaSettings().leave_ms / 1000 + 2
"""After so long copies that are of no use any more are emptied, some at a time."""
BUSY_CORES_MAX: Final = 0.05
"""Of a node with nothing to do: a third of that and less."""
STILL_S: Final = 3.0
STILL_S_MAX: Final = 180.0
REST_S: Final = 3.0
IDLE_S: Final = 5.0
START_S_MAX: Final = 60.0
LOGIN_S_MAX: Final = 0.05
"""For each login, on average: a limit for hopeless cases."""
CALM: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        **FAST,
        "session": {**LOGINS_FREE, "ping_after_s": 7_200, "ping_wait_s": 30},
        "store": {"map_bytes": 1 << 30},
    }
)
"""Nobody is asked whether he is still there: how many would be depends on how long the logins took."""


@frozen
class Crowd:
    """Who logs in where. Users 0 … warm - 1: on all nodes in turn. warm … first - 1: on the node that is looked at.
    first … users - 1: on the others in turn. All are even, for the users of a load are pairs."""

    nodes: int
    warm: int
    first: int
    users: int

    @classmethod
    def of(cls, sessions: int, nodes: int) -> "Crowd":
        """So many sessions, an equal share at each node."""
        assert nodes >= 2, "some must have their primary elsewhere"
        warm = WARM_PER_NODE * nodes // 2 * 2
        first = warm + sessions // nodes // 2 * 2
        return cls(nodes, warm, first, warm + sessions + sessions % 2)

    @property
    def sessions(self) -> int:
        """Those that are measured."""
        return self.users - self.warm

    @property
    def files(self) -> int:
        """What one process needs, a node or a load generator."""
        return max(-(-self.users // self.nodes), PER_GENERATOR) + FILES_SPARE


@frozen
class Look:
    """What is used at a moment at rest. one: the node that is looked at. Anonymous memory belongs to no file: how much
    of the database is in memory changes with what replicas compare."""

    rss: int
    anonymous: int
    one_anonymous: int
    cpu_s: float
    at: float


def measure(folder: Path, sessions: int, nodes: int, screen: Screen) -> dict[str, Any]:
    """Log in, wait, and see what has grown.

    Raises:
        LoadError, TooFewFilesError, StageError, NodeStartError
    """
    crowd = Crowd.of(sessions, nodes)
    allow_files(crowd.files)
    wanted = Connections(min(ALONE_MAX, sessions) // 2 * 2)
    with waystation(folder / "alone", wanted.users) as server:
        alone: float = connections.measure(server, wanted, screen)["anonymous_bytes_per_session"]
    with running(folder / "idle", nodes, crowd.users, settings=CALM) as town:
        _begin_anew(town)
        found = _over(town, crowd)
    return {
        **found,
        "alone_bytes_per_session": alone,
        "bytes_over_alone": found["bytes_per_session"] / alone,
    }


def _begin_anew(town: Town) -> None:
    """Copying the accounts to and fro has left holes in each node's memory, in which thousands of sessions would find
    room and cost nothing."""
    for node in town.nodes:
        town.kill(node)
    town.start_all()
    town.wait_whole(WHOLE_SECONDS_MAX)
    wait_placed(town)  # sessions that are announced to one primary after another aren't idle
    time.sleep(LEAVE_S)
    _wait_still(town)


def _wait_still(town: Town) -> None:
    """Until no node has anything to do. Each has all accounts at first; what it needs no copy of is deleted when
    `LEAVE_S` is over, and the memory that this takes would be charged to whoever logs in meanwhile.

    Raises:
        StageError: they go on.
    """
    until = time.monotonic() + STILL_S_MAX
    while (cores := _cores(town.nodes, STILL_S)) > BUSY_CORES_MAX * len(town.nodes):
        if time.monotonic() > until:
            raise StageError(f"nodes without sessions use {cores:.2f} cores after {STILL_S_MAX} s")


def _over(town: Town, crowd: Crowd) -> dict[str, Any]:
    one, *others = town.nodes
    without = _cores(town.nodes)
    with ExitStack() as phones:

        def log_in(nodes: Sequence[TownNode], first: int, last: int) -> tuple[float, int]:
            """Seconds until all are logged in, and how many were put off."""
            plan = plan_of(town, pairs_shape(crowd.users, 1), 1, offline=False)
            plan = attrs.evolve(plan, ports=tuple(node.port for node in nodes))
            fleet = phones.enter_context(Fleet.of(plan, -(-(last - first) // PER_GENERATOR)))
            began = time.monotonic()
            fleet.connect(first, last, lambda _: None, START_S_MAX + (last - first) * LOGIN_S_MAX)
            return time.monotonic() - began, fleet.counts().login_retries

        log_in(town.nodes, 0, crowd.warm)
        before = _look(town.nodes)
        here_s, here_refused = log_in([one], crowd.warm, crowd.first)
        between = _look(town.nodes)
        there_s, there_refused = log_in(others, crowd.first, crowd.users)
        after = _look(town.nodes)
        cores = _cores(town.nodes)
    remote = _primary_of(one, range(crowd.first, crowd.users))
    return {
        "idle_sessions": crowd.sessions,
        "idle_nodes": crowd.nodes,
        "bytes_per_session": (after.anonymous - before.anonymous) / crowd.sessions,
        "rss_bytes_per_session": (after.rss - before.rss) / crowd.sessions,
        "edge_bytes_per_session": (between.one_anonymous - before.one_anonymous) / (crowd.first - crowd.warm),
        "primary_bytes_per_session": (after.one_anonymous - between.one_anonymous) / remote,
        "login_seconds": here_s + there_s,
        "logins_per_s": crowd.sessions / (here_s + there_s),
        "login_cpu_us": (after.cpu_s - before.cpu_s - without * (after.at - before.at))
        / crowd.sessions
        * 1e6,
        "logins_put_off": here_refused + there_refused,
        "idle_cores": cores,
        "idle_cores_without_sessions": without,
        "rss_bytes": after.rss,
    }


def _look(nodes: Sequence[TownNode]) -> Look:
    time.sleep(REST_S)
    found = [process.memory(node.process.pid) for node in nodes if node.process is not None]
    return Look(
        rss=sum(one.rss for one in found),
        anonymous=sum(one.anonymous for one in found),
        one_anonymous=found[0].anonymous,
        cpu_s=cpu_seconds(nodes),
        at=time.monotonic(),
    )


def _cores(nodes: Sequence[TownNode], seconds: float = IDLE_S) -> float:
    """Of all of them, when nobody says anything."""
    before, began = cpu_seconds(nodes), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(nodes) - before) / (time.monotonic() - began)


def _primary_of(node: TownNode, users: range) -> int:
    """Of how many of them this node is the primary."""
    partition_of, claims = primaries(node.data)
    return sum(claims.get(partition_of(number_of(user))) == node.id for user in users)
