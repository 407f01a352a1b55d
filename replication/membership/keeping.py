"""The roster on a node's disk: rows of the group `cluster`, beside the node's identity. Knows no links.

What others build upon when a node says that it knows something must be there after it has lost power: `is_whole` is
whether the disk has all that the memory has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import structlog

from replication.membership.member import NODE_BYTES, Member
from replication.membership.owner import Owner
from replication.membership.roster import Entry, Roster
from replication.tables import CLUSTER, MEMBER, OWNER
from store.errors import StoreError
from store.group import OpenGroup
from store.store import Store
from store.writes import DELETE, PUT, Write

log = structlog.get_logger()

ENTRIES_MAX: Final = 86_000
"""All members and all partitions (`roster.MERGED_MAX`)."""


class Kept:
    """The rows that a node has on its disk."""

    __slots__ = ("_due", "_group", "_handed", "_unsure")

    def __init__(self, store: Store) -> None:
        self._group: OpenGroup = store.group(CLUSTER.name)
        self._handed: dict[bytes, Entry] = {}  # of each id, what the disk was given last
        self._unsure: set[bytes] = set()  # those of which the disk may have another one
        # And of these, those that it hasn't taken, and nobody has given it again.
        self._due: set[bytes] = set()

    def read(self) -> list[Entry]:
        """What a former life has left. Raises RowUnusable: a newer release wrote it."""
        found: list[Entry] = [
            Member.from_row(row) for _, row in self._group.table(MEMBER.name).range(limit=ENTRIES_MAX)
        ]
        found += [Owner.from_row(row) for _, row in self._group.table(OWNER.name).range(limit=ENTRIES_MAX)]
        return found

    @property
    def is_whole(self) -> bool:
        """Whether all that it was given is durable."""
        return not self._unsure

    async def keep(self, rows: Sequence[Entry]) -> None:
        """Durable on return.

        Raises:
            StoreError: whatever is in use instead is due again.
        """
        writes = self._give(rows)
        if not writes:
            return
        try:
            await self._group.commit(writes)
        except BaseException as error:
            self._ended(rows, error)
            raise
        self._ended(rows, None)

    def keep_soon(self, rows: Collection[Entry]) -> None:
        """In one commit, not waited for. What can't be written, as the disk is full, is due again."""
        writes = self._give(rows)
        if not writes:
            return
        try:
            self._group.submit(writes, lambda result: self._ended(rows, result.error))
        except StoreError as error:
            self._ended(rows, error)

    def stand(self, rows: Iterable[Entry]) -> None:
        """These are in use now, and were kept a while ago: if the disk was given others since, these follow."""
        self.keep_soon([row for row in rows if self._handed.get(row.id, row) != row])

    @property
    def has_due(self) -> bool:
        """Whether there is something that the disk hasn't taken."""
        return bool(self._due)

    def keep_due(self, roster: Roster) -> None:
        """Give it to the disk again, as it is now. Of what never came into use, as the disk took no new row, there is
        nothing to be known after a loss of power either."""
        due, self._due = sorted(self._due), set()
        rows = [row for one in due if (row := roster.entry(one)) is not None]
        self._unsure.difference_update(row.id for row in rows if not _is_stored(row))
        self.keep_soon(rows)
        self._undo_soon([one for one in due if roster.entry(one) is None])

    def _undo_soon(self, ids: Sequence[bytes]) -> None:
        """Whoever gave these up may have done so before the disk had its turn."""
        if not ids:
            return
        for one in ids:
            self._handed.pop(one, None)
        try:
            self._group.submit(
                [self._without(one) for one in ids], lambda result: self._undone(ids, result.error)
            )
        except StoreError as error:
            self._undone(ids, error)

    def _without(self, one: bytes) -> Write:
        if len(one) == NODE_BYTES:
            return (DELETE, self._group.table(MEMBER.name).id, (one,))
        return (DELETE, self._group.table(OWNER.name).id, (int.from_bytes(one, "big"),))

    def _undone(self, ids: Sequence[bytes], error: BaseException | None) -> None:
        """What was given meanwhile comes behind that."""
        if isinstance(error, Exception):
            log.warning("roster_not_kept", cause=str(error))
        for one in ids:
            if one not in self._handed:
                (self._due.add if error is not None else self._unsure.discard)(one)

    def _give(self, rows: Iterable[Entry]) -> list[Write]:
        for row in rows:
            if _is_stored(row):
                self._handed[row.id] = row
                self._unsure.add(row.id)
                self._due.discard(row.id)
        return writes_of(self._group, rows)

    def _ended(self, rows: Iterable[Entry], error: BaseException | None) -> None:
        """Of what was given later another word comes."""
        if isinstance(error, Exception):
            log.warning("roster_not_kept", cause=str(error))
        for row in rows:
            if self._handed.get(row.id) is row:
                if error is None:
                    self._unsure.discard(row.id)
                else:
                    self._due.add(row.id)


def _is_stored(row: Entry) -> bool:
    """What is as configured is read from there at each start."""
    return not isinstance(row, Member) or row.counter > 0


def writes_of(group: OpenGroup, rows: Iterable[Entry], *, configured: bool = False) -> list[Write]:
    """What makes these rows durable; with `configured` also those that another node has of its configuration."""
    member, owner = group.table(MEMBER.name).id, group.table(OWNER.name).id
    writes: list[Write] = []
    for row in rows:
        if isinstance(row, Member):
            if configured or _is_stored(row):
                writes.append((PUT, member, (row.node,), row.row()))
        else:
            writes.append((PUT, owner, (row.partition,), row.row()))
    return writes
