"""The group `cluster`: what a node knows of its cluster, written rarely."""

from collections.abc import Iterator
from typing import Any

import attrs

from store.schema import Group, Table
from store.table import OpenTable

IDENTITY = Table("identity", partitioned=False, local_content=True)
"""(name,) → value: "secret", "partitions" and "node"."""

CLAIM = Table("claim", partitioned=True)
"""(partition,) → [epoch, primary, heir or None]"""

MEMBER = Table("member", partitioned=False, local_content=True)
"""(node,) → the row of a member, as this node knows it: see `replication.membership.member`."""

OWNER = Table("owner", partitioned=False, local_content=True)
"""(partition,) → which cluster owns it, where there are several: see `replication.membership.owner`."""

CLUSTER = Group("cluster", (IDENTITY, CLAIM, MEMBER, OWNER))

REPLICA = Table("replica", partitioned=False, local_content=True)
"""What a replica of a group must remember: see `replication.core.rows`. In the environment of each replicated group."""

PIECE_ROWS = 10_000
"""Rows of it that are read at a time: there are a few for each partition and peer."""


def remembered(table: OpenTable) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """All rows of the table `replica`, however many; nobody may write to it meanwhile."""
    after = None
    while True:
        found = table.prefix(b"", after, PIECE_ROWS)
        yield from found
        if len(found) < PIECE_ROWS:
            return
        after = found[-1][0]


def replicated(group: Group) -> Group:
    """The group with what a replica of it must remember."""
    return attrs.evolve(group, tables=(*group.tables, REPLICA))
