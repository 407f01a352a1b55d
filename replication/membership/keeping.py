"""The roster on a node's disk: rows of the group `cluster`, beside the node's identity. Knows no links."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from replication.membership.member import Member
from replication.membership.owner import Owner
from replication.membership.roster import Entry
from replication.tables import CLUSTER, MEMBER, OWNER
from store.errors import StoreError
from store.group import OpenGroup
from store.store import Store
from store.writes import PUT, Write

ENTRIES_MAX: Final = 86_000
"""All members and all partitions (`roster.MERGED_MAX`)."""


class Kept:
    """The rows that a node has on its disk."""

    __slots__ = ("_group",)

    def __init__(self, store: Store) -> None:
        self._group: OpenGroup = store.group(CLUSTER.name)

    def read(self) -> list[Entry]:
        """What a former life has left. Raises RowUnusable: a newer release wrote it."""
        found: list[Entry] = [
            Member.from_row(row) for _, row in self._group.table(MEMBER.name).range(limit=ENTRIES_MAX)
        ]
        found += [Owner.from_row(row) for _, row in self._group.table(OWNER.name).range(limit=ENTRIES_MAX)]
        return found

    async def keep(self, rows: Iterable[Entry]) -> None:
        """Durable on return. What is as configured (`counter` 0) is read from there at each start.

        Raises:
            StoreError
        """
        writes = writes_of(self._group, rows)
        if writes:
            await self._group.commit(writes)

    def keep_soon(self, rows: Iterable[Entry], failed: Callable[[Exception], None]) -> None:
        """Not waited for: whatever others told they tell again."""
        writes = writes_of(self._group, rows)
        if not writes:
            return
        try:
            self._group.submit(
                writes, lambda result: failed(result.error) if isinstance(result.error, Exception) else None
            )
        except StoreError as error:
            failed(error)


def writes_of(group: OpenGroup, rows: Iterable[Entry], *, configured: bool = False) -> list[Write]:
    """What makes these rows durable; with `configured` also those that another node has of its configuration."""
    member, owner = group.table(MEMBER.name).id, group.table(OWNER.name).id
    writes: list[Write] = []
    for row in rows:
        if isinstance(row, Member):
            if row.counter or configured:
                writes.append((PUT, member, (row.node,), row.row()))
        else:
            writes.append((PUT, owner, (row.partition,), row.row()))
    return writes
