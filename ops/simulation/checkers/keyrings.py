"""Keys of nodes, which change while everybody runs: at rest nobody is locked out, and what was revoked opens nothing.

*locked out*: between two members nobody goes on being turned away in peace. Once is no lock: a message that was under
way when its sender changed its key comes with the former one, after the row that revokes it, and is turned away by a
node that lets its sender in. A connection would have ended with it. So a world rests when nobody has been turned away
for `LAST_MS` (`turned_away`), in which a node that is locked out would have been: all beat several times in it. One
that stays locked out keeps the world from resting, and is found after `LOCKED_MS`, or when the world's time is up.
*own key*: all members have the key that a node has in its file, none that it is about to have, and its former ones as
revoked. *revoked key*: no member hears whoever comes with a former key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import ClassVar, Final

from ops.simulation.checkers.base import Disks, Violation
from ops.simulation.cluster.events import LetIn, TurnedAway
from ops.simulation.records import find
from ops.simulation.tables.claims import name_of
from ops.simulation.trace import Peace

CLUSTER: Final = "cluster"
KEY: Final = 4
NEXT: Final = 5
REVOKED: Final = 15
"""Where a row of a member has them."""
LAST_MS: Final = 250
"""Before the rest: for so long nobody may have been turned away. Ten beats, and longer than any message is under way in
peace."""
LOCKED_MS: Final = 4_000
"""After peace: until then a change of keys has ended, and everybody has heard of it."""


class Keyrings:
    """Looks at disks at the end, and at who was turned away before it.

    Args:
        members: who belongs at rest.
        key_of: the key in a node's file. former_of: those that were in it.
    """

    rule: ClassVar[str] = "locked out"

    def __init__(
        self,
        now: Callable[[], int],
        members: Callable[[], Collection[int]],
        key_of: Callable[[int], str],
        former_of: Callable[[int], list[str]],
    ) -> None:
        self._now = now
        self._members = members
        self._key_of = key_of
        self._former_of = former_of
        self._turned: dict[tuple[int, int], int] = {}
        self._peace: int | None = None

    def subscriptions(self) -> dict[type, object]:
        """Who is heard, who isn't, and since when all could be."""
        return {TurnedAway: self._was_turned_away, LetIn: self._was_let_in, Peace: self._is_peace}

    def _is_peace(self, _: Peace) -> None:
        self._peace = self._now()

    def _was_turned_away(self, turned: TurnedAway) -> None:
        self._turned[turned.node, turned.peer] = self._now()
        if self._peace is not None and self._now() - self._peace > LOCKED_MS:
            self.require_let_in()  # such a world never rests

    def _was_let_in(self, let_in: LetIn) -> None:
        if let_in.key != self._key_of(let_in.peer):
            raise Violation(
                "revoked key", f"node {let_in.node} hears whoever has a former key of node {let_in.peer}"
            )

    def verdict(self, disks: Disks) -> None:
        """All members, of all members."""
        members = sorted(self._members())
        self.require_let_in()
        for node in members:
            for peer in members:
                self._compare(disks, node, peer)

    def turned_away(self) -> str:
        """Whom a member has turned away just now, of the members; "": nobody."""
        members = self._members()
        for (node, peer), at in self._turned.items():
            if node in members and peer in members and self._now() - at <= LAST_MS:
                return f"node {node} turns node {peer} away"
        return ""

    def require_let_in(self) -> None:
        """Raises Violation: somebody is still turned away."""
        words = self.turned_away()
        if words:
            raise Violation(self.rule, f"{words}, in peace")

    def _compare(self, disks: Disks, node: int, peer: int) -> None:
        found = find(disks[node], CLUSTER, "member", (name_of(peer),))
        former = self._former_of(peer)
        if found is None:  # as it was configured
            if former:
                raise Violation("own key", f"node {node} knows nothing of the new key of node {peer}")
            return
        row = found.value
        revoked = set(row[REVOKED]) if len(row) > REVOKED else set()
        hashes = {blake2b(key.encode(), digest_size=8, person=b"ws-revoked").digest() for key in former}
        if row[KEY] != self._key_of(peer) or row[NEXT] or not hashes <= revoked:
            raise Violation(
                "own key",
                f"node {node} has of node {peer} the key {row[KEY]}, next {row[NEXT]!r}, {len(revoked)} revoked; it has"
                f" {self._key_of(peer)}, and had {len(former)}",
            )
