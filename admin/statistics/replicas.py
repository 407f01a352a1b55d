"""How copies on other nodes keep up: of each group, peer and table, and of the links to them.

Worked out when asked for, from what the cores count anyway. A cluster of many nodes has many peers, a group may have
many tables: beyond PEERS_MAX and TABLES_MAX those that are furthest behind are told, and how many were left out. This
module must never change a copy.
"""

from __future__ import annotations

from typing import Any, Final

from admin.statistics.figures import COUNTER, GAUGE, Figure, lines
from replication.cluster import Cluster
from replication.core import copies, lagging
from replication.core.state import ALIVE, Peer
from replication.replicated import ReplicatedGroup

PEERS_MAX: Final = 64
"""Of one group."""
TABLES_MAX: Final = 64
"""Of one group, with each peer anew: nine peers with seven tables."""
ID_DIGITS: Final = 8
"""Of a peer's id, in a figure's path: as many as `cluster` commands take."""

FIGURES: Final[tuple[Figure, ...]] = (
    *lines(
        COUNTER,
        """
        cluster.reports.{what}: what the cluster's cores reported, by kind
        cluster.not_understood.{channel}.{code}: messages of a newer release that this one doesn't know, passed over
        cluster.messages_too_large: messages that were refused because of their size
        replication.groups.{group}.pledges: pledges of partitions that this node gave, each to another claim than before
        replication.groups.{group}.pledges_refused: answers of peers that are pledged to another claim than this node's
        replication.links.{peer}.sent_bytes [bytes]: bytes to a peer
        replication.links.{peer}.received_bytes [bytes]: bytes of a peer
        replication.links.{peer}.lost: messages that were queued when a connection ended
        replication.links.{peer}.dropped: messages that had no room in the queue
        replication.links.{peer}.reconnects: connections beyond the first
        replication.handshakes_failed: peers that did not prove a key
        replication.keys_refused: keys that proved themselves, of nobody who may
        """,
    ),
    *lines(
        GAUGE,
        """
        cluster.members: members that are configured
        cluster.members_alive: members that are believed alive, this one among them
        cluster.partitions.primary: partitions whose primary this node is
        cluster.partitions.served: partitions that this node serves
        cluster.partitions.complete: partitions of which it has a complete copy
        cluster.partitions.at_one_copy: partitions of this primary that stand at one copy
        cluster.partitions.unserved: partitions that are served by nobody, as far as this node knows
        cluster.partitions.moving: partitions that are being handed over
        cluster.links_up: links that are up
        cluster.links_down: links that are down
        cluster.links_waiting: messages that wait for links
        replication.groups.{group}.waiting: writes that wait for another copy
        replication.groups.{group}.filling: copies here that are being filled
        replication.groups.{group}.lag_rows: rows of the group that some peer has not acknowledged
        replication.groups.{group}.oldest_ms [ms]: age of the oldest of them
        replication.groups.{group}.peers_left_out: peers that are not told one by one
        replication.groups.{group}.peers.{peer}.alive: 1 while the peer is believed alive
        replication.groups.{group}.peers.{peer}.lag_rows: rows that were sent and not acknowledged, or not sent yet
        replication.groups.{group}.peers.{peer}.lag_ms [ms]: how long nothing of them was acknowledged
        replication.groups.{group}.peers.{peer}.tables.{table}.lag_rows: of these, rows of one table
        replication.groups.{group}.peers.{peer}.tables.{table}.oldest_ms [ms]: age of the oldest of these
        replication.groups.{group}.tables_left_out: tables of peers that are not told one by one
        replication.lag_rows: rows that some peer has not acknowledged, of all groups
        replication.oldest_ms [ms]: age of the oldest of them
        replication.groups.{group}.peers.{peer}.oldest_ms [ms]: age of the oldest row that was not acknowledged
        replication.groups.{group}.peers.{peer}.catching_up: 1 while the peer is sent what it missed
        replication.links.{peer}.up: links to the peer that are up
        replication.links.{peer}.down: links to the peer that are down
        replication.links.{peer}.queue_messages: messages that wait for the peer
        replication.links.{peer}.queue_bytes [bytes]: of these
        replication.links.{peer}.round_trip_ms [ms]: there and back, on the slowest link to the peer
        """,
    ),
)


