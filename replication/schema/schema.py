"""The schema of a cluster as its users see it: what Mnesia calls schema functions, on any node, without a restart.

A change is one transaction on the replicated table of the schema, settled as any other; then every node makes its own
tables so, a moment later. `wait_for_tables` waits until some can be used.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import trio

from replication.core.errors import ReplicationError
from replication.replicated import ReplicatedGroup
from replication.schema.changes import ROWS_MAX
from replication.schema.declared import DECLARED, NAME, DeclaredGroup, DeclaredTable, read
from replication.schema.errors import TablesNotReady, TransformFailed
from replication.schema.keeper import Keeper
from store.fieldindex import FieldIndex, index_row
from store.schema import Table

TRANSFORM = "schema.transform"
"""What the step of a transformation is called."""


class Schema:
    """Made by `cluster.open_cluster`. Everything raises `SchemaRefused` for what makes no sense, `NotServed` and
    `Unanswered` as `ReplicatedGroup.call` does."""

    def __init__(
        self,
        group: ReplicatedGroup,
        keeper: Keeper,
        groups: Callable[[], Mapping[str, ReplicatedGroup]],
        members: Sequence[bytes],
    ) -> None:
        self._group = group
        self._keeper = keeper
        self._groups = groups
        self._members = list(members)

    def groups(self) -> dict[str, DeclaredGroup]:
        """What is declared, as this node's copy of the schema has it."""
        return read(self._group.table(DECLARED.name).range(limit=ROWS_MAX))

    @property
    def complaints(self) -> dict[str, str]:
        """What this node could not do of it, and why; it goes on trying."""
        return dict(self._keeper.complaints)

    # ---- groups and tables ---------------------------------------------------------------------

    async def create_table(
        self,
        table: Table,
        *,
        group: str | None = None,
        partitions: int = 1,
        copies: int = 2,
        nodes: Iterable[bytes] = (),
        load_order: int = 0,
    ) -> None:
        """Create a table: in a group that is there, or in one of its own, named like it.

        Args:
            group: one that exists; the other arguments are that group's then.
            nodes: which have copies, the first wanted as primary; empty: spread over all members.
        """
        if group is not None:
            await self._change("create_table", group, _new(table).row())
        else:
            await self.create_group(
                table.name, [table], partitions=partitions, copies=copies, nodes=nodes, load_order=load_order
            )

    async def create_group(
        self,
        name: str,
        tables: Iterable[Table],
        *,
        partitions: int = 1,
        copies: int = 2,
        nodes: Iterable[bytes] = (),
        load_order: int = 0,
    ) -> None:
        """Create tables that change together: one transaction may write to all of them."""
        group = DeclaredGroup(
            id=secrets.token_bytes(8),
            name=name,
            partitions=partitions,
            copies=copies,
            nodes=tuple(nodes),
            load_order=load_order,
        )
        await self._change("create_group", group.row(), name, [_new(table).row() for table in tables])

    async def delete_table(self, group: str, table: str | None = None) -> None:
        """Delete a table with everything in it, on all nodes; with the last one its group goes."""
        await self._change("delete_table", group, table or group)

    async def delete_group(self, name: str) -> None:
        """Delete a group with all of its tables."""
        await self._change("delete_group", name)

    # ---- copies --------------------------------------------------------------------------------

    async def add_copy(self, group: str, node: bytes) -> None:
        """One copy more, on a node. It fills while the others go on."""
        await self._change("add_copy", group, node, self._members)

    async def drop_copy(self, group: str, node: bytes) -> None:
        """One copy less. If the node is primary, it moves what it serves to another one first."""
        await self._change("drop_copy", group, node, self._members)

    async def move_copy(self, group: str, source: bytes, target: bytes) -> None:
        """A copy leaves one node and comes to another."""
        await self._change("move_copy", group, source, target, self._members)

    async def set_copies(self, group: str, copies: int) -> None:
        """How many nodes hold each partition."""
        await self._change("set_copies", group, copies)

    async def set_load_order(self, group: str, order: int) -> None:
        """Groups with a higher one are opened first at a start."""
        await self._change("set_load_order", group, order)

    async def change_storage(
        self, group: str, table: str, storage: str, *, node: bytes | None = None
    ) -> None:
        """Keep a table in "ram" or on "disc": on one node, or on all."""
        await self._change("change_storage", group, table, storage, node)

    # ---- what a table is -----------------------------------------------------------------------

    async def add_index(self, group: str, table: str, index: FieldIndex) -> None:
        """A secondary index, built on each node while it is written to."""
        await self._change("add_index", group, table, index_row(index))

    async def drop_index(self, group: str, table: str, index: str) -> None:
        """No longer that one."""
        await self._change("drop_index", group, table, index)

    async def set_read_only(self, group: str, table: str, read_only: bool) -> None:
        """Refuse writes on every node, or take them again."""
        await self._change("set_read_only", group, table, read_only)

    async def set_merge(self, group: str, table: str, merge: str | None) -> None:
        """What becomes of two records under one key: the named merge of `store.merges`, or the later one."""
        await self._change("set_merge", group, table, merge)

    async def transform_table(
        self,
        group: str,
        table: str,
        procedure: str,
        *,
        after: Mapping[int, bytes] | None = None,
        told: Callable[[int, int, bytes], None] | None = None,
    ) -> int:
        """Give every record the value that a registered procedure makes of it: procedure(key, value) → value.

        It happens in transactions of bounded size where each partition is served, while others write; every
        record's new value is an ordinary write. Gives how many records were changed.

        Args:
            after: by partition, where an earlier call ended.
            told: told(partition, records looked at in it, where to go on) after each step.

        Raises:
            TransformFailed: with `after` in its text; the records before are transformed.
        """
        one = self._groups()[group]
        changed = 0
        for p in range(one.placed.partitions):
            position = (after or {}).get(p, b"")
            looked = 0
            while position is not None:
                try:
                    written = await one.call(TRANSFORM, table, procedure, position, p, partition=p)
                except ReplicationError as error:
                    raise TransformFailed(
                        f"table {table!r}, partition {p}, behind key {position.hex() or 'none'}: {error}"
                    ) from error
                seen, some, position = written.value
                looked += seen
                changed += some
                if told is not None:
                    told(p, looked, position or b"")
        return changed

    # ---- waiting -------------------------------------------------------------------------------

    async def wait_for_tables(self, groups: Iterable[str], timeout: float) -> None:
        """Wait until groups can be used from this node: they are here, and every partition is served by somebody.

        Raises:
            TablesNotReady: names those that aren't, after ``timeout`` seconds.
        """
        missing = set(groups)
        with trio.move_on_after(timeout):
            while missing:
                for name in tuple(missing):
                    if name in self._groups():
                        await self._groups()[name].wait_ready()
                        missing.discard(name)
                if missing:
                    await trio.sleep(0.02)
        if missing:
            raise TablesNotReady(f"after {timeout} s: {', '.join(sorted(missing))}")

    async def _change(self, what: str, *arguments: Any) -> None:
        await self._group.call(NAME, what, list(arguments))


def _new(table: Table) -> DeclaredTable:
    return DeclaredTable(id=secrets.token_bytes(8), table=table)
