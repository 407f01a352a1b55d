"""Dump and load: a store as one portable file, in place of its pages.

The file is a CBOR sequence (RFC 8742), so any language can read it:

    ["waystation-dump", 1, made in ms, [[group, [[table, kind, partitioned, tombstones, declaration], …], added], …]]
    [group, table, [[key, value, epoch, sequence, incarnation, state], …]]     up to 500 records of one table; group
                                                                               and table are positions in the above
    ["end", number of records, SHA-256 of all bytes before this item]

`declaration` is there of a table that was made at run time, and `added` is true of such a group: `load` makes them
where they aren't. A key is a list; in it and in the values, tuples are lists. `state` is 0 for a record and 1 for a
tombstone (of a bag's value: its digest is then the value). Local and ram tables are in it too. A dump of a store that
is written to is consistent for each group.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs
import cbor2

from store import keys
from store.backup import PARTIAL, Report, no_report
from store.declaring import is_plain, schema_row, table_from_row
from store.disk import naming_a_full_disk, sync_directory
from store.errors import CorruptDump, SchemaChanged, TableReadOnly, TargetExists
from store.group import OpenGroup
from store.limits import SUBMIT_ROWS_MAX
from store.operations import CreateTable, Operation, SetReadOnly
from store.reading import logical_key
from store.record import Version, unpack
from store.results import Result
from store.schema import Group
from store.state import TableState
from store.store import Store
from store.writes import APPLY, Write

MAGIC: Final = "waystation-dump"
VERSION: Final = 1
END: Final = "end"
CHUNK: Final = 500
FIELDS: Final = 6
TABLE_FIELDS: Final = 5

assert CHUNK <= SUBMIT_ROWS_MAX


def dump(store: Store, path: str | os.PathLike[str], report: Report = no_report) -> int:
    """Write all records of a store to a new file; gives their number. Blocks: call it in a thread, or without a loop.

    Raises:
        TargetExists, DiskFull, DamagedRecord: there is no dump then.
    """
    target = Path(path).absolute()
    if target.exists():
        raise TargetExists(f"{target} exists")
    partial = target.with_name(target.name + PARTIAL)
    try:
        with naming_a_full_disk(partial), partial.open("wb") as file:
            os.chmod(file.fileno(), 0o600)
            written = _Writer(file)
            groups, contents = store.groups, _contents(store)
            written.item([MAGIC, VERSION, int(store.clock() * 1000), contents])
            records = 0
            for number, group in enumerate(groups):
                positions = {table[0]: position for position, table in enumerate(contents[number][1])}
                records += _dump_group(group, number, positions, written, report)
            written.item([END, records, written.digest.digest()])
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
        sync_directory(target.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return records


def load(store: Store, path: str | os.PathLike[str], report: Report = no_report) -> int:
    """Apply a dump to an open store with an inline committer; gives the number of records read. Blocks.

    The whole file is checked first. Records keep their versions: where the store already has a newer one under the
    same key, that stays (or the two are merged, if the table declares how), so loading twice is the same as once.

    Raises:
        CorruptDump: nothing was loaded.
        UnknownTable, SchemaChanged, TableReadOnly: the store lacks a group or table of the dump, or has another, or
            takes no writes to it; nothing was loaded.
        DiskFull, MapFull: what was loaded before stays; load again with more room.
    """
    source = Path(path)
    records = _check(source, report)
    done = 0
    with source.open("rb") as file:
        decoder = _decoder(file)
        contents = decoder.decode()[3]
        guarded = _make(store, contents)
        tables = _match(store, contents)
        while (item := decoder.decode())[0] != END:
            group, table = tables[item[0]][item[1]]
            _commit(store, group, [_write(table, record) for record in item[2]])
            done += len(item[2])
            report("load", done, records)
    for opened, name in guarded:
        _alter(store, opened, SetReadOnly(name, True))
    return records


class _Writer:
    __slots__ = ("_file", "digest")

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def item(self, item: Any) -> None:
        encoded = cbor2.dumps(item)
        self.digest.update(encoded)
        self._file.write(encoded)


def _contents(store: Store) -> list[Any]:
    return [
        [
            group.name,
            [
                [
                    table.name,
                    table.declaration.kind,
                    table.partitioned,
                    table.tombstones,
                    _declaration(group, table),
                ]
                for table in group.state.by_id
            ],
            group.name in store.added,
        ]
        for group in store.groups
    ]


def _declaration(group: OpenGroup, table: TableState) -> dict[str, Any] | None:
    made = table.name in group.state.made and is_plain(table.declaration)
    return schema_row(table.declaration) if made else None


def _dump_group(
    group: OpenGroup, number: int, positions: dict[str, int], written: _Writer, report: Report
) -> int:
    records = 0
    with group.snapshot() as snapshot:
        total = sum(snapshot.count(table) for table in snapshot.tables)
        for table in snapshot.tables:
            position = positions.get(table.name)
            if position is None:
                continue  # made since the dump was begun
            sources = [snapshot.rows(table)]
            if table.tombstones:
                sources.append(snapshot.buried(table))
            for state, source in enumerate(sources):
                low = b""
                while chunk := source.scan(low, keys.END, CHUNK):
                    rows = [_record(table, physical, raw, state) for physical, raw in chunk]
                    written.item([number, position, rows])
                    low = chunk[-1][0] + keys.SEPARATOR
                    records += len(chunk)
                    report(f"dump {group.name}", records, max(records, total))
    return records


def _record(table: TableState, physical: bytes, raw: bytes, state: int) -> list[Any]:
    record = unpack(table.name, physical, raw)
    value = keys.split(physical)[1] if table.bag and state else record.value
    return [list(logical_key(table, physical)), value, *record.version, state]


def _check(source: Path, report: Report) -> int:
    """Read it all: form, count and digest must be right, and nothing may follow. Gives the number of records."""
    size = source.stat().st_size
    digest = hashlib.sha256()
    records = 0
    with source.open("rb") as file, source.open("rb") as again:
        decoder = _decoder(file)
        try:
            header = decoder.decode()
            if header[:2] != [MAGIC, VERSION] or len(header) != 4:
                raise CorruptDump(f"{source} doesn't begin as a dump of version {VERSION}")
            while True:
                digest.update(again.read(file.tell() - again.tell()))
                item = decoder.decode()
                if item[0] == END:
                    break
                records += len(item[2])
                if any(len(record) != FIELDS for record in item[2]):
                    raise CorruptDump(f"{source} has a record with a wrong number of fields")
                report("check", file.tell(), size)
        except (cbor2.CBORDecodeError, TypeError, IndexError, KeyError, ValueError) as error:
            raise CorruptDump(f"{source} is cut off or altered ({type(error).__name__})") from None
        if item != [END, records, digest.digest()] or file.tell() != size:
            raise CorruptDump(f"{source} isn't what was written: its count, digest or size is another")
    return records


def _decoder(file: BinaryIO) -> cbor2.CBORDecoder:
    return cbor2.CBORDecoder(file, allow_indefinite=False)


def _make(store: Store, contents: Sequence[Any]) -> list[tuple[OpenGroup, str]]:
    """Groups and tables that were made at run time, where they aren't there. Gives those that are to be read-only."""
    guarded: list[tuple[OpenGroup, str]] = []
    for name, tables, *added in contents:
        if name not in {group.name for group in store.groups} and added == [True]:
            store.add_group_now(Group(name, ()))
        group = store.group(name)
        for table, _, _, _, row in (entry for entry in tables if len(entry) == TABLE_FIELDS):
            if row is not None and table not in {one.name for one in group.tables}:
                declaration = table_from_row(row)
                _alter(store, group, CreateTable(attrs.evolve(declaration, read_only=False)))
                if declaration.read_only:
                    guarded.append((group, table))
    return guarded


