"""Makes what this node has be what is declared: groups, tables, indexes, storage, places.

It looks at this node's complete copy of the schema, compares, and does one thing after the other; whatever
fails is tried again, and is shown as a complaint. It never drops anything on account of a copy that isn't
complete.

`applied` says which creation of a group or table this node has. It is written before anything is made, and forgotten
after it was dropped, so that what is there is always what `applied` says, wherever this node crashes.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    DeclaredTable,
    group_key,
    read,
    table_key,
)
from replication.tables import REPLICA, replicated
from replication.zeromq.errors import LinkError
from store.errors import StoreError, StoreFatal
from store.operations import DropTable, differences
from store.store import Store
from store.writes import DELETE, PUT

log = structlog.get_logger()

AGAIN_S = 1.0
"""Until what failed is tried again."""
LOOK_S = 5.0
"""Between two looks when nothing is heard."""
PATIENCE_S = 5.0
"""For how long one alteration is waited for; a longer one goes on beside the others."""
EVENTS_MAX = 1_000


class Host(Protocol):
    """The cluster, as far as the keeper needs it."""

    me: bytes
    store: Store
    groups: dict[str, ReplicatedGroup]

    def start_group(
        self, placed: Placed, identity: bytes | None = None, tables: Mapping[str, bytes] | None = None
    ) -> ReplicatedGroup: ...
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
        self.complaints = {}
        await self._try("the schema", self._look)

    async def _look(self) -> None:
        declared = read(self._schema.table(DECLARED.name).range(limit=ROWS_MAX))
        applied = dict(self._schema.table(APPLIED.name).range(limit=ROWS_MAX))
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
        except (StoreError, ReplicationError, LinkError, ValueError) as error:
            self.complaints[what] = str(error)
            log.warning("schema_not_kept", what=what, cause=str(error))

    # ---- groups --------------------------------------------------------------------------------

    async def _keep_group(self, group: DeclaredGroup, applied: dict[Any, Any]) -> None:
        host = self._host
        name, key = group.name, group_key(group.name)
        placed = group.placed(host.me)
        if not self._is_there(name):
            made = {key: group.id} | {table_key(name, one.table.name): one.id for one in group.tables}
            stale = {one: None for one in applied if one[1] == name and one not in made}
            await self._note({**made, **stale}, applied)
            await host.store.add_group(replicated(placed.group))
        elif key not in applied:
            self.complaints[f"group {name}"] = "a group of this name is declared by the program"
            return
        elif applied[key] != group.id:
            return  # the former one isn't dropped yet, and there is a complaint
        if name not in host.groups:
            tables = {one[2]: made for one, made in applied.items() if one[0] == "table" and one[1] == name}
            host.start_group(placed, group.id, tables)
        else:
            host.place(placed)
        await self._keep_tables(group, applied)

    def _is_there(self, name: str) -> bool:
        return any(one.name == name for one in self._host.store.groups)

    async def _drop_group(self, name: str, applied: dict[Any, Any]) -> None:
        host = self._host
        if name in host.groups:
            host.stop_group(name)
        if self._is_there(name):
            await host.store.drop_group(name, confirm=name)
        await self._note({key: None for key in applied if key[1] == name}, applied)

    # ---- tables --------------------------------------------------------------------------------

    async def _keep_tables(self, group: DeclaredGroup, applied: dict[Any, Any]) -> None:
        wanted = {one.table.name: one for one in group.tables}
        there = self._host.store.group(group.name).declaration.tables
        kept = {group_key(group.name)} | {table_key(group.name, name) for name in wanted}
        kept |= {table_key(group.name, table.name) for table in there}
        stale = {key: None for key in applied if key[1] == group.name and key not in kept}
        if stale:  # dropped, and not written down, before a crash
            await self._note(stale, applied)
        for table in there:
            key = table_key(group.name, table.name)
            if table.name == REPLICA.name:
                continue
            if table.name not in wanted or applied.get(key) != wanted[table.name].id:
                what = f"drop table {group.name}.{table.name}"
                await self._try(what, self._drop_table, group.name, table.name, applied)
        for one in group.tables:
            what = f"table {group.name}.{one.table.name}"
            await self._try(what, self._keep_table, group.name, one, applied)

    async def _drop_table(self, group: str, name: str, applied: dict[Any, Any]) -> None:
        labels = self._host.groups[group].carrier.labels
        assert labels is not None
        labels.drop(name)
        await self._host.store.group(group).alter(DropTable(name))
        await self._note({table_key(group, name): None}, applied)

    async def _keep_table(self, group: str, table: DeclaredTable, applied: dict[Any, Any]) -> None:
        opened = self._host.store.group(group)
        name, key = table.table.name, table_key(group, table.table.name)
        declaration = table.on(self._host.me)
        now = next((one for one in opened.declaration.tables if one.name == name), None)
        if now is not None and applied.get(key) != table.id:
            return  # the former one isn't dropped yet, and there is a complaint
        if now is None:
            labels = self._host.groups[group].carrier.labels
            assert labels is not None
            await self._note({key: table.id}, applied)
            labels.put(name, table.id)
        for operation in differences(now, declaration):
            with trio.move_on_after(PATIENCE_S):
                await opened.alter(operation)

    async def _note(self, rows: Mapping[Any, bytes | None], applied: dict[Any, Any]) -> None:
        """Remember which creations are here; durable on return."""
        table = self._schema.table(APPLIED.name).id
        await self._schema.group.commit(
            [(DELETE, table, key) if made is None else (PUT, table, key, made) for key, made in rows.items()]
        )
        for key, made in rows.items():
            if made is None:
                applied.pop(key, None)
            else:
                applied[key] = made
