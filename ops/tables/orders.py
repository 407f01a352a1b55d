"""What a member of a drill can be asked to do: name → a coroutine that takes the order and gives the answer.

An order is a dict with `do` and what that needs. It must never decide whether an answer is right.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import trio

from ops.tables import watching
from replication.cluster import Cluster
from replication.clustersettings import node_of
from replication.core.errors import WritersWait
from replication.errors import NotServed
from replication.replicated import ReplicatedGroup
from store.writes import DELETE, MERGE, PUT, Write

OPERATIONS: Final = MappingProxyType({"put": PUT, "delete": DELETE, "merge": MERGE})
BULK_ROWS: Final = 1_000
"""Rows of one write of `bulk`."""
ROOM_S: Final = 0.02
"""Between two tries of a cast for which there was no room."""


class Jams:
    """Committers that were stopped, by group: each waits for its event."""

    def __init__(self) -> None:
        self.events: dict[str, threading.Event] = {}


Order = Mapping[str, Any]
Answer = dict[str, Any]
Doing = Callable[[Cluster, Jams, Order], Awaitable[Answer]]


def _writes(group: ReplicatedGroup, rows: list[Any]) -> list[Write]:
    return [(OPERATIONS[row[0]], group.table(row[1]).id, tuple(row[2]), *row[3:]) for row in rows]


async def write(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, writes: [[operation, table, key, value?], …], policy, timeout."""
    group = cluster.group(order["group"])
    writes = _writes(group, order["writes"])
    if order["policy"] == "cast":
        try:
            group.cast(writes)
        except (WritersWait, NotServed) as error:
            return {"refused": str(error)}
        return {"copies": 0}
    written = await group.commit(writes, policy=order["policy"], timeout=order.get("timeout", 10.0))
    return {"copies": written.copies}


async def call(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, name, arguments, partition."""
    group = cluster.group(order["group"])
    done = await group.call(order["name"], *order["arguments"], partition=order.get("partition", 0))
    return {"copies": done.copies, "value": done.value}


async def read(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, table, key: from the primary."""
    group = cluster.group(order["group"])
    return {"value": await group.read(order["table"], tuple(order["key"]))}


async def bulk(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, table, first, count, size: that many records, cast and waited for."""
    group = cluster.group(order["group"])
    table = group.table(order["table"]).id
    number, end = order["first"], order["first"] + order["count"]
    while number < end:
        some = min(BULK_ROWS, end - number)
        writes = [
            (PUT, table, (n,), [n, n.to_bytes(8, "big").hex() * (order["size"] // 16)])
            for n in range(number, number + some)
        ]
        try:
            group.cast(writes)
        except (WritersWait, NotServed):
            await trio.sleep(ROOM_S)
        else:
            number += some
            await trio.lowlevel.checkpoint()
    await group.drained()
    return {"failed": group.casts_failed}


async def move(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, partition, target (a public key): of a partition that is served here."""
    await cluster.group(order["group"]).move(order["partition"], node_of(order["target"]))
    return {}


async def hold(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group: read nothing of its links until `release`."""
    cluster.links.hold(order["group"])
    return {}


async def release(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group."""
    cluster.links.release(order["group"])
    return {}


async def jam(cluster: Cluster, jams: Jams, order: Order) -> Answer:
    """group: its committer stands still until `unjam`."""
    event = jams.events[order["group"]] = threading.Event()
    cluster.group(order["group"]).group.submit_transaction(lambda _: None, lambda _: event.wait())
    return {}


async def unjam(_: Cluster, jams: Jams, order: Order) -> Answer:
    """group."""
    jams.events.pop(order["group"]).set()
    return {}


async def status(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """Everything about copies and what is under way."""
    return watching.status(cluster)


async def digest(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """groups: digests of the partitions of which there is a complete copy here."""
    return {"digests": {name: await watching.digests(cluster.group(name)) for name in order["groups"]}}


async def contents(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, table, partition, after: the next rows of a complete copy; None if there is none here."""
    group = cluster.group(order["group"])
    return {"rows": watching.page(group, order["table"], order["partition"], order["after"])}


async def look(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, keys: [[table, key], …], read at one moment from a complete copy; None if there is none here."""
    return {"values": watching.look(cluster.group(order["group"]), order["keys"])}


async def explain(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """group, table, key: the record as it is stored here, whatever this copy is good for; and what is known of it."""
    group = cluster.group(order["group"])
    p = group.placed.partition_of(tuple(order["key"]))
    with group.group.snapshot() as reader:
        record = reader.record(order["table"], tuple(order["key"]))
    return {"record": str(record), "part": watching.part(group, p)}


async def statistics(cluster: Cluster, _: Jams, order: Order) -> Answer:
    """What the cluster counts."""
    return {"statistics": cluster.statistics()}


_ALL: Final = (
    write,
    call,
    read,
    bulk,
    move,
    hold,
    release,
    jam,
    unjam,
    status,
    digest,
    contents,
    look,
    explain,
    statistics,
)
DOINGS: Final[Mapping[str, Doing]] = MappingProxyType({doing.__name__: doing for doing in _ALL})
