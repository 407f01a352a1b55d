"""Declarations: what groups, tables and indexes are. Pure values; nothing here is open.

A group is what commits together: one LMDB environment, one writer, one sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import attrs

from store.fieldindex import FieldIndex
from store.limits import TABLES_MAX

IndexFunction = Callable[[tuple[Any, ...], Any], Iterable[tuple[Any, ...]]]
"""(key, value) → the tuples under which the row is found: none, one or several. Must be pure."""

Merge = Callable[[Any, Any], Any]
"""(old value or None, new value) → merged value. Commutative, associative, idempotent; must be pure."""


Touched = list[tuple[str, tuple[Any, ...]]]
"""(table, key) of records."""

Reconcile = Callable[[Any, Touched, Touched], None]
"""(transaction, touched, met): makes tables of a group agree again after records of other nodes changed some of them
(`touched`). It runs in their transaction, may run twice, and must come to the same on every node, in whatever order
records arrive. met: those of which one was here and another one came, whichever stays, but for tombstones that went; of
tables with a merge, those of which what stays isn't what came. As a rule one of the two was made of the other."""


def _name(_: Any, attribute: Any, value: str) -> None:
    if not value.isidentifier():
        raise ValueError(f"{attribute.name} {value!r} must be an identifier")


@attrs.frozen(slots=True)
class Index:
    """A secondary index, kept in the transaction of the write. Raise `version` when `fn` changes: it is built anew."""

    name: str = attrs.field(validator=_name)
    fn: IndexFunction
    version: int = 1


AnyIndex = Index | FieldIndex
"""By a function, which only code can declare; or by paths, which plain data can."""


def _tuple_of_indexes(indexes: Iterable[AnyIndex]) -> tuple[AnyIndex, ...]:
    return tuple(indexes)


@attrs.frozen(slots=True)
class Table:
    """One table.

    Args:
        name: unique in its group.
        kind: "set" has one value per key; "bag" any number of different ones.
        storage: "disc", or "ram": empty after every open, published together with its group's commit.
        partitioned: the first element of every key is the partition, an int ≥ 0.
        tombstones: a deleted key leaves a tombstone, which replicas and versions see, until it is purged.
        merge: what MERGE and conflicting replicated records do: a function, or the name of one of `store.merges`.
            With tombstones a delete wins over the whole row or not at all (docs/replication.md, what a split does).
        indexes: secondary indexes.
        local_content: never replicated: no entry in `changes`.
        read_only: every write is refused.
        insert_only: keys are hardly ever overwritten, so a put doesn't look for an old record first.
            A hint about cost only: an overwrite still works.
    """

    name: str = attrs.field(validator=_name)
    kind: Literal["set", "bag"] = attrs.field(default="set", validator=attrs.validators.in_(("set", "bag")))
    storage: Literal["disc", "ram"] = attrs.field(
        default="disc", validator=attrs.validators.in_(("disc", "ram"))
    )
    partitioned: bool = True
    tombstones: bool = False
    merge: Merge | str | None = None
    indexes: tuple[AnyIndex, ...] = attrs.field(default=(), converter=_tuple_of_indexes)
    local_content: bool = False
    read_only: bool = False
    insert_only: bool = False

    def __attrs_post_init__(self) -> None:
        if len({index.name for index in self.indexes}) != len(self.indexes):
            raise ValueError(f"table {self.name!r} declares an index twice")
        if self.kind == "bag" and self.merge is not None:
            raise ValueError(f"bag {self.name!r} can't declare a merge: a bag's merge is union")
        if self.insert_only and self.indexes and self.merge:
            raise ValueError(f"table {self.name!r} can't be insert-only and merge")

    def shape(self) -> dict[str, Any]:
        """What is written to the environment and must not change under it."""
        return {
            "kind": self.kind,
            "storage": self.storage,
            "partitioned": self.partitioned,
            "tombstones": self.tombstones,
            "local_content": self.local_content,
        }


def _tuple_of_tables(tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(tables)


@attrs.frozen(slots=True)
class Group:
    """Tables that change together in one transaction. `reconcile` is called when records of other nodes came in."""

    name: str = attrs.field(validator=_name)
    tables: tuple[Table, ...] = attrs.field(converter=_tuple_of_tables)
    reconcile: Reconcile | None = None

    def __attrs_post_init__(self) -> None:
        names = {table.name for table in self.tables}
        if len(names) != len(self.tables):
            raise ValueError(f"group {self.name!r} declares a table twice")
        if len(names) > TABLES_MAX:
            raise ValueError(f"group {self.name!r} has {len(names)} tables; {TABLES_MAX} is the limit")
