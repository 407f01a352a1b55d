"""What a member of a drill tells of its copies: claims, what is under way, digests, contents. It changes nothing."""

from __future__ import annotations

from typing import Any, Final

from replication.cluster import Cluster
from replication.core.state import SERVING
from replication.replicated import ReplicatedGroup
from store.transaction import Transaction

DIGEST_KEYS: Final = 20_000
"""Keys that one digest looks at, for the group's writer stands still meanwhile."""
PAGE_ROWS: Final = 2_000


def status(cluster: Cluster) -> dict[str, Any]:
    """By group: partitions and everything that may still change them. Times in ms of this node's own clock."""
    return {
        "node": cluster.me.hex(),
        "now": cluster.now(),
        "reports": dict(cluster.reports),
        "groups": {name: _group(group) for name, group in cluster.groups.items()},
    }


def _group(group: ReplicatedGroup) -> dict[str, Any]:
    state = group.carrier.state
    counts = group.statistics()["counts"]
    peers = state.peers.values()
    return {
        "parts": [part(group, p) for p in range(len(state.parts))],
        "waiting": state.waiting,
        "saving": len(state.unsaved) + len(state.storing),
        "queue": group.group.queue_length,
        "wanted": sum(len(peer.wanted) + len(peer.pulls) for peer in peers),
        "offered": sum(len(peer.offers) for peer in peers),
        "lagging": sum(peer.stream.lagging for peer in peers),
        "inflight": sum(len(peer.stream.inflight) for peer in peers),
        "sequence": group.group.sequence,
        "progress": _progress(group),
        "counts": counts,
    }


def part(group: ReplicatedGroup, p: int) -> dict[str, Any]:
    """What this node thinks of a partition."""
    one = group.carrier.state.parts[p]
    claim = one.claim
    if claim is None:
        return {"claim": None, "serving": False, "copy": one.copy, "heir_live": False}
    return {
        "claim": [claim.epoch, claim.primary.hex(), claim.heir.hex() if claim.heir else None],
        "serving": one.phase == SERVING and not one.ceased,
        "copy": one.copy,
        "heir_live": one.heir_live,
    }


def _progress(group: ReplicatedGroup) -> float:
    """How much of what is to be filled is here: the mean of the partitions, 1.0 if nothing is."""
    shares = [share for _, share in group.statistics()["filling"]]
    return sum(shares) / len(shares) if shares else 1.0


async def digests(group: ReplicatedGroup) -> dict[str, list[Any]]:
    """ "table partition" → [count, digest]."""
    found: dict[str, list[Any]] = {}
    for p in range(group.placed.partitions):
        if group.is_live(p):
            place = p if group.placed.partitions > 1 else None
            for table in group.placed.group.tables:
                found[f"{table.name} {p}"] = await _digest(group, table.name, place)
    return found


async def _digest(group: ReplicatedGroup, table: str, place: int | None) -> list[Any]:
    count, digest, after = 0, 0, b""
    while True:
        some, part, last = await group.group.transact(_step, table, place, after)
        count += some
        digest = digest * 31 + int.from_bytes(part, "big") & (1 << 128) - 1
        if last is None:
            return [count, f"{digest:032x}"]
        after = last


def _step(transaction: Transaction, table: str, place: int | None, after: bytes) -> Any:
    return transaction.digest(table, place, after, DIGEST_KEYS)


def page(group: ReplicatedGroup, table: str, p: int, after: list[Any] | None) -> list[Any] | None:
    """[[key, value], …] of a partition beyond a key; fewer than PAGE_ROWS are the last."""
    if not group.is_live(p):
        return None
    within = (p,) if group.placed.partitions > 1 else ()
    with group.group.snapshot() as reader:
        return reader.prefix(table, within, tuple(after) if after is not None else None, PAGE_ROWS)


def look(group: ReplicatedGroup, keys: list[tuple[str, list[Any]]]) -> list[Any] | None:
    """Values of some keys, at one moment."""
    if not all(group.is_live(group.placed.partition_of(tuple(key))) for _, key in keys):
        return None
    with group.group.snapshot() as reader:
        return [reader.get(table, tuple(key)) for table, key in keys]
