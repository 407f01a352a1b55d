"""Opening a group: is this environment ours, is its schema the declared one, and who are we this time.

In one write transaction, durable before anything else is written: new tables and their ids, and the incarnation.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cbor2

from store import incarnation
from store.directory import refuse_format
from store.environment import CHANGES, META, Environment, refuse_other_content
from store.errors import DamagedStore, ForeignDirectory, NoStore, SchemaChanged, UnknownTable
from store.groupstate import GroupState
from store.limits import FORMAT, TABLES_MAX, StoreSettings
from store.record import value_of
from store.rows import DiscRows
from store.schema import Group, Table
from store.state import TableState
from store.work import SEQUENCE_KEY, Places
from store.writes import index_entries

FORMAT_KEY: Final = b"format"
GROUP_KEY: Final = b"group"
SCHEMA_KEY: Final = b"schema"

NewIdentity = Callable[[], int]


def new_identity() -> int:
    """A random incarnation id."""
    return secrets.randbits(64)


def open_group(
    path: Path,
    group: Group,
    settings: StoreSettings,
    clock: Callable[[], float],
    *,
    read_only: bool = False,
    identity: NewIdentity = new_identity,
    environments: Callable[..., Environment] = Environment,
) -> GroupState:
    """Open or make one group.

    Raises:
        ForeignDirectory, OlderFormat, NewerFormat, SchemaChanged, UnknownTable, DamagedStore, DiskFull.
    """
    if read_only and not (path / "data.mdb").exists():
        raise NoStore(f"{path} holds no group {group.name!r}")
    environment = environments(path, settings, read_only=read_only)
    try:
        return _open(environment, group, settings, clock, read_only, identity)
    except BaseException:
        environment.close()
        raise


def _open(
    environment: Environment,
    group: Group,
    settings: StoreSettings,
    clock: Callable[[], float],
    read_only: bool,
    identity: NewIdentity,
) -> GroupState:
    meta = environment.database(META, create=False)
    if meta is None:
        refuse_other_content(environment)
        if read_only:
            raise NoStore(f"{environment.path} holds no group {group.name!r}")
        meta = environment.database(META)
    known = _read_meta(environment, meta, group)
    changes = environment.database(CHANGES)
    if changes is None:
        raise DamagedStore(f"{environment.path} has no database of changes")
    schema, built = _match_schema(group, known["schema"])
    tables = [_open_table(environment, table, schema[table.name]["id"]) for table in group.tables]
    tables.sort(key=lambda table: table.id)
    assert [table.id for table in tables] == list(range(len(tables))), "ids of tables have no gaps"
    history = known["history"]
    if not read_only:
        history = history.begin(identity(), known["sequence"], int(clock() * 1000))
        transaction = environment.begin(write=True)
        for table, position in built:
            _build_index(transaction, next(one for one in tables if one.name == table), position)
        transaction.put(FORMAT_KEY, str(FORMAT).encode(), db=meta)
        transaction.put(GROUP_KEY, group.name.encode(), db=meta)
        transaction.put(SCHEMA_KEY, cbor2.dumps(schema), db=meta)
        transaction.put(incarnation.KEY, incarnation.encode(history), db=meta)
        environment.commit(transaction)
    return GroupState(
        group.name, environment, Places(meta, changes), tables, history, known["sequence"], settings, clock
    )


def _read_meta(environment: Environment, meta: Any, group: Group) -> dict[str, Any]:
    transaction = environment.begin()
    try:
        found = {
            key: transaction.get(key, None, meta)
            for key in (FORMAT_KEY, GROUP_KEY, SCHEMA_KEY, SEQUENCE_KEY, incarnation.KEY)
        }
        entries = transaction.stat(meta)["entries"]
    finally:
        transaction.abort()
    if found[FORMAT_KEY] is None:
        if entries:
            raise ForeignDirectory(f"{environment.path} is an LMDB environment of something else")
        return {"schema": {}, "sequence": 0, "history": incarnation.History(())}
    try:
        refuse_format(int(found[FORMAT_KEY]), str(environment.path))
        schema = cbor2.loads(found[SCHEMA_KEY])
        name = found[GROUP_KEY].decode()
    except (ValueError, TypeError, AttributeError, cbor2.CBORDecodeError):
        raise DamagedStore(f"the meta database of {environment.path} can't be read") from None
    if name != group.name:
        raise SchemaChanged(
            f"{environment.path} holds group {name!r}, not {group.name!r}", "use the right directory"
        )
    history = incarnation.decode(found[incarnation.KEY])
    return {
        "schema": schema,
        "sequence": int.from_bytes(found[SEQUENCE_KEY] or b"", "big"),
        "history": history,
    }


def _match_schema(group: Group, known: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, int]]]:
    """The schema to write, and the (table, index position) pairs whose index must be built."""
    declared = {table.name for table in group.tables}
    for name in known:
        if name not in declared:
            raise UnknownTable(f"table {name!r} of group {group.name!r} is on disk and isn't declared")
    schema: dict[str, Any] = {}
    build: list[tuple[str, int]] = []
    numbers = iter(sorted(set(range(TABLES_MAX)) - {entry["id"] for entry in known.values()}))
    for table in group.tables:
        shape = table.shape()
        before = known.get(table.name)
        if before is not None:
            for what, value in shape.items():
                if before.get(what) != value:
                    raise SchemaChanged(
                        f"table {table.name!r} of group {group.name!r} is on disk with {what}={before.get(what)!r} and "
                        f"declared with {what}={value!r}"
                    )
        indexes = {index.name: index.version for index in table.indexes}
        old = before["indexes"] if before is not None else {}
        build += [
            (table.name, at) for at, index in enumerate(table.indexes) if old.get(index.name) != index.version
        ]
        number = before["id"] if before is not None else next(numbers)
        schema[table.name] = {**shape, "id": number, "indexes": indexes}
    return schema, build


def _open_table(environment: Environment, declaration: Table, number: int) -> TableState:
    state = TableState(declaration, number)
    if not state.ram:
        name = declaration.name.encode()
        state.place = environment.database(b"t:" + name)
        if state.tombstones:
            state.tombstone_place = environment.database(b"x:" + name)
        state.indexed_places = [
            environment.database(b"i:" + name + b":" + index.name.encode()) for index in declaration.indexes
        ]
    return state


def _build_index(transaction: Any, table: TableState, position: int) -> None:
    if table.ram:
        return
    target = table.indexed_places[position]
    transaction.drop(target, delete=False)
    rows, index = DiscRows(transaction, table.place), DiscRows(transaction, target)
    low = b""
    while chunk := rows.scan(low, b"\xff", 1_000):
        for key, record in chunk:
            value = value_of(table.name, key, record)
            for entry in index_entries(table, key, value)[position]:
                index.put(entry, b"")
        low = chunk[-1][0] + b"\0"
