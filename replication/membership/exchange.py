"""What nodes say to one another of their rosters. Pure: no link, no clock; `now` is a monotonic clock's milliseconds.

Each beat of the failure detector carries the digest of its sender's roster, and 1 if all of that is on its disk, else
0. A change is told to everybody at once, by the node that made it and by nobody else: so an event costs as many
messages as there are nodes. Whoever missed it hears of another digest; if it is still another one at the next beat, the
two compare. They compare what they know, not what disks have: a full disk is no reason to ask.

    (TELL, [member row, …], [owner row, …])     these stand, as far as I know
    (TALLY, [[id, hash], …])                    this is all that I have: tell me what differs, and ask for what you lack
    (WANT, [id, …])                             tell me these

Any of them may be lost, come twice, or late. Messages are tuples, first their code; they go over control links, beside
those of the detector.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from replication.membership.roster import Entry, Roster
from replication.membership.settings import MembershipSettings

TELL: Final = 16
TALLY: Final = 17
WANT: Final = 18

SEND: Final = 0
"""(SEND, peer, message)"""
CHANGED: Final = 1
"""(CHANGED, rows): others' changes, which stand from now on"""

Effect = tuple[Any, ...]
IDS_MAX: Final = 86_000
"""In one message: all members and all partitions."""


def telling(rows: Iterable[Entry]) -> tuple[Any, ...]:
    """The message that tells of rows."""
    members: list[Any] = []
    owners: list[Any] = []
    for row in rows:
        (members if len(row.id) == 8 else owners).append(row.row())
    return (TELL, members, owners)


class Exchange:
    """One node's part. `roster` is the one that it keeps; whatever comes is merged into it.

    Counts: told (messages of TELL that were taken in), tallies (questions asked), malformed.
    """

    __slots__ = (
        "_agreed",
        "_asked_at",
        "_differs",
        "_on_disk",
        "_settings",
        "heard",
        "malformed",
        "me",
        "roster",
        "tallies",
        "told",
    )

    def __init__(self, me: bytes, roster: Roster, settings: MembershipSettings) -> None:
        self.me = me
        self.roster = roster
        self._settings = settings
        self._differs: dict[bytes, bytes] = {}  # peer → the digest of its last beat, if it wasn't ours
        self._asked_at = -(10**12)
        self.heard: dict[bytes, bytes] = {}  # peer → the digest that its last beat told
        self._on_disk: set[bytes] = set()  # those who said that all of that is on their disk
        self._agreed: set[bytes] = set()  # and those who said that a majority of their cluster has the same
        self.told = 0
        self.tallies = 0
        self.malformed = 0

    def edited(self, rows: Sequence[Entry], peers: Iterable[bytes]) -> list[Effect]:
        """This node has changed rows, and they are durable: merge them, and tell these peers, which are all that it
        reaches."""
        self.roster.merge(rows)
        message = telling(rows)
        return [(SEND, peer, message) for peer in peers if peer != self.me]

    def beat(
        self, peer: bytes, digest: bytes, now: int, *, kept: bool = False, agreed: bool = False
    ) -> list[Effect]:
        """A peer's beat told the digest of its roster. kept: and that all of it is on its disk; agreed: and that a
        majority of its cluster is there, and has it on disk."""
        self.heard[peer] = digest
        (self._on_disk.add if kept else self._on_disk.discard)(peer)
        (self._agreed.add if agreed else self._agreed.discard)(peer)
        if digest == self.roster.digest:
            self._differs.pop(peer, None)
            return []
        # What was told a moment ago may be on its way: only what is the same at two beats in a row is asked about.
        before, self._differs[peer] = self._differs.get(peer), digest
        if before != digest or now - self._asked_at < self._settings.exchange_ms:
            return []
        self._asked_at = now
        self.tallies += 1
        return [(SEND, peer, self._tally())]

    def knows(self, peer: bytes) -> bool:
        """Whether a peer has said that it has the same roster."""
        return self.heard.get(peer) == self.roster.digest

    def has_kept(self, peer: bytes) -> bool:
        """Whether it also has it on its disk: it knows it still after it has lost power."""
        return peer in self._on_disk and self.knows(peer)

    def agrees(self, peer: bytes) -> bool:
        """Whether a majority of its cluster has the same roster on disk as this node has."""
        return peer in self._agreed and self.knows(peer)

    def gone(self, peer: bytes) -> None:
        """A peer doesn't belong to the cluster any more."""
        self._differs.pop(peer, None)
        self._on_disk.discard(peer)
        self._agreed.discard(peer)
        self.heard.pop(peer, None)

    def received(self, peer: bytes, message: Sequence[Any]) -> list[Effect]:
        """A message came from a node that was proved to be this one."""
        match message:
            case [int(code), list(members), list(owners), *_] if code == TELL:
                changed = self.roster.merge(self.roster.read(members, owners))
                self.told += 1
                return [(CHANGED, changed)] if changed else []
            case [int(code), list(pairs), *_] if code == TALLY and _are_hashes(pairs):
                rows, wanted = self.roster.differing((identity, hash_) for identity, hash_ in pairs)
                effects: list[Effect] = []
                if rows:
                    effects.append((SEND, peer, telling(rows)))
                if wanted:
                    effects.append((SEND, peer, (WANT, wanted)))
                return effects
            case [int(code), list(wanted), *_] if code == WANT and len(wanted) <= IDS_MAX:
                found = [
                    row
                    for one in wanted
                    if isinstance(one, bytes) and (row := self.roster.entry(one)) is not None
                ]
                return [(SEND, peer, telling(found))] if found else []
        self.malformed += 1
        return []

    def _tally(self) -> tuple[Any, ...]:
        return (TALLY, [[identity, hash_] for identity, hash_ in self.roster.hashes()])


def _are_hashes(pairs: list[Any]) -> bool:
    if len(pairs) > IDS_MAX:
        return False
    return all(
        isinstance(pair, list)
        and len(pair) == 2
        and isinstance(pair[0], bytes)
        and len(pair[0]) in (4, 8)
        and isinstance(pair[1], bytes)
        for pair in pairs
    )
