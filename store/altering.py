"""Altering the schema of an open group: what each operation does, on the committer's thread, between two commits.

Each is one transaction that changes what the meta database says, and then, if that is durable, one replacement of the
states that readers and writers go by. What takes longer is left to steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Final

import attrs

from store import moving
from store.building import Building
from store.catalog import Catalog, Entry, without_functions
from store.clearing import Clearing, Fading, drop_index, left_over, residue_of
from store.declaring import is_plain, schema_row
from store.errors import (
    AlterationUnderWay,
    IndexExists,
    NotDeclarable,
    TableExists,
    TableNotEmpty,
    UnknownTable,
)
from store.groupstate import GroupState
from store.merges import merge_named
from store.operations import (
    AddIndex,
    ChangeStorage,
    CreateTable,
    DropIndex,
    DropTable,
    Operation,
    SetInsertOnly,
    SetMerge,
    SetReadOnly,
)
from store.ram import RamMap
from store.schema import Table
from store.state import TableState
from store.steps import Steps, Write


def perform(operation: Operation, state: GroupState) -> Sequence[Steps]:
    """Do it, or begin it. Gives the steps that are left to do.

    Raises:
        UnknownTable, UnknownIndex, UnknownMerge, TableExists, TableNotEmpty, IndexExists, NotDeclarable, TooManyTables,
        AlterationUnderWay; DiskFull, MapFull: nothing was altered.
    """
    return _OPERATIONS[type(operation)](state, operation)


def resume(state: GroupState) -> list[Steps]:
    """What an earlier process had begun."""
    building = [Building(state, table, index) for table in state.by_id for index in sorted(table.unusable)]
    for steps in building:
        steps.awaited = False
    return [*left_over(state), *building]


def _create_table(state: GroupState, operation: CreateTable) -> Sequence[Steps]:
    declaration, catalog = operation.table, state.catalog
    if declaration.name in catalog.entries:
        raise TableExists(f"group {state.name!r} has a table {declaration.name!r}")
    schema_row(declaration)
    table = TableState(declaration, catalog.free_number(state.given, state.fading))
    versions = {index.name: index.version for index in declaration.indexes}
    entry = Entry(table.id, declaration, made=True, built=versions)
    if not table.ram:
        names = catalog.free_places(1 + table.tombstones + len(versions))
        entry = attrs.evolve(
            entry,
            rows=names[0],
            tombstones=names[1] if table.tombstones else None,
            indexes=dict(zip(versions, names[1 + table.tombstones :], strict=True)),
        )
    with Write(state) as write:
        if not table.ram:
            table.place = write.database(names[0])
            table.tombstone_place = write.database(names[1]) if table.tombstones else None
            table.indexed_places = [write.database(place) for place in entry.indexes.values()]
        write.catalog = catalog.with_entry(entry)
    state.replace(table)
    return ()


def _drop_table(state: GroupState, operation: DropTable) -> Sequence[Steps]:
    table, entry = _found(state, operation.table)
    if operation.only_empty and _has_rows(state, table):
        raise TableNotEmpty(f"table {table.name!r} has rows")
    residues = [] if table.ram else [residue_of(table, entry)]
    with Write(state) as write:
        write.catalog = state.catalog.without(table.name, residues)
    after: list[Steps] = [Clearing(residue, f"clear {table.name}") for residue in residues]
    if table.id in state.moving:
        begun = state.moving[table.id]
        moving.stop(state, table)
        after += begun.left_over(state)
    if table.ram:
        after.append(Fading(state, table))
    table.lineage.gone = True
    state.adopt([other for other in state.by_id if other is not table])
    return after


def _add_index(state: GroupState, operation: AddIndex) -> Sequence[Steps]:
    table, entry = _found(state, operation.table)
    index = operation.index
    if any(one.name == index.name for one in table.indexes):
        raise IndexExists(f"table {table.name!r} has an index {index.name!r}")
    if table.id in state.moving:
        raise AlterationUnderWay(f"table {table.name!r} is being moved")
    declaration = _evolved(table.declaration, indexes=(*table.indexes, index))
    after = table.altered(declaration)
    catalog = state.catalog
    with Write(state) as write:
        entry = attrs.evolve(
            entry,
            declaration=without_functions(declaration),
            plain=is_plain(declaration),
            added=(*(one for one in entry.added if one.name != index.name), index),
            dropped=tuple(name for name in entry.dropped if name != index.name),
            building=(*entry.building, index.name),
        )
        if table.ram:
            after.indexed_places.append(RamMap())
        else:
            place = catalog.free_places(1)[0]
            after.indexed_places.append(write.database(place))
            entry = attrs.evolve(entry, indexes={**entry.indexes, index.name: place})
        write.catalog = catalog.with_entry(entry)
    after.unusable = table.unusable | {index.name}
    state.replace(after)
    return [Building(state, after, index.name)]


def _drop_index(state: GroupState, operation: DropIndex) -> Sequence[Steps]:
    table, _ = _found(state, operation.table)
    if table.id in state.moving:
        raise AlterationUnderWay(f"table {table.name!r} is being moved")
    return drop_index(state, table.name, operation.index)


def _change_storage(state: GroupState, operation: ChangeStorage) -> Sequence[Steps]:
    table, _ = _found(state, operation.table)
    if table.id in state.moving:
        raise AlterationUnderWay(f"table {table.name!r} is being moved")
    if table.declaration.storage == operation.storage:
        return ()
    left = any(residue.holds and residue.number == table.id for residue in state.catalog.residues)
    if left or table.id in state.fading or table.unusable:
        raise AlterationUnderWay(f"table {table.name!r} is still being altered")
    return [moving.begin(state, table, _evolved(table.declaration, storage=operation.storage))]


def _set_read_only(state: GroupState, operation: SetReadOnly) -> Sequence[Steps]:
    return _set(state, operation.table, "read_only", operation.read_only)


def _set_merge(state: GroupState, operation: SetMerge) -> Sequence[Steps]:
    if operation.merge is not None:
        merge_named(operation.merge)
    return _set(state, operation.table, "merge", operation.merge)


def _set_insert_only(state: GroupState, operation: SetInsertOnly) -> Sequence[Steps]:
    return _set(state, operation.table, "insert_only", operation.insert_only)


def _set(state: GroupState, name: str, what: str, value: Any) -> Sequence[Steps]:
    table, entry = _found(state, name)
    declaration = _evolved(table.declaration, **{what: value})
    catalog: Catalog = state.catalog
    with Write(state) as write:
        altered = attrs.evolve(
            entry,
            declaration=without_functions(declaration),
            plain=is_plain(declaration),
            altered={**entry.altered, what: value},
        )
        write.catalog = catalog.with_entry(altered)
    state.replace(table.altered(declaration))
    return ()


def _found(state: GroupState, name: str) -> tuple[TableState, Entry]:
    table = state.tables.get(name)
    if table is None:
        raise UnknownTable(f"group {state.name!r} has no table {name!r}")
    return table, state.catalog.entries[name]


def _has_rows(state: GroupState, table: TableState) -> bool:
    if table.ram:
        return bool(len(table.place))
    transaction = state.environment.begin()
    try:
        return bool(transaction.stat(table.place)["entries"])
    finally:
        transaction.abort()


def _evolved(declaration: Table, **changes: Any) -> Table:
    try:
        return attrs.evolve(declaration, **changes)
    except ValueError as error:
        raise NotDeclarable(
            f"table {declaration.name!r} can't be altered so: {error}",
            "alter what it can't be together with first",
        ) from None


_OPERATIONS: Final[MappingProxyType[type, Callable[[GroupState, Any], Sequence[Steps]]]] = MappingProxyType(
    {
        CreateTable: _create_table,
        DropTable: _drop_table,
        AddIndex: _add_index,
        DropIndex: _drop_index,
        ChangeStorage: _change_storage,
        SetReadOnly: _set_read_only,
        SetMerge: _set_merge,
        SetInsertOnly: _set_insert_only,
    }
)
