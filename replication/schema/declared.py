"""The table `declared` of the group `schema`: what every node is to have.

    ("group", name)          → {"id", "partitions", "copies", "nodes": [8 bytes, …], "spread", "load_order"}
    ("table", group, name)   → {"id", "storage_on": {node in hex: "ram" or "disc"}, …: see `store.declaring`}

`id` is random, and new whenever something is created: what bears the name of something that was deleted isn't it.

Each table is a row, so changes of different tables on two sides of a split are both kept. Where both sides
changed the same row, the later claim's stands, whole.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from replication.placed import COPIES_MAX, Placed
from store.declaring import schema_row, table_from_row
from store.schema import Group, Table

NAME = "schema"
"""The group, and what procedures on it are called."""

DECLARED = Table("declared", partitioned=False, tombstones=True)
APPLIED = Table("applied", partitioned=False, local_content=True)
"""key of `declared` → the id that this node has made."""


def placed(members: int) -> Placed:
    """The group of the schema: every member has a copy."""
    return Placed(
        group=Group(NAME, (DECLARED, APPLIED)), copies=max(1, min(members, COPIES_MAX)), load_order=1 << 30
    )


@attrs.frozen(kw_only=True)
class DeclaredTable:
    """One table. storage_on: where a node's copy is kept otherwise than declared."""

    id: bytes
    table: Table
    storage_on: Mapping[str, str] = attrs.Factory(dict)

    def on(self, node: bytes) -> Table:
        """As that node has it."""
        storage = self.storage_on.get(node.hex(), self.table.storage)
        return table_from_row({**schema_row(self.table), "storage": storage})

    def row(self) -> dict[str, Any]:
        """The stored form."""
        return {"id": self.id, "storage_on": dict(self.storage_on), **schema_row(self.table)}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "DeclaredTable":
        """Raises NotDeclarable, UnknownMerge."""
        return cls(id=row["id"], storage_on=row["storage_on"], table=table_from_row(row))


@attrs.frozen(kw_only=True)
class DeclaredGroup:
    """One group with its tables."""

    id: bytes
    name: str
    partitions: int = 1
    copies: int = 2
    nodes: tuple[bytes, ...] = ()
    spread: bool = False
    load_order: int = 0
    tables: tuple[DeclaredTable, ...] = ()

    def placed(self, node: bytes) -> Placed:
        """As that node has it. Raises Unreplicable."""
        return Placed(
            group=Group(self.name, tuple(table.on(node) for table in self.tables)),
            partitions=self.partitions,
            copies=self.copies,
            nodes=self.nodes,
            spread=self.spread,
            load_order=self.load_order,
        )

    def row(self) -> dict[str, Any]:
        """The stored form, without the tables."""
        return {
            "id": self.id,
            "partitions": self.partitions,
            "copies": self.copies,
            "nodes": list(self.nodes),
            "spread": self.spread,
            "load_order": self.load_order,
        }

    @classmethod
    def from_row(cls, name: str, row: Mapping[str, Any]) -> "DeclaredGroup":
        """Without its tables."""
        return cls(
            id=row["id"],
            name=name,
            partitions=row["partitions"],
            copies=row["copies"],
            nodes=tuple(row["nodes"]),
            spread=row["spread"],
            load_order=row["load_order"],
        )


def group_key(name: str) -> tuple[str, ...]:
    """Where a group is declared."""
    return ("group", name)


def table_key(group: str, name: str) -> tuple[str, ...]:
    """Where a table is."""
    return ("table", group, name)


def read(rows: Iterable[tuple[tuple[Any, ...], Any]]) -> dict[str, DeclaredGroup]:
    """Everything that is declared, by the groups' names. A table whose group was deleted meanwhile counts for
    nothing; a group that has no table is not there yet."""
    groups: dict[str, DeclaredGroup] = {}
    tables: dict[str, list[DeclaredTable]] = {}
    for key, row in rows:
        if key[0] == "group":
            groups[key[1]] = DeclaredGroup.from_row(key[1], row)
        elif key[0] == "table":
            tables.setdefault(key[1], []).append(DeclaredTable.from_row(row))
    return {
        name: attrs.evolve(group, tables=tuple(tables[name]))
        for name, group in groups.items()
        if name in tables
    }
