"""The group `cluster`: what a node knows of its cluster, written rarely."""

from store.schema import Group, Table

IDENTITY = Table("identity", partitioned=False, local_content=True)
"""(name,) → value: "secret", "partitions" and "node"."""

CLAIM = Table("claim", partitioned=True)
"""(partition,) → [epoch, primary, heir or None]"""

CLUSTER = Group("cluster", (IDENTITY, CLAIM))
