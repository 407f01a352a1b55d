"""What can be done to the schema: functions of a transaction on the group `schema`, run where that is served.

Each looks first whether what is asked for makes sense, and changes nothing otherwise. Arguments are plain data,
for they may come from another node.
"""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import attrs

from replication.placed import Unreplicable
from replication.schema.declared import (
    DECLARED,
    NAME,
    DeclaredGroup,
    DeclaredTable,
    group_key,
    read,
    table_key,
)
from replication.schema.errors import SchemaRefused
from replication.tables import REPLICA
from store.declaring import schema_row, table_from_row
from store.errors import StoreError
from store.fieldindex import index_from_row
from store.limits import TABLES_MAX
from store.transaction import Transaction

ROWS_MAX = 100_000
"""Groups and tables in all."""
GROUPS_MAX = 500
"""Of one cluster: each has an environment, a thread and links of its own on every node."""


def apply(transaction: Transaction, what: str, arguments: Sequence[Any]) -> None:
    """Do one of CHANGES. Raises SchemaRefused."""
    change = CHANGES.get(what)
    if change is None:
        raise SchemaRefused(f"there is no change of the schema called {what!r}")
    try:
        change(_Schema(transaction), *arguments)
    except (StoreError, Unreplicable, ValueError, TypeError, KeyError) as error:
        raise SchemaRefused(f"{what}: {error}") from error


