"""What can be asked of the schema of an open group: values, handed to `OpenGroup.alter`.

This module must never know how any of it is done.
"""

from __future__ import annotations

from typing import Literal

import attrs

from store.fieldindex import FieldIndex
from store.schema import Table


@attrs.frozen(slots=True)
class CreateTable:
    """Make a table. Its declaration must be plain data: merges by name, indexes by paths."""

    table: Table


@attrs.frozen(slots=True)
class DropTable:
    """Drop a table with all that is in it: nobody sees it from then on; its rows are cleared in steps afterwards.

    Args:
        only_empty: refuse if it has rows.
    """

    table: str
    only_empty: bool = False


@attrs.frozen(slots=True)
class AddIndex:
    """Build an index in steps, while others read and write. It can be read once it is complete."""

    table: str
    index: FieldIndex


@attrs.frozen(slots=True)
class DropIndex:
    """Drop an index, complete or being built."""

    table: str
    index: str


@attrs.frozen(slots=True)
class ChangeStorage:
    """Move a table between memory and disc, in steps, while others read and write."""

    table: str
    storage: Literal["ram", "disc"]


@attrs.frozen(slots=True)
class SetReadOnly:
    """Refuse every write from now on, or no longer; after the next open, too."""

    table: str
    read_only: bool


@attrs.frozen(slots=True)
class SetMerge:
    """Declare another merge, by its name, or none. What is stored stays as it is."""

    table: str
    merge: str | None


@attrs.frozen(slots=True)
class SetInsertOnly:
    """Declare that keys are hardly ever overwritten, or no longer."""

    table: str
    insert_only: bool


Operation = (
    CreateTable | DropTable | AddIndex | DropIndex | ChangeStorage | SetReadOnly | SetMerge | SetInsertOnly
)


def differences(now: Table | None, wanted: Table | None) -> tuple[Operation, ...]:
    """The operations that make one declaration of a table into another; None is no table.

    A table of another kind, or with other keys or tombstones, is another table: it is dropped and made anew. So is
    nothing else. Indexes that are functions are left as they are.
    """
    if wanted is None:
        return () if now is None else (DropTable(now.name),)
    if now is None:
        return (CreateTable(wanted),)
    assert now.name == wanted.name, "these are two tables"
    before, after = now.shape(), wanted.shape()
    if any(before[what] != after[what] for what in before if what != "storage"):
        return DropTable(now.name), CreateTable(wanted)
    return tuple(_alterations(now, wanted))


def _alterations(now: Table, wanted: Table) -> list[Operation]:
    # In an order in which no step on the way is a declaration that can't be.
    name = now.name
    found: list[Operation] = []
    if now.insert_only and not wanted.insert_only:
        found.append(SetInsertOnly(name, False))
    if now.read_only != wanted.read_only:
        found.append(SetReadOnly(name, wanted.read_only))
    there = {index.name: index for index in now.indexes}
    declared = {index.name: index for index in wanted.indexes}
    found += [
        DropIndex(name, index.name)
        for index in now.indexes
        if isinstance(index, FieldIndex) and declared.get(index.name) != index
    ]
    if now.merge != wanted.merge and (wanted.merge is None or isinstance(wanted.merge, str)):
        found.append(SetMerge(name, wanted.merge))
    if now.storage != wanted.storage:
        found.append(ChangeStorage(name, wanted.storage))
    found += [
        AddIndex(name, index)
        for index in wanted.indexes
        if isinstance(index, FieldIndex) and there.get(index.name) != index
    ]
    if wanted.insert_only and not now.insert_only:
        found.append(SetInsertOnly(name, True))
    return found
