"""Everything that one node knows of who belongs to its cluster, and the digest by which two nodes see whether they know
the same. Pure.

It is a map of rows that are merged one by one, each by its own rank, so there is nothing to agree upon: a change is
made on any node, works on both sides of a split, and whoever has heard of the same changes has the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import attrs

from replication.membership.errors import KeyTaken, MemberRemoved, NoSuchMember, RosterFull
from replication.membership.member import REMOVED, Member, RowUnusable, key_hash
from replication.membership.owner import Owner

MEMBERS_MAX: Final = 1_000
"""That weren't removed."""
ROWS_MAX: Final = 10_000
"""Of nodes, with those that were removed: they are remembered for ever, or their keys would open something again."""
MERGED_MAX: Final = 2 * ROWS_MAX
"""Two sides of a split may both have invited so many. A row that one node refuses would be told again for ever."""
NO_DIGEST: Final = bytes(8)
"""Of a roster without rows."""

Entry = Member | Owner


class Roster:
    """Rows of nodes and of partitions. `refused`: rows that couldn't be understood, or had no room."""

    __slots__ = ("_digest", "_hashes", "members", "owners", "refused")

    def __init__(self, rows: Iterable[Entry] = ()) -> None:
        self.members: dict[bytes, Member] = {}
        self.owners: dict[int, Owner] = {}
        self.refused = 0
        self._hashes: dict[bytes, bytes] = {}
        self._digest = 0
        self.merge(rows)

    @property
    def digest(self) -> bytes:
        """Eight bytes: two rosters with the same ones have the same rows."""
        return self._digest.to_bytes(8, "big")

    def hashes(self) -> Iterator[tuple[bytes, bytes]]:
        """(id, hash) of every row, in the order of their ids."""
        return iter(sorted(self._hashes.items()))

    def entry(self, identity: bytes) -> Entry | None:
        """The row of this id, of a node or of a partition."""
        if len(identity) == 4:
            return self.owners.get(int.from_bytes(identity, "big"))
        return self.members.get(identity)

    def differing(self, told: Iterable[tuple[bytes, bytes]]) -> tuple[list[Entry], list[bytes]]:
        """Whoever told these (id, hash) lacks the rows, or has others; and we those of the ids."""
        theirs = dict(told)
        mine = [
            entry
            for identity, known in self._hashes.items()
            if theirs.get(identity) != known and (entry := self.entry(identity)) is not None
        ]
        return mine, [identity for identity, hash_ in theirs.items() if self._hashes.get(identity) != hash_]

    # ---- changes -------------------------------------------------------------------------------

    def merge(self, rows: Iterable[Entry]) -> list[Entry]:
        """Take in what somebody knows. Those rows that are new, or another one than before."""
        changed = []
        for row in rows:
            before = self.entry(row.id)
            if before is not None and row.rank <= before.rank:
                continue
            if before is None and isinstance(row, Member) and len(self.members) >= MERGED_MAX:
                self.refused += 1
                continue
            self._put(row)
            changed.append(row)
        return changed

    def read(self, members: Sequence[Any], owners: Sequence[Any]) -> list[Entry]:
        """Rows as they come over a link. What is none is counted and left out."""
        found: list[Entry] = []
        for kind, rows in ((Member, members), (Owner, owners)):
            for row in rows:
                try:
                    found.append(kind.from_row(row))
                except RowUnusable:
                    self.refused += 1
        return found

    def _put(self, row: Entry) -> None:
        if isinstance(row, Member):
            self.members[row.node] = row
        else:
            self.owners[row.partition] = row
        hash_ = row.hash()
        before = self._hashes.get(row.id, NO_DIGEST)
        self._hashes[row.id] = hash_
        self._digest ^= int.from_bytes(before, "big") ^ int.from_bytes(hash_, "big")

    # ---- what is to be changed -----------------------------------------------------------------

    def member(self, node: bytes) -> Member:
        """A node that wasn't removed.

        Raises:
            NoSuchMember, MemberRemoved
        """
        row = self.members.get(node)
        if row is None:
            raise NoSuchMember(f"node {node.hex()} is none of the cluster's")
        if row.state == REMOVED:
            raise MemberRemoved(f"node {node.hex()} was removed")
        return row

    def edited(self, node: bytes, editor: bytes, **changes: Any) -> Member:
        """The next row of a node; it stands once it is merged.

        Raises:
            NoSuchMember, MemberRemoved, KeyTaken
        """
        row = self.member(node)
        for name in ("key", "next_key"):
            if changes.get(name):
                self.require_free(changes[name], but=node)
        return attrs.evolve(row, counter=row.counter + 1, editor=editor, **changes)

    def invited(self, node: bytes, editor: bytes, key: str, **said: Any) -> Member:
        """The first row of a node.

        Raises:
            KeyTaken, RosterFull
        """
        self.require_free(key)
        if len(self.members) >= ROWS_MAX:
            raise RosterFull(f"{len(self.members)} nodes have been members, with those that were removed")
        if sum(row.state != REMOVED for row in self.members.values()) >= MEMBERS_MAX:
            raise RosterFull(f"there are {MEMBERS_MAX} members")
        return Member(node=node, counter=1, editor=editor, state=0, key=key, **said)

    def require_free(self, key: str, but: bytes | None = None) -> None:
        """Raises KeyTaken: somebody has it, or had it. A key that was revoked once opens nothing again."""
        hash_ = key_hash(key)
        for row in self.members.values():
            if (key in row.keys and row.node != but) or hash_ in row.revoked:
                raise KeyTaken(f"node {row.node.hex()} has, or had, this key")

    def owned(
        self, partitions: Iterable[int], editor: bytes, cluster: str, *, sealed: bool = False
    ) -> list[Owner]:
        """The next rows of partitions that another cluster is to own. sealed: no other one can have owned them."""
        rows = []
        for p in partitions:
            before = self.owners.get(p)
            if before is None or before.cluster != cluster:
                counter = before.counter + 1 if before is not None else 1
                rows.append(
                    Owner(partition=p, cluster=cluster, counter=counter, editor=editor, rest=(sealed,))
                )
        return rows
