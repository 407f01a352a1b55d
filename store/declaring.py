"""A table's whole declaration as plain data, so that it can be kept on disk and sent to other nodes.

    schema_row(table) → {"name": …, "kind": …, …, "merge": name or None, "indexes": [{"name", "version", "paths"}, …]}
    table_from_row(row) → the same table

Only what is declared by data can be: a merge by its name (`merges`), an index by its paths (`fieldindex`).
"""

from __future__ import annotations

from typing import Any, Final

from store.errors import NotDeclarable
from store.fieldindex import FieldIndex, index_from_row, index_row
from store.merges import merge_named
from store.schema import Table

_FLAGS: Final = ("partitioned", "tombstones", "local_content", "read_only", "insert_only")


def schema_row(table: Table) -> dict[str, Any]:
    """The declaration as plain data, CBOR-able.

    Raises:
        NotDeclarable: an index or the merge is a function.
    """
    if table.merge is not None and not isinstance(table.merge, str):
        raise NotDeclarable(f"the merge of table {table.name!r} is a function")
    indexes = []
    for index in table.indexes:
        if not isinstance(index, FieldIndex):
            raise NotDeclarable(f"index {index.name!r} of table {table.name!r} is a function")
        indexes.append(index_row(index))
    row: dict[str, Any] = {"name": table.name, "kind": table.kind, "storage": table.storage}
    row.update((flag, getattr(table, flag)) for flag in _FLAGS)
    row.update(merge=table.merge, indexes=indexes)
    return row


def table_from_row(row: Any) -> Table:
    """The declaration of plain data.

    Raises:
        NotDeclarable: it is none. UnknownMerge: this release has no merge of that name.
    """
    try:
        if any(type(row[flag]) is not bool for flag in _FLAGS):
            raise NotDeclarable("a flag of a table's declaration is no bool")
        if row["merge"] is not None:
            merge_named(row["merge"])
        return Table(
            row["name"],
            kind=row["kind"],
            storage=row["storage"],
            merge=row["merge"],
            indexes=tuple(index_from_row(index) for index in row["indexes"]),
            **{flag: row[flag] for flag in _FLAGS},
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NotDeclarable(f"a table can't be read from its declaration ({type(error).__name__})") from None


def is_plain(table: Table) -> bool:
    """Whether the declaration can be kept as plain data."""
    return (table.merge is None or isinstance(table.merge, str)) and all(
        isinstance(index, FieldIndex) for index in table.indexes
    )