class _Schema:
    """What is declared, within a transaction."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._rows = dict(transaction.range(DECLARED.name, limit=ROWS_MAX))
        self.groups = read(self._rows.items())

    def group(self, name: str) -> DeclaredGroup:
        found = self.groups.get(name)
        if found is None:
            raise SchemaRefused(f"there is no group {name!r} in the schema")
        return found

    def table(self, group: str, name: str) -> DeclaredTable:
        for table in self.group(group).tables:
            if table.table.name == name:
                return table
        raise SchemaRefused(f"group {group!r} has no table {name!r} in the schema")

    def put_group(self, group: DeclaredGroup) -> None:
        self._check(group)
        self._transaction.put(DECLARED.name, group_key(group.name), group.row())

    def put_table(self, group: str, table: DeclaredTable) -> None:
        before = self.group(group)
        others = tuple(one for one in before.tables if one.table.name != table.table.name)
        self._check(attrs.evolve(before, tables=(*others, table)))
        self._transaction.put(DECLARED.name, table_key(group, table.table.name), table.row())

    def delete_table(self, group: str, name: str) -> None:
        self._transaction.delete(DECLARED.name, table_key(group, name))

    def delete_group(self, name: str) -> None:
        self.group(name)
        self.clear(name)

    def clear(self, name: str) -> None:
        """No row of a group is left: after a split there may be some of a group that is gone."""
        for key in self._rows:
            if key[1] == name:
                self._transaction.delete(DECLARED.name, key)

    def _check(self, group: DeclaredGroup) -> None:
        if len(group.tables) > TABLES_MAX - 1:
            raise SchemaRefused(f"group {group.name!r} would have {len(group.tables)} tables")
        for table in group.tables:
            if table.table.name == REPLICA.name:
                raise SchemaRefused(
                    f"a table can't be called {REPLICA.name!r}: replication has one of that name"
                )
        group.placed(b"")


def _create_group(schema: _Schema, row: dict[str, Any], name: str, tables: Sequence[dict[str, Any]]) -> None:
    if name in schema.groups or name == NAME:
        raise SchemaRefused(f"there is a group {name!r} already")
    if len(schema.groups) >= GROUPS_MAX:
        raise SchemaRefused(f"there are {GROUPS_MAX} groups")
    if not tables:
        raise SchemaRefused(f"group {name!r} needs a table")
    declared = tuple(DeclaredTable.from_row(table) for table in tables)
    if len({table.table.name for table in declared}) < len(declared):
        raise SchemaRefused(f"two tables of group {name!r} have one name")
    group = attrs.evolve(DeclaredGroup.from_row(name, row), tables=declared)
    schema.clear(name)
    schema.put_group(group)
    schema.groups[name] = group
    for table in declared:
        schema.put_table(name, table)


def _delete_group(schema: _Schema, name: str) -> None:
    schema.delete_group(name)


def _create_table(schema: _Schema, group: str, row: dict[str, Any]) -> None:
    table = DeclaredTable.from_row(row)
    if any(one.table.name == table.table.name for one in schema.group(group).tables):
        raise SchemaRefused(f"group {group!r} has a table {table.table.name!r} already")
    schema.put_table(group, table)


def _delete_table(schema: _Schema, group: str, name: str) -> None:
    schema.table(group, name)
    if len(schema.group(group).tables) == 1:
        schema.delete_group(group)
    else:
        schema.delete_table(group, name)


# `members` are those of one partition in the order in which they are wanted, where nobody has named nodes.


def _holding(group: DeclaredGroup, members: Sequence[bytes]) -> DeclaredGroup:
    """The group with the nodes named that have its copies, or may have."""
    if group.nodes:
        return group
    if group.partitions > 1:
        return attrs.evolve(group, nodes=tuple(members), spread=True)
    return attrs.evolve(group, nodes=tuple(members)[: group.copies])


def _add_copy(schema: _Schema, name: str, node: bytes, members: Sequence[bytes]) -> None:
    group = _holding(schema.group(name), members)
    if node not in members:
        raise SchemaRefused(f"{node.hex()} is no member of the cluster")
    if node in group.nodes:
        raise SchemaRefused(f"node {node.hex()} has a copy of group {name!r} already, or may have some")
    nodes = (*group.nodes, node)
    copies = group.copies if group.spread else min(len(nodes), group.copies + 1)
    schema.put_group(attrs.evolve(group, nodes=nodes, copies=copies))


def _drop_copy(schema: _Schema, name: str, node: bytes, members: Sequence[bytes]) -> None:
    group = _holding(schema.group(name), members)
    nodes = tuple(one for one in group.nodes if one != node)
    if len(nodes) == len(group.nodes):
        raise SchemaRefused(f"node {node.hex()} has no copy of group {name!r}")
    if not nodes:
        raise SchemaRefused(
            f"node {node.hex()} has the last copy of group {name!r}: delete the group instead"
        )
    schema.put_group(attrs.evolve(group, nodes=nodes, copies=min(group.copies, len(nodes))))


def _move_copy(schema: _Schema, name: str, source: bytes, target: bytes, members: Sequence[bytes]) -> None:
    group = _holding(schema.group(name), members)
    if source not in group.nodes or target in group.nodes or target not in members:
        raise SchemaRefused(
            f"a copy of group {name!r} can't go from node {source.hex()} to {target.hex()}: the first must have one,"
            " the second be a member that has none"
        )
    moved = tuple(target if node == source else node for node in group.nodes)
    schema.put_group(attrs.evolve(group, nodes=moved))


def _set_load_order(schema: _Schema, name: str, order: int) -> None:
    schema.put_group(attrs.evolve(schema.group(name), load_order=int(order)))


def _set_copies(schema: _Schema, name: str, copies: int) -> None:
    schema.put_group(attrs.evolve(schema.group(name), copies=copies))


def _change_storage(schema: _Schema, group: str, name: str, storage: str, node: bytes | None) -> None:
    declared = schema.table(group, name)
    if storage not in ("ram", "disc"):
        raise SchemaRefused(f"storage is {storage!r}: choose ram or disc")
    if node is None:
        table = table_from_row({**schema_row(declared.table), "storage": storage})
        changed = DeclaredTable(id=declared.id, table=table)
    else:
        changed = attrs.evolve(declared, storage_on={**declared.storage_on, node.hex(): storage})
    schema.put_table(group, changed)


def _add_index(schema: _Schema, group: str, name: str, row: dict[str, Any]) -> None:
    declared = schema.table(group, name)
    index = index_from_row(row)
    if any(one.name == index.name for one in declared.table.indexes):
        raise SchemaRefused(f"table {name!r} has an index {index.name!r} already")
    table = attrs.evolve(declared.table, indexes=(*declared.table.indexes, index))
    schema.put_table(group, attrs.evolve(declared, table=table))


def _drop_index(schema: _Schema, group: str, name: str, index: str) -> None:
    declared = schema.table(group, name)
    left = tuple(one for one in declared.table.indexes if one.name != index)
    if len(left) == len(declared.table.indexes):
        raise SchemaRefused(f"table {name!r} has no index {index!r}")
    schema.put_table(group, attrs.evolve(declared, table=attrs.evolve(declared.table, indexes=left)))


def _set_read_only(schema: _Schema, group: str, name: str, read_only: bool) -> None:
    declared = schema.table(group, name)
    table = attrs.evolve(declared.table, read_only=bool(read_only))
    schema.put_table(group, attrs.evolve(declared, table=table))


def _set_merge(schema: _Schema, group: str, name: str, merge: str | None) -> None:
    declared = schema.table(group, name)
    table = table_from_row({**schema_row(declared.table), "merge": merge})
    schema.put_table(group, attrs.evolve(declared, table=table))


CHANGES: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "create_group": _create_group,
        "delete_group": _delete_group,
        "create_table": _create_table,
        "delete_table": _delete_table,
        "add_copy": _add_copy,
        "drop_copy": _drop_copy,
        "move_copy": _move_copy,
        "set_load_order": _set_load_order,
        "set_copies": _set_copies,
        "change_storage": _change_storage,
        "add_index": _add_index,
        "drop_index": _drop_index,
        "set_read_only": _set_read_only,
        "set_merge": _set_merge,
    }
)
