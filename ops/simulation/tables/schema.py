"""The groups of the world of tables: one without partitions, one with, and in it tables that change together."""

from __future__ import annotations

from typing import Any, Final

from ops.simulation.writes import DELETE, MERGE, PUT, Change
from replication.tables import replicated
from store.group import OpenGroup
from store.schema import Group, Table
from store.writes import DELETE as STORE_DELETE
from store.writes import MERGE as STORE_MERGE
from store.writes import PUT as STORE_PUT
from store.writes import Write

WHOLE: Final = "whole"
SLICED: Final = "sliced"
PLAIN: Final = "plain"
TAGS: Final = "tags"
LEFT: Final = "left"
RIGHT: Final = "right"
PURSE: Final = "purse"


def union(old: Any, new: Any) -> Any:
    """The merge of a table of sets."""
    return sorted({*(old or ()), *new})


def groups(names: tuple[str, ...]) -> tuple[Group, ...]:
    """Those groups, as a node opens them."""
    return tuple(_group(name) for name in names)


def _group(name: str) -> Group:
    partitioned = name != WHOLE
    return replicated(
        Group(
            name,
            (
                Table(PLAIN, partitioned=partitioned, tombstones=True),
                Table(TAGS, partitioned=partitioned, merge=union),
                Table(LEFT, partitioned=partitioned, tombstones=True),
                Table(RIGHT, partitioned=partitioned, tombstones=True),
                Table(PURSE, partitioned=partitioned, tombstones=True),
            ),
        )
    )


TABLES: Final = (PLAIN, TAGS, LEFT, RIGHT)
"""Tables whose values name the writes that they are from. In `PURSE` they are sums."""


def store_write(group: OpenGroup, change: Change) -> Write:
    """A change as the store takes it."""
    number = group.table(change.table).id
    if change.op == DELETE:
        return (STORE_DELETE, number, change.key)
    if change.op == MERGE:
        return (STORE_MERGE, number, change.key, [change.value])
    assert change.op == PUT
    return (STORE_PUT, number, change.key, change.value)