def figures(cluster: Cluster) -> dict[str, Any]:
    """Below `replication`: by group and peer, and by link."""
    statistics = cluster.links.statistics()
    links: dict[str, dict[str, Any]] = {}
    for link in statistics.links:
        one = links.setdefault(link.peer.hex()[:ID_DIGITS], _no_link())
        one["up" if link.up else "down"] += 1
        one["round_trip_ms"] = max(one["round_trip_ms"], link.round_trip_ms)
        for name in ("queue_messages", "queue_bytes", "sent_bytes", "received_bytes", "lost", "dropped"):
            one[name] += getattr(link, name)
        one["reconnects"] += link.reconnects
    groups = {name: _group(group) for name, group in cluster.groups.items()}
    return {
        "lag_rows": sum(group["lag_rows"] for group in groups.values()),
        "oldest_ms": max((group["oldest_ms"] for group in groups.values()), default=0),
        "groups": groups,
        "links": links,
        "handshakes_failed": statistics.failed_handshakes,
        "keys_refused": statistics.refused,
    }


def _no_link() -> dict[str, Any]:
    names = "up down queue_messages queue_bytes sent_bytes received_bytes lost dropped reconnects"
    return {**dict.fromkeys(names.split(), 0), "round_trip_ms": 0.0}


def _group(group: ReplicatedGroup) -> dict[str, Any]:
    state = group.carrier.state
    peers = sorted(state.peers.values(), key=lambda peer: (-_lag_rows(peer), peer.id))
    behind = {peer.id: lagging.behind(peer.stream, state.now) for peer in peers}
    ages = [age_ms for tables in behind.values() for _, age_ms in tables.values()]
    lag_rows, left_out = sum(map(_lag_rows, peers)), max(0, len(peers) - PEERS_MAX)
    peers = peers[:PEERS_MAX]
    names = _names(group)
    pairs = [(peer.id, label) for peer in peers for label in names]
    pairs.sort(key=lambda pair: -behind[pair[0]].get(pair[1], (0, 0))[0])
    told: dict[bytes, dict[str, dict[str, int]]] = {peer.id: {} for peer in peers}
    for peer, label in pairs[:TABLES_MAX]:
        rows, age_ms = behind[peer].get(label, (0, 0))
        told[peer][names[label]] = {"lag_rows": rows, "oldest_ms": age_ms}
    return {
        "waiting": state.waiting,
        "filling": sum(1 for _ in copies.progress(state)),
        "pledges": state.counts.pledges,
        "pledges_refused": state.counts.pledges_refused,
        "lag_rows": lag_rows,
        "oldest_ms": max(ages, default=0),
        "peers_left_out": left_out,
        "tables_left_out": max(0, len(pairs) - TABLES_MAX),
        "peers": {
            peer.id.hex()[:ID_DIGITS]: _peer(peer, state.now, behind[peer.id], told[peer.id])
            for peer in peers
        },
    }


def _names(group: ReplicatedGroup) -> dict[str, str]:
    """What its tables are called between nodes → their names here."""
    labels = group.carrier.labels
    names = [one.name for one in group.group.tables if one.state.listed]
    if labels is None:
        return {name: name for name in names}
    return {label: name for name in names if (label := labels.label(name)) is not None}


def _lag_rows(peer: Peer) -> int:
    return peer.stream.inflight_rows + peer.stream.behind_rows


def _peer(
    peer: Peer, now_ms: int, behind: dict[str, tuple[int, int]], tables: dict[str, dict[str, int]]
) -> dict[str, Any]:
    rows = _lag_rows(peer)
    return {
        "alive": int(peer.liveness == ALIVE),
        "lag_rows": rows,
        "lag_ms": max(0, now_ms - peer.stream.progress_at) if rows else 0,
        "oldest_ms": max((age_ms for _, age_ms in behind.values()), default=0),
        "catching_up": int(peer.stream.lagging),
        "tables": tables,
    }
