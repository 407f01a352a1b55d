"""Who is let in by a node, and with which keys: what `replication.zeromq.links` is to membership, without sockets.

Each message carries the key of its sender, and those by which the sender knows the receiver, as a connection proves
them. A peer that rests may call, and nothing is kept up to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Final, Protocol

from zmq.utils import z85

from replication.zeromq.members import Member, Roster

KEY_BYTES: Final = 32


def key_of(number: int, change: int = 0) -> str:
    """A node's public key, after so many changes of it."""
    digest = blake2b(b"%d %d" % (number, change), digest_size=KEY_BYTES, person=b"simulated key").digest()
    return str(z85.encode(digest).decode())


class KeyFiles:
    """The keys of all nodes, in files beside their stores, which no fault of a disk touches."""

    def __init__(self) -> None:
        self._changes: dict[int, int] = {}

    def of(self, number: int) -> str:
        """The one that a node has."""
        return key_of(number, self._changes.get(number, 0))

    def next_of(self, number: int) -> str:
        """The one that it would have next."""
        return key_of(number, self._changes.get(number, 0) + 1)

    def change(self, number: int) -> None:
        """It has the next one."""
        self._changes[number] = self._changes.get(number, 0) + 1

    def former(self, number: int) -> list[str]:
        """Those that it had once."""
        return [key_of(number, change) for change in range(self._changes.get(number, 0))]

    @property
    def changes(self) -> int:
        """Of all nodes."""
        return sum(self._changes.values())


class Below(Protocol):
    """What carries words to another node, and connections of the router's channels."""

    def control(self, peer: bytes, message: Sequence[Any]) -> None: ...
    def meet(self, peers: Sequence[bytes]) -> None: ...


class Keyring:
    """Of one life of a node. What membership calls is as in `replication.zeromq.links.Links`."""

    def __init__(
        self,
        me: bytes,
        key: str,
        members: Iterable[Member],
        below: Below,
        is_there: Callable[[bytes], bool],
    ) -> None:
        self.key = key
        self._book = Roster(members, me, key)
        self._below = below
        self._is_there = is_there
        self._resting: set[bytes] = set()

    # ---- what membership calls ------------------------------------------------------------------------

    def admit(self, member: Member) -> None:
        """A node is a peer from now on, or rests no longer, or has another key."""
        if member.node != self._book.own.node:
            self._book.put(member)
            self._resting.discard(member.node)
            self._below.meet(self.kept_up())

    def know(self, member: Member) -> None:
        """A node may call. Of one that isn't resting: as `admit`."""
        if self._book.peer(member.node) is not None and member.node not in self._resting:
            self.admit(member)
        elif member.node != self._book.own.node:
            self._book.put(member)
            self._resting.add(member.node)

    def rest(self, node: bytes) -> None:
        """Nothing is kept up to it; it may call."""
        if self._book.peer(node) is not None:
            self._resting.add(node)
            self._below.meet(self.kept_up())

    def dismiss(self, node: bytes) -> None:
        """It is let in no more."""
        self._book.drop(node)
        self._resting.discard(node)
        self._below.meet(self.kept_up())

    def expel(self, keys: object) -> None:
        """Who was removed isn't told so here: nobody listens to it."""

    def is_resting(self, node: bytes) -> bool:
        """Whether nothing is kept up to it."""
        return node in self._resting

    def is_connected(self, node: bytes, group: None) -> bool:
        """Whether it is worth being told something: it isn't known to be away."""
        return self.keeps_up(node) and self._is_there(node)

    def send(self, peer: bytes, group: None, message: Sequence[Any]) -> bool:
        """Over the control link."""
        if not self.keeps_up(peer):
            return False
        self._below.control(peer, message)
        return True

    def flush(self) -> None:
        """What was handed over is on its way."""

    # ---- what the node asks ---------------------------------------------------------------------------

    def kept_up(self) -> list[bytes]:
        """The peers that don't rest."""
        return sorted(member.node for member in self._book if member.node not in self._resting)

    def keeps_up(self, node: bytes) -> bool:
        """Whether it is one of them."""
        return node not in self._resting and self._book.peer(node) is not None

    def dialled(self, node: bytes) -> list[str]:
        """The keys by which it is called."""
        member = self._book.peer(node)
        return [] if member is None else list(member.keys)

    def lets_in(self, node: bytes, key: str) -> bool:
        """Whether who has this key is heard, as this node."""
        member = self._book.peer_of(key)
        return member is not None and member.node == node
