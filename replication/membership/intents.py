"""What this node has changed in rows of the roster, kept until others have heard of it. Pure.

Of two changes of one row at the same time the roster keeps one row, and with it loses the other change. Whoever made
that one sees it gone, and makes it again on top of the row that stands. What only the node itself decides of its own
row it makes again whenever it isn't there.

A change that is gone looks like one that somebody who knew of it took back. So two nodes, of which each puts back what
the other one changed, could go on for ever, as long as neither has heard that all agree: each makes its change again
only so often.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from replication.membership.member import REMOVED, Member
from replication.membership.roster import Entry, Roster

OWN: Final = ("state", "departs", "speaks", "key", "next_key", "revoked", "admin", "admin_key")
"""Fields that only the node decides whose row it is; that it is removed is everybody's to decide."""
SHARED: Final = ("address", "public", "server", "rack", "weight", "cluster")

AGAIN_MAX: Final = 8
"""How often a change is made again. Each time others have changed the row without having heard of the last one, or want
back what stood there before."""

Noted = tuple[bytes, str, Any, Any]
"""(node, field, what stood there before, what is to)"""


class Intents:
    """Of one node.

    Args:
        own: fields of its own row that are so, whatever stands there.
    """

    __slots__ = ("_changes", "_me", "_own")

    def __init__(self, me: bytes, own: dict[str, Any]) -> None:
        self._me = me
        self._own = own
        # What stood there before, what is to, and how often it was made again.
        self._changes: dict[bytes, dict[str, tuple[Any, Any, int]]] = {}

    def note(self, roster: Roster, rows: Iterable[Entry]) -> list[Noted]:
        """What these rows, which this node has made, change."""
        noted: list[Noted] = []
        for row in rows:
            before = roster.members.get(row.id)
            if isinstance(row, Member) and before is not None:
                names = OWN + SHARED if row.node == self._me else SHARED
                values = [(name, getattr(before, name), getattr(row, name)) for name in names]
                noted += [
                    (row.node, name, old, new)
                    for name, old, new in values
                    if old != new or (name in OWN and self._own.get(name, new) != new)
                ]
        return noted

    def mean(self, own: dict[str, Any]) -> None:
        """Fields of its own row that are so from now on, whatever stands there."""
        assert own.keys() <= set(OWN)
        self._own |= own

    def take(self, noted: Iterable[Noted]) -> None:
        """That is meant."""
        for node, name, before, wanted in noted:
            if name in OWN:
                self._own[name] = wanted
            else:
                changes = self._changes.setdefault(node, {})
                _, meant, again = changes.get(name, (None, None, 0))
                changes[name] = (before, wanted, again if meant == wanted else 0)

    @property
    def waiting(self) -> bool:
        """Whether changes are remembered of which others may not have heard."""
        return bool(self._changes)

    def settled(self) -> None:
        """Everybody who is reached has heard of all: who changes a row from now on has seen what was changed here."""
        self._changes.clear()

    def lost(self, roster: Roster) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """(node, fields that are to be put into its row again)."""
        for node in {self._me, *self._changes}:
            row = roster.members.get(node)
            if row is None or row.state == REMOVED:
                self._changes.pop(node, None)
                continue
            found = {}
            if node == self._me:
                found = {name: wanted for name, wanted in self._own.items() if getattr(row, name) != wanted}
            changes = self._changes.get(node, {})
            for name, (before, wanted, again) in tuple(changes.items()):
                stands = getattr(row, name)
                if stands == wanted:
                    continue
                if stands != before or again >= AGAIN_MAX:
                    del changes[name]  # somebody else wants something else, and that stands
                else:
                    changes[name] = (before, wanted, again + 1)
                    found[name] = wanted
            if found:
                yield node, found
