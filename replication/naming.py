"""Writes as they go to another node: tables by their names, for ids are each node's own; values as CBOR, for any kind
of value may be in one."""

from collections.abc import Sequence
from typing import Any

import cbor2

from store.errors import TableReadOnly, UnknownTable
from store.group import OpenGroup
from store.record import encode_value
from store.writes import Write

ROW_BYTES = 32
"""Of a row that is sent, beside what is in its key and its values: about."""
ELEMENT_BYTES = 9
"""Of an element of a key that is neither text nor bytes: about."""


def named(group: OpenGroup, writes: Sequence[Write]) -> tuple[list[Write], int]:
    """As they are sent, and about how many bytes that is.

    Raises:
        UnknownTable, ValueNotStorable.
        TableReadOnly: it is so here. The primary may not have heard of it yet, and would take them.
    """
    tables = group.state.by_id
    found: list[Write] = []
    size = ROW_BYTES * len(writes)
    for write in writes:
        table = tables[write[1]] if 0 <= write[1] < len(tables) else None
        if table is None:
            raise UnknownTable(f"there is no table with id {write[1]}")
        if table.read_only:
            raise TableReadOnly(f"table {table.name!r} is read-only")
        values = [encode_value(value) for value in write[3:]]
        size += sum(map(len, values)) + _key_bytes(write[2])
        found.append((write[0], table.name, write[2], *values))
    return found, size


def _key_bytes(key: Any) -> int:
    if not isinstance(key, tuple):
        return len(key) if isinstance(key, bytes) else ELEMENT_BYTES  # what is no key, the primary refuses
    return sum(len(one) if isinstance(one, str | bytes) else ELEMENT_BYTES for one in key)


def unnamed(group: OpenGroup, row: Sequence[Any]) -> Write:
    """One that was sent. Raises UnknownTable."""
    return (row[0], group.table(row[1]).id, key_of(row[2]), *(cbor2.loads(value) for value in row[3:]))


def key_of(key: Any) -> Any:
    """Keys are tuples; on the wire they are lists."""
    return tuple(key_of(element) for element in key) if isinstance(key, list) else key
