"""Opening a group: is this environment ours, is its schema the declared one, and who are we this time.

In one write transaction, durable before anything else is written: new tables and their ids, indexes that the code
declares in another version, and the incarnation.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from store import catalog as catalogs
from store import incarnation
from store.catalog import Catalog, Entry
from store.directory import refuse_format
from store.environment import CHANGES, META, Environment, refuse_other_content
from store.errors import DamagedStore, ForeignDirectory, NoStore, SchemaChanged, UnknownTable
from store.groupstate import GroupState
from store.limits import FORMAT, StoreSettings
from store.placing import Placing
from store.schema import Group, Table
from store.work import SEQUENCE_KEY, Places

FORMAT_KEY: Final = b"format"
GROUP_KEY: Final = b"group"

_META: Final = (
    FORMAT_KEY,
    GROUP_KEY,
    SEQUENCE_KEY,
    incarnation.KEY,
    catalogs.SCHEMA_KEY,
    catalogs.RESIDUES_KEY,
    catalogs.VACANT_KEY,
)

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
    discover: bool = False,
    made: bool = False,
    identity: NewIdentity = new_identity,
    environments: Callable[..., Environment] = Environment,
) -> GroupState:
    """Open or make one group.

    Args:
        discover: tables that `group` doesn't declare are opened as they are declared on disc. Those that were made at
            run time always are, and those of `local_content`.
        made: the group, with its tables, is made at run time.

    Raises:
        ForeignDirectory, OlderFormat, NewerFormat, SchemaChanged, UnknownTable, DamagedStore, DiskFull.
    """
    if read_only and not (path / "data.mdb").exists():
        raise NoStore(f"{path} holds no group {group.name!r}")
    environment = environments(path, settings, read_only=read_only)
    try:
        opening = _Opening(environment, group, read_only=read_only, discover=discover, made=made)
        return opening.run(settings, clock, identity)
    except BaseException:
        environment.close()
        raise


class _Opening:
    __slots__ = (
        "_changes",
        "_discover",
        "_environment",
        "_group",
        "_history",
        "_made",
        "_meta",
        "_read_only",
        "_seen",
        "_sequence",
    )

    def __init__(
        self, environment: Environment, group: Group, *, read_only: bool, discover: bool, made: bool
    ) -> None:
        self._environment = environment
        self._group = group
        self._read_only = read_only
        self._discover = discover
        self._made = made
        meta = environment.database(META, create=False)
        if meta is None:
            refuse_other_content(environment)
            if read_only:
                raise NoStore(f"{environment.path} holds no group {group.name!r}")
            meta = environment.database(META)
        self._meta = meta
        self._history = incarnation.History(())
        self._sequence = 0
        self._seen: dict[bytes, bytes | None] = {}

    def run(self, settings: StoreSettings, clock: Callable[[], float], identity: NewIdentity) -> GroupState:
        environment = self._environment
        before = self._read()
        changes = environment.database(CHANGES)
        if changes is None:
            raise DamagedStore(f"{environment.path} has no database of changes")
        declared = self._declared(before)
        if self._read_only:
            placing = Placing(environment, None, before)
            tables = [placing.look(table) for table in declared]
            after = before
        else:
            history = self._history = self._history.begin(identity(), self._sequence, int(clock() * 1000))
            transaction = environment.begin(write=True)
            try:
                placing = Placing(environment, transaction, before, made=self._made)
                placing.sweep()
                tables = [placing.settle(table) for table in declared]
                after = placing.catalog
                transaction.put(FORMAT_KEY, str(FORMAT).encode(), db=self._meta)
                transaction.put(GROUP_KEY, self._group.name.encode(), db=self._meta)
                transaction.put(incarnation.KEY, incarnation.encode(history), db=self._meta)
                for key, value in catalogs.encode(after).items():
                    transaction.put(key, value, db=self._meta)
            except BaseException:
                transaction.abort()
                raise
            environment.commit(transaction)
        places = Places(self._meta, changes)
        state = GroupState(
            self._group.name,
            environment,
            places,
            tables,
            self._history,
            self._sequence,
            settings,
            clock,
            self._group.reconcile,
            after,
        )
        if not self._made:
            state.coded = frozenset(table.name for table in self._group.tables)
        if self._read_only:
            state.seen = self._seen
        return state

    def _read(self) -> Catalog:
        """What the meta database says."""
        environment, meta = self._environment, self._meta
        transaction = environment.begin()
        try:
            found: dict[bytes, bytes | None] = {key: transaction.get(key, None, meta) for key in _META}
            entries = transaction.stat(meta)["entries"]
        finally:
            transaction.abort()
        version, name = found[FORMAT_KEY], found[GROUP_KEY]
        if version is None:
            if entries:
                raise ForeignDirectory(f"{environment.path} is an LMDB environment of something else")
            return Catalog()
        if not version.isdigit() or name is None or found[catalogs.SCHEMA_KEY] is None:
            raise DamagedStore(f"the meta database of {environment.path} can't be read")
        refuse_format(int(version), str(environment.path))
        if not name.decode(errors="replace").isidentifier():
            raise DamagedStore(f"the meta database of {environment.path} can't be read")
        if name != self._group.name.encode():
            raise SchemaChanged(
                f"{environment.path} holds group {name.decode()!r}, not {self._group.name!r}",
                "use the right directory",
            )
        self._history = incarnation.decode(found[incarnation.KEY])
        self._seen = {key: found[key] for key in (catalogs.SCHEMA_KEY, catalogs.RESIDUES_KEY)}
        self._sequence = int.from_bytes(found[SEQUENCE_KEY] or b"", "big")
        return catalogs.decode(found, environment.path)

    def _declared(self, catalog: Catalog) -> list[Table]:
        """All tables, as code and disc together declare them."""
        code = {table.name: table for table in self._group.tables}
        lenient = self._read_only and self._discover
        found: list[Table] = []
        for name in dict.fromkeys((*code, *catalog.entries)):
            entry = catalog.entries.get(name)
            if name not in code and entry is not None and not (entry.made or self._discover):
                raise UnknownTable(
                    f"table {name!r} of group {self._group.name!r} is on disk and isn't declared"
                )
            table = catalogs.declared(name, code.get(name), entry, lenient=lenient)
            if entry is not None:
                self._refuse_other_shape(table, entry)
            found.append(table)
        return found

    def _refuse_other_shape(self, table: Table, entry: Entry) -> None:
        before = entry.declaration.shape()
        for what, value in table.shape().items():
            if before[what] != value:
                raise SchemaChanged(
                    f"table {table.name!r} of group {self._group.name!r} is on disk with {what}={before[what]!r} and "
                    f"declared with {what}={value!r}"
                )
