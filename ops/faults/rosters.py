"""What is written to the disks of a town's first members, so that all know one another before the first of them runs.

This module must never start a process.
"""

from collections.abc import Sequence
from pathlib import Path

import trio

from node.tables import GROUPS, STORE_DIRECTORY
from replication.identity import Identity, read_identity
from replication.membership import joining
from replication.membership.joining import Joined
from replication.membership.keeping import writes_of
from replication.membership.member import ACTIVE, Member
from replication.membership.owner import Owner
from replication.placement import PARTITIONS
from replication.tables import CLUSTER
from store.store import Store


def owners_of(labels: Sequence[str]) -> list[Owner]:
    """An equal share for each."""
    if len(labels) < 2:
        return []
    return [
        Owner(partition=p, cluster=labels[p * len(labels) // PARTITIONS], counter=1, editor=b"founding")
        for p in range(PARTITIONS)
    ]


def row_of(node: bytes, key: str, address: str, server: str, label: str) -> Member:
    """A member of the beginning."""
    return Member(
        node=node,
        counter=1,
        editor=node,
        state=ACTIVE,
        key=key,
        address=address,
        server=server,
        cluster=label,
    )


async def keep_rows(data: Path, rows: Sequence[Member], owners: Sequence[Owner]) -> Identity:
    """Of the first; returns what it was founded with."""
    with Store.open(data / STORE_DIRECTORY, GROUPS) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            group = store.group(CLUSTER.name)
            await group.commit(writes_of(group, [*rows, *owners], configured=True))
            identity = read_identity(store.group(CLUSTER.name))
            nursery.cancel_scope.cancel()
    assert identity is not None
    return identity


async def keep_joined(data: Path, joined: Joined) -> None:
    """Of another one."""
    with Store.open(data / STORE_DIRECTORY, GROUPS) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            await joining.keep(store.group(CLUSTER.name), joined)
            nursery.cancel_scope.cancel()
