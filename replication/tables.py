"""The group `cluster`: what a node knows of its cluster, written rarely."""

import attrs

from store.schema import Group, Table

IDENTITY = Table("identity", partitioned=False, local_content=True)
"""(name,) → value: "secret", "partitions" and "node"."""

CLAIM = Table("claim", partitioned=True)
"""(partition,) → [epoch, primary, heir or None]"""

CLUSTER = Group("cluster", (IDENTITY, CLAIM))

REPLICA = Table("replica", partitioned=False, local_content=True)
"""What a replica of a group must remember: see `replication.core.rows`. In the environment of each replicated group."""


def replicated(group: Group) -> Group:
    """The group with what a replica of it must remember."""
    return attrs.evolve(group, tables=(*group.tables, REPLICA))
