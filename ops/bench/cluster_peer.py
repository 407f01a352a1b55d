"""`bench cluster --against ejabberd`: as many ejabberd nodes, under the loads that ours had in the same run.

What is stored has other promises there: docs/benchmarks.md says what is equal and what isn't. This module must never
know how either of the two does it.
"""

import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import frozen

from ops.bench import deaths, process
from ops.bench.cluster_load import Members, load
from ops.bench.clusters import running, wait_placed
from ops.bench.deaths import ENDS, Doomed, End
from ops.bench.ejabberd_cluster import EjabberdCluster, ejabberds
from ops.bench.ejabberd_configuration import Profile
from ops.bench.fleet import Fleet, pairs_shape
from ops.bench.idle import LOGIN_S_MAX, PER_GENERATOR, REST_S, START_S_MAX, Crowd
from ops.bench.sampling import allow_files

_MEASURED: Final = frozenset(("messages", "stored", "failover", "idle"))
"""Parts that a peer has, too."""


@frozen
class Wanted:
    """What is measured. parts: of `bench cluster`; those without a peer's are left out."""

    parts: Collection[str]
    nodes: int
    users: int
    window: int
    seconds: float
    sessions: int
    idle_nodes: int
    profile: Profile


def measure(folder: Path, wanted: Wanted) -> dict[str, Any]:
    """The peer's figures.

    Raises:
        EjabberdMissingError, EjabberdStartError, LoadError, NotAllArrivedError, TooFewFilesError
    """
    found: dict[str, Any] = {}
    parts = _MEASURED & set(wanted.parts)
    if parts & {"messages", "stored"}:
        with ejabberds(folder / "talk", wanted.nodes, wanted.users, profile=wanted.profile) as peers:
            found["about"] = _about(peers, wanted)
            if "messages" in parts:
                found["online"] = attrs.asdict(
                    load(peers.members, wanted.users, wanted.window, wanted.seconds)
                )
            if "stored" in parts:
                found["stored"] = attrs.asdict(
                    load(peers.members, wanted.users, wanted.window, wanted.seconds, offline=True)
                )
    if "failover" in parts:
        found["ends"] = {end: _theirs_ends(folder / end, wanted, end) for end in ENDS}
    if "idle" in parts:
        crowd = Crowd.of(wanted.sessions, wanted.idle_nodes)
        allow_files(crowd.files)
        with ejabberds(folder / "idle", crowd.nodes, crowd.users, profile=wanted.profile) as peers:
            found["about"] = found.get("about") or _about(peers, wanted)
            found["idle"] = _idle(peers, crowd)
    return found


def ends(folder: Path, nodes: int) -> dict[str, Any]:
    """What a peer's phones go through when a node ends, of our phones.

    Raises:
        LoadError, NodeStartError, StageError
    """
    found = {}
    for end in ENDS:
        with running(folder / f"ours-{end}", nodes, 2 * deaths.PAIRS) as town:
            wait_placed(town)
            *others, last = town.nodes
            act = partial(town.kill if end == "killed" else town.pause, last)
            doomed = Doomed("waystation", last.port, [node.port for node in others], act)
            found[end] = deaths.measure(doomed, end)
    return {"ends": found}


def _theirs_ends(folder: Path, wanted: Wanted, end: End) -> dict[str, Any]:
    with ejabberds(folder, wanted.nodes, 2 * deaths.PAIRS, profile=wanted.profile) as peers:
        *others, last = peers.nodes
        act = last.kill if end == "killed" else last.stall
        try:
            return deaths.measure(Doomed(peers.dialect, last.port, [one.port for one in others], act), end)
        finally:
            if last.is_running:
                last.kill()


def ratios(ours: Mapping[str, Any], theirs: Mapping[str, Any], nodes: int) -> dict[str, float]:
    """Theirs over ours, but of rates ours over theirs: above 1 is better for us."""
    found: dict[str, float] = {}
    if "online" in theirs:
        mine = next(one for one in ours["members"] if one["nodes"] == nodes)
        found |= _of_loads("", mine, theirs["online"])
    if "stored" in theirs:
        found |= _of_loads("stored_", ours["stored_at_two_copies"], theirs["stored"])
    if "ends" in theirs:
        for end in ENDS:
            mine, other = (one["ends"][end]["next_deliver_s"]["p99"] for one in (ours, theirs))
            found[f"{end}_next_deliver_ratio_ejabberd_over_waystation"] = other / mine
    if "idle" in theirs:
        found["memory_ratio_ejabberd_over_waystation"] = (
            theirs["idle"]["bytes_per_session"] / ours["bytes_per_session"]
        )
    return found


def _of_loads(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    return {
        f"{name}cpu_ratio_ejabberd_over_waystation": theirs["cpu_us"] / ours["cpu_us"],
        f"{name}messages_ratio_waystation_over_ejabberd": ours["messages_per_s"] / theirs["messages_per_s"],
    }


def _about(peers: EjabberdCluster, wanted: Wanted) -> dict[str, Any]:
    return {
        "name": "ejabberd",
        "version": peers.nodes[0].version,
        "profile": wanted.profile,
        "nodes": len(peers.nodes),
    }


def _idle(peers: EjabberdCluster, crowd: Crowd) -> dict[str, Any]:
    """As of our nodes: what all of them have grown by, between two states at rest."""
    members = peers.members
    with ExitStack() as phones:
        _log_in(members, crowd, 0, crowd.warm, phones)
        before = _memory(peers)
        seconds = _log_in(members, crowd, crowd.warm, crowd.users, phones)
        after = _memory(peers)
    return {
        "idle_sessions": crowd.sessions,
        "idle_nodes": crowd.nodes,
        "bytes_per_session": (after.anonymous - before.anonymous) / crowd.sessions,
        "rss_bytes_per_session": (after.rss - before.rss) / crowd.sessions,
        "login_seconds": seconds,
        "rss_bytes": after.rss,
    }


def _log_in(members: Members, crowd: Crowd, first: int, last: int, phones: ExitStack) -> float:
    plan = members.plan(pairs_shape(crowd.users, 1), 1, offline=False)
    fleet = phones.enter_context(Fleet.of(plan, -(-(last - first) // PER_GENERATOR)))
    began = time.monotonic()
    fleet.connect(first, last, lambda _: None, START_S_MAX + (last - first) * LOGIN_S_MAX)
    return time.monotonic() - began


def _memory(peers: EjabberdCluster) -> process.Memory:
    time.sleep(REST_S)
    found = [node.memory() for node in peers.nodes]
    return process.Memory(
        rss=sum(one.rss for one in found),
        pss=sum(one.pss for one in found),
        anonymous=sum(one.anonymous for one in found),
    )