def _alter(store: Store, group: OpenGroup, operation: Operation) -> None:
    outcome: list[Result] = []
    group.submit_alter(outcome.append, operation)
    store.deliver_results()
    assert outcome, "loading needs a store with an inline committer"
    if outcome[0].error is not None:
        raise outcome[0].error


def _match(store: Store, contents: Sequence[Any]) -> list[list[tuple[OpenGroup, TableState]]]:
    """For each group and table of the dump, the store's."""
    found: list[list[tuple[OpenGroup, TableState]]] = []
    for name, tables, *_ in contents:
        group = store.group(name)
        found.append([])
        for table_name, kind, partitioned, *_ in tables:
            state = group.table(table_name).state
            if state.read_only:
                raise TableReadOnly(f"table {table_name!r} is read-only")
            if (state.declaration.kind, state.partitioned) != (kind, partitioned):
                raise SchemaChanged(
                    f"table {table_name!r} of the dump is declared in another way in the store"
                )
            found[-1].append((group, state))
    return found


def _write(table: TableState, record: Sequence[Any]) -> Write:
    key, value, epoch, sequence, incarnation, state = record
    return (APPLY, table.id, _tuple(key), value, Version(epoch, sequence, incarnation), bool(state))


def _tuple(key: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_tuple(element) if isinstance(element, list) else element for element in key)


def _commit(store: Store, group: OpenGroup, writes: list[Write]) -> None:
    outcome: list[Result] = []
    group.submit(writes, outcome.append)
    store.deliver_results()
    assert outcome, "loading needs a store with an inline committer"
    if outcome[0].error is not None:
        raise outcome[0].error
