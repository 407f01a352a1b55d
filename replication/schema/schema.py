"""The schema of a cluster as its users see it: what Mnesia calls schema functions, on any node, without a restart.

A change is one transaction on the replicated table of the schema, settled as any other; then every node makes its own
tables so, a moment later. `wait_for_tables` waits until some can be used.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import trio

from replication.errors import GroupGone
from replication.replicated import ReplicatedGroup
from replication.schema.changes import ROWS_MAX
from replication.schema.declared import DECLARED, NAME, DeclaredGroup, DeclaredTable, read
from replication.schema.errors import SchemaRefused, TablesNotReady, TransformFailed
from replication.schema.keeper import Keeper
from store.fieldindex import FieldIndex, index_row
from store.keys import END
from store.schema import Table

TRANSFORM = "schema.transform"
"""What the step of a transformation is called."""
LOOK_S = 0.02
"""Between two looks at what is waited for."""


class Schema:
    """Made by `opening.take_part`. Everything raises `SchemaRefused` for what makes no sense, `NotServed` and
    `Unanswered` as `ReplicatedGroup.call` does."""

    def __init__(
        self,
        group: ReplicatedGroup,
        keeper: Keeper,
        groups: Callable[[], Mapping[str, ReplicatedGroup]],
        members: Callable[[], Sequence[bytes]],
    ) -> None:
        self._group = group
        self._keeper = keeper
        self._groups = groups
        self._members = members

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
        spread: bool = False,
        load_order: int = 0,
    ) -> None:
        """Create a table: in a group that is there, or in one of its own, named like it.

        Args:
            group: one that exists; the other arguments are that group's then.
            nodes: which have copies, the first wanted as primary; empty: spread over all members.
            spread: partitions are spread over `nodes`, too.
        """
        if group is not None:
            await self._change("create_table", group, _new(table).row())
        else:
            await self.create_group(
                table.name,
                [table],
                partitions=partitions,
                copies=copies,
                nodes=nodes,
                spread=spread,
                load_order=load_order,
            )

    async def create_group(
        self,
        name: str,
        tables: Iterable[Table],
        *,
        partitions: int = 1,
        copies: int = 2,
        nodes: Iterable[bytes] = (),
        spread: bool = False,
        load_order: int = 0,
    ) -> None:
        """Create tables that change together: one transaction may write to all of them."""
        group = DeclaredGroup(
            id=secrets.token_bytes(8),
            name=name,
            partitions=partitions,
            copies=copies,
            nodes=tuple(nodes),
            spread=spread,
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
        """One copy more, on a node. It fills while the others go on. Where partitions are spread over nodes: one node
        more to have some."""
        await self._change("add_copy", group, node, self._wanted(group))

    async def drop_copy(self, group: str, node: bytes) -> None:
        """One copy less. If the node is primary, it moves what it serves to another one first."""
        await self._change("drop_copy", group, node, self._wanted(group))

    async def move_copy(self, group: str, source: bytes, target: bytes) -> None:
        """A copy leaves one node and comes to another."""
        await self._change("move_copy", group, source, target, self._wanted(group))

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
            TransformFailed: its `after` says where to go on; the records before are transformed. If its cause is
                ClaimLost or Unanswered, the step behind that may be, too.
            SchemaRefused: there is no such group here.
        """
        one = self._handle(group)
        begun = dict(after or {})
        changed = 0
        for p in range(one.placed.partitions):
            position: bytes | None = begun.get(p, b"")
            looked = 0
            while position is not None:
                begun[p] = position
                try:
                    written = await one.call(TRANSFORM, table, procedure, position, p, partition=p)
                except Exception as error:  # the procedure's own, too
                    raise TransformFailed(f"table {table!r}, partition {p}: {error}", begun) from error
                seen, some, position = written.value
                looked += seen
                changed += some
                if told is not None:
                    told(p, looked, END if position is None else position)
            begun[p] = END
        return changed

    # ---- waiting -------------------------------------------------------------------------------

    async def wait_for_tables(self, tables: Iterable[str | tuple[str, str]], timeout: float) -> None:
        """Wait until tables can be used from this node: they are here, and every partition is served by somebody.

        Args:
            tables: names of groups, or (group, table) for one of several in it.

        Raises:
            TablesNotReady: names those that aren't, after ``timeout`` seconds.
        """
        missing = list(dict.fromkeys(tables))
        with trio.move_on_after(timeout):
            while missing:
                for one in tuple(missing):
                    with suppress(GroupGone):
                        if await self._is_ready(*((one,) if isinstance(one, str) else one)):
                            missing.remove(one)
                if missing:
                    await trio.sleep(LOOK_S)
        if missing:
            names = sorted(one if isinstance(one, str) else ".".join(one) for one in missing)
            raise TablesNotReady(f"after {timeout} s: {', '.join(names)}")

    async def _is_ready(self, group: str, table: str | None = None) -> bool:
        handle = self._groups().get(group)
        if handle is None or (table is not None and table not in handle.group.state.tables):
            return False
        with trio.move_on_after(LOOK_S):
            await handle.wait_ready()
            return True
        return False

    async def _change(self, what: str, *arguments: Any) -> None:
        await self._group.call(NAME, what, list(arguments))

    def _handle(self, group: str) -> ReplicatedGroup:
        handle = self._groups().get(group)
        if handle is None:
            raise SchemaRefused(f"there is no group {group!r} on this node, or not yet")
        return handle

    def _wanted(self, group: str) -> list[bytes]:
        """The members, in the order in which they are wanted for one partition of a group."""
        ranked = list(self._handle(group).carrier.state.ranked(0))
        return ranked + [node for node in self._members() if node not in ranked]


def _new(table: Table) -> DeclaredTable:
    return DeclaredTable(id=secrets.token_bytes(8), table=table)
