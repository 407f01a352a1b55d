"""Makes what this node has be what is declared: groups, tables, indexes, storage, places.

It looks at this node's complete copy of the schema, compares, and does one thing after the other; whatever
fails is tried again, and is shown as a complaint. It never drops anything on account of a copy that isn't
complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import structlog
import trio

from replication.core.errors import ReplicationError
from replication.placed import Placed
from replication.replicated import ReplicatedGroup
from replication.schema.changes import ROWS_MAX
from replication.schema.declared import (
    APPLIED,
    DECLARED,
    DeclaredGroup,
    group_key,
    read,
    table_key,
)
from replication.tables import REPLICA, replicated
from store.errors import StoreError, StoreFatal
from store.operations import CreateTable, DropTable, differences
from store.store import Store
from store.writes import DELETE, PUT

log = structlog.get_logger()

AGAIN_S = 1.0
"""Until what failed is tried again."""
LOOK_S = 5.0
"""Between two looks when nothing is heard."""
EVENTS_MAX = 1_000


class Host(Protocol):
    """The cluster, as far as the keeper needs it."""

    me: bytes
    store: Store
    groups: dict[str, ReplicatedGroup]

    def start_group(self, placed: Placed) -> ReplicatedGroup: ...
    def stop_group(self, name: str) -> None: ...
    def place(self, placed: Placed) -> None: ...


class Keeper:
    """One node's. `complaints`: what could not be done, by what it was."""

    def __init__(self, host: Host, schema: ReplicatedGroup) -> None:
        self._host = host
        self._schema = schema
        self.complaints: dict[str, str] = {}
        self._looked = trio.Event()

    async def run(self) -> None:
        """Keep it so, until cancelled."""
        with self._schema.table(DECLARED.name).subscribe(limit=EVENTS_MAX) as happened:
            while True:
                await self._step(happened)

    async def _step(self, happened: Any) -> None:
        if self._schema.is_live(0):
            await self.look()
        self._looked.set()
        self._looked = trio.Event()
        with trio.move_on_after(AGAIN_S if self.complaints or not self._schema.is_live(0) else LOOK_S):
            await happened.wait_happened()

    async def wait_looked(self) -> None:
        """Wait until it has looked once more."""
        await self._looked.wait()

    async def look(self) -> None:
        """Compare, and do what is to be done."""
        rows = self._schema.table(DECLARED.name).range(limit=ROWS_MAX)
        declared = read(rows)
        applied = dict(self._schema.table(APPLIED.name).range(limit=ROWS_MAX))
        self.complaints = {}
        for name in [key[1] for key in applied if key[0] == "group"]:
            group = declared.get(name)
            if group is None or group.id != applied[group_key(name)]:
                await self._try(f"drop group {name}", self._drop_group, name, applied)
        for group in sorted(declared.values(), key=lambda one: -one.load_order):
            await self._try(f"group {group.name}", self._keep_group, group, applied)

    async def _try(self, what: str, do: Any, *arguments: Any) -> None:
        try:
            await do(*arguments)
        except StoreFatal:
            raise
        except (StoreError, ReplicationError, ValueError) as error:
            self.complaints[what] = str(error)
            log.warning("schema_not_kept", what=what, cause=str(error))

    # ---- groups --------------------------------------------------------------------------------

    async def _keep_group(self, group: DeclaredGroup, applied: dict[Any, Any]) -> None:
        host = self._host
        placed = group.placed(host.me)
        name = group.name
        there = {one.name for one in host.store.groups}
        if name in there and group_key(name) not in applied:
            if name not in host.store.added:
                self.complaints[f"group {name}"] = "a group of this name is declared by the program"
                return
            await host.store.drop_group(name, confirm=name)  # made, and not written down, before a crash
            there.discard(name)
        if name not in there:
            await host.store.add_group(replicated(placed.group))
            await self._note(
                [(group_key(name), group.id)]
                + [(table_key(name, table.table.name), table.id) for table in group.tables]
            )
        else:
            await self._keep_tables(group, applied)
        if name not in host.groups:
            host.start_group(placed)
        else:
            host.place(placed)

    async def _drop_group(self, name: str, applied: dict[Any, Any]) -> None:
        host = self._host
        if name in host.groups:
            host.stop_group(name)
        if any(one.name == name for one in host.store.groups):
            await host.store.drop_group(name, confirm=name)
        gone = [key for key in applied if key[1] == name]
        await self._note([(key, None) for key in gone])
        for key in gone:
            del applied[key]

    # ---- tables --------------------------------------------------------------------------------

    async def _keep_tables(self, group: DeclaredGroup, applied: dict[Any, Any]) -> None:
        opened = self._host.store.group(group.name)
        now = {table.name: table for table in opened.declaration.tables if table.name != REPLICA.name}
        wanted = {table.table.name: table for table in group.tables}
        for name in now:
            key = table_key(group.name, name)
            if name not in wanted or (key in applied and applied[key] != wanted[name].id):
                await opened.alter(DropTable(name))
                await self._note([(key, None)])
                applied.pop(key, None)
        for name, table in wanted.items():
            key = table_key(group.name, name)
            declaration = table.on(self._host.me)
            before = now.get(name) if key in applied else None
            if before is None:
                if name in now and key not in applied:
                    before = now[name]  # made, and not written down, before a crash
                else:
                    await opened.alter(CreateTable(declaration))
                await self._note([(key, table.id)])
            if before is not None:
                for operation in differences(before, declaration):
                    await opened.alter(operation)

    async def _note(self, rows: Sequence[tuple[Any, bytes | None]]) -> None:
        table = self._schema.table(APPLIED.name).id
        writes = [(DELETE, table, key) if value is None else (PUT, table, key, value) for key, value in rows]
        await self._schema.group.commit(writes)
