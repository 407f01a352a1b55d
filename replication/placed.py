"""Which groups a cluster has, and where their copies are: declarations, pure values."""

from collections.abc import Iterable
from typing import Any

import attrs

from store.schema import Group

COPIES_MAX = 16
PARTITIONS_MAX = 65_536


class Unreplicable(ValueError):
    """Tables as they are declared can't be kept the same on several nodes. The text says what to declare instead."""


def _nodes(nodes: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(nodes)


@attrs.frozen(kw_only=True)
class Placed:
    """A group of which several nodes have copies.

    Args:
        group: its tables; what must change together is one group.
        partitions: slices of its keys, each with a primary of its own; 1 if its tables aren't partitioned.
        copies: how many nodes hold each of them.
        nodes: those that may, in the order in which they are wanted; empty: all members, spread over them.
        caches: whoever uses it keeps rows in memory, and is told before others' changes are taken in beneath.
        load_order: groups with a higher one are opened first.

    Raises:
        Unreplicable, ValueError.
    """

    group: Group
    partitions: int = 1
    copies: int = 2
    nodes: tuple[bytes, ...] = attrs.field(default=(), converter=_nodes)
    caches: bool = False
    load_order: int = 0

    def __attrs_post_init__(self) -> None:
        name = self.group.name
        if not 1 <= self.partitions <= PARTITIONS_MAX:
            raise ValueError(f"group {name!r} has {self.partitions} partitions: choose 1 to {PARTITIONS_MAX}")
        if not 1 <= self.copies <= COPIES_MAX:
            raise ValueError(f"group {name!r} has {self.copies} copies: choose 1 to {COPIES_MAX}")
        if self.nodes and len(set(self.nodes)) != len(self.nodes):
            raise ValueError(f"group {name!r} names a node twice")
        for table in self.group.tables:
            if table.local_content:
                continue
            if table.partitioned != (self.partitions > 1):
                raise Unreplicable(
                    f"group {name!r} has {self.partitions} partitions, and table {table.name!r} is declared with"
                    f" partitioned={table.partitioned}: all tables of a group are divided alike"
                )
            if not table.tombstones and self.group.reconcile is None:
                raise Unreplicable(
                    f"table {table.name!r} of group {name!r} keeps no tombstones, so what is deleted would come back"
                    " from a copy that was away: declare tombstones=True, or a reconcile for the group"
                )

    def partition_of(self, key: tuple[Any, ...]) -> int:
        """The partition of a key."""
        return key[0] if self.partitions > 1 else 0
