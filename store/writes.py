"""The operations a caller hands over, and their encoding before they are queued.

Everything that can be wrong with a key or a value is found here, on the caller's side, before anything is queued:
what is queued can be applied.

    (PUT,    table_id, key, value)
    (DELETE, table_id, key)                     a bag: every value of the key
    (REMOVE, table_id, key, value)              a bag: this value of the key
    (MERGE,  table_id, key, value)              value = merge(old value or None, value)
    (APPLY,  table_id, key, value, version, tombstone)
                                                a record of another node: kept if its version is the higher one, or
                                                merged if the table declares a merge. `value` of a tombstone is
                                                None, or in a bag the digest of the value that is gone
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import cbor2

from store import keys
from store.errors import KeyNotStorable, MergeUndeclared, SubmitTooLarge, TableReadOnly, UnknownTable
from store.limits import KEY_BYTES_MAX, SUBMIT_ROWS_MAX
from store.record import Version, encode_value
from store.schema import AnyIndex
from store.state import TablesById, TableState

PUT: Final = 1
DELETE: Final = 2
MERGE: Final = 3
APPLY: Final = 4
REMOVE: Final = 5

Write = tuple[Any, ...]

DIGEST_BYTES: Final = 16
UNPARTITIONED: Final = keys.encode((None,))
"""What stands for the partition in `changes` when a table has none."""

SHORT: Final = 65_535
"""Bytes up to this length are storable without a further look."""

Row = tuple[int, TableState, bytes, bytes, bytes, Any]
"""(operation, table, physical key, partition's encoding, payload, extra)"""


def encode_writes(tables: TablesById, writes: Sequence[Write]) -> tuple[list[Row], int, bool, bool]:
    """Rows to apply, their bytes, whether applying them can fail for a reason of the caller's, whether all are puts.

    Raises:
        KeyNotStorable, ValueNotStorable, UnknownTable, TableReadOnly, MergeUndeclared, SubmitTooLarge.
    """
    if len(writes) > SUBMIT_ROWS_MAX:
        raise SubmitTooLarge(f"a submit has {len(writes)} rows; {SUBMIT_ROWS_MAX} is the limit")
    rows: list[Row] = []
    size = 0
    risky = False
    puts = bool(writes)
    encode, dumps = keys.encode, cbor2.dumps
    for write in writes:
        op = write[0]
        try:
            table = tables[write[1]]
        except IndexError:
            raise UnknownTable(f"there is no table with id {write[1]}") from None
        if table is None:
            raise UnknownTable(f"there is no table with id {write[1]} any more")
        if op == PUT and table.plain:
            # What most writes are: `encode_write`, without its calls.
            key, value = write[2], write[3]
            key = encode(key) if type(key) is tuple else keys.as_key(key)
            if not 0 < len(key) <= KEY_BYTES_MAX:
                keys.as_key(key)
            payload = dumps(value) if type(value) is bytes and len(value) <= SHORT else encode_value(value)
            partition = key[: keys.first_length(key)] if table.partitioned else UNPARTITIONED
            row: Row = (op, table, key, partition, payload, None)
        else:
            row = encode_write(table, write)
            risky = risky or op in (MERGE, APPLY)
            puts = puts and op == PUT
        rows.append(row)
        size += len(row[2]) + len(row[4])
    return rows, size, risky, puts


def renew(tables: dict[str, TableState], rows: list[Row]) -> list[Row]:
    """Rows that were encoded before an alteration, as they are now. Tables made read-only since still take them.

    Raises:
        UnknownTable: a table was dropped. MergeUndeclared: it has no merge any more.
    """
    found: list[Row] = []
    for row in rows:
        op, table, key, partition, payload, extra = row
        now = tables.get(table.name)
        if now is not table:
            if now is None or now.lineage is not table.lineage:
                raise UnknownTable(f"table {table.name!r} was dropped")
            if op == MERGE and now.merge is None:
                raise MergeUndeclared(f"table {table.name!r} declares no merge any more")
            # Index entries that were made for the indexes as they were are made again.
            row = (op, now, key, partition, payload, None if op == PUT else extra)
        found.append(row)
    return found


def encode_write(table: TableState, write: Write) -> Row:
    """One write, of any kind."""
    if table.read_only:
        raise TableReadOnly(f"table {table.name!r} is read-only")
    op = write[0]
    key = keys.as_key(write[2])
    partition = partition_of(table, key)
    if op == DELETE:
        return op, table, key, partition, b"", None
    value = write[3]
    if op == APPLY:
        version, tombstone = Version(*write[4]), bool(write[5])
        payload = b"" if tombstone else encode_value(value)
        if table.bag:
            key = key + keys.SEPARATOR + value if tombstone else bag_key(key, payload)
        return op, table, key, partition, payload, (version, tombstone)
    payload = encode_value(value)
    if op == MERGE:
        if table.merge is None:
            raise MergeUndeclared(f"table {table.name!r} declares no merge")
        return op, table, key, partition, payload, None
    if table.bag:
        key = bag_key(key, payload)
    elif op == REMOVE:
        raise KeyNotStorable(f"table {table.name!r} is no bag, so a value can't be removed from a key")
    if op == PUT:
        return op, table, key, partition, payload, index_entries(table, key, value) if table.indexes else None
    if op == REMOVE:
        return op, table, key, partition, b"", None
    raise ValueError(f"unknown operation {op!r}")


def partition_of(table: TableState, key: bytes) -> bytes:
    """The encoding of the partition, which is how `changes` begins."""
    return key[: keys.first_length(key)] if table.partitioned else UNPARTITIONED


def bag_key(key: bytes, payload: bytes) -> bytes:
    """Where one value of a bag's key is stored."""
    physical = key + keys.SEPARATOR + blake2b(payload, digest_size=DIGEST_BYTES).digest()
    if len(physical) > KEY_BYTES_MAX:
        raise KeyNotStorable(
            f"a key of a bag has {len(key)} bytes when encoded, with {DIGEST_BYTES + 1} to add"
        )
    return physical


def index_entries(table: TableState, key: bytes, value: Any) -> list[list[bytes]]:
    """For each index of the table, the physical keys of this row's entries.

    Raises whatever the index's function raises.
    """
    logical = keys.decode(keys.split(key)[0] if table.bag else key)
    return [_entries(index, key, logical, value) for index in table.indexes]


def entries_of(table: TableState, position: int, key: bytes, value: Any) -> list[bytes]:
    """As `index_entries`, for one index."""
    logical = keys.decode(keys.split(key)[0] if table.bag else key)
    return _entries(table.indexes[position], key, logical, value)


def _entries(index: AnyIndex, key: bytes, logical: tuple[Any, ...], value: Any) -> list[bytes]:
    entries = {keys.encode(entry) + keys.SEPARATOR + key for entry in index.fn(logical, value)}
    longest = max(map(len, entries), default=0)
    if longest > KEY_BYTES_MAX:
        raise KeyNotStorable(f"an entry of index {index.name!r} has {longest} bytes with its row's key")
    return sorted(entries)
