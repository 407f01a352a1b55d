"""Which groups a cluster has, and where their copies are: declarations, pure values."""

from collections.abc import Iterable
from typing import Any

import attrs

from replication.errors import NotOnePartition
from store.keys import AnyKey, as_key, decode
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
        spread: partitions are spread over `nodes`, too, instead of all being wanted on the first one.
        caches: whoever uses it keeps rows in memory, and is told before others' changes are taken in beneath.
        owned: clusters that know one another own its partitions, as the roster's owners say; else each cluster has
            partitions of its own.
        load_order: groups with a higher one are opened first.

    Raises:
        Unreplicable, ValueError.
    """

    group: Group
    partitions: int = 1
    copies: int = 2
    nodes: tuple[bytes, ...] = attrs.field(default=(), converter=_nodes)
    spread: bool = False
    caches: bool = False
    owned: bool = False
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

    def check(self, p: Any) -> int:
        """The partition, if there is one of this number. Raises NotOnePartition."""
        if type(p) is not int or not 0 <= p < self.partitions:
            raise NotOnePartition(f"{p!r} is no partition of group {self.group.name!r}")
        return p

    def in_store(self, p: int) -> int | None:
        """What the store calls a partition: None, if there is but one."""
        return p if self.partitions > 1 else None

    def partition_of(self, key: AnyKey) -> int:
        """The partition of a key. Raises NotOnePartition, KeyNotStorable."""
        return self.check(_first(key)) if self.partitions > 1 else 0

    def partition_of_all(self, keys: Iterable[AnyKey]) -> int:
        """The partition that all of these keys are in. Raises NotOnePartition, KeyNotStorable."""
        found = {_first(key) for key in keys} if self.partitions > 1 else {0 for _ in keys}
        if len(found) != 1:
            raise NotOnePartition(f"{len(found)} partitions of group {self.group.name!r} in one commit")
        return self.check(found.pop())


def _first(key: AnyKey) -> Any:
    key = key if type(key) is tuple else decode(as_key(key))
    return key[0] if key else None
