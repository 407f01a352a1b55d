"""Who the nodes of a cluster are, this node included, as links need them. They come and go. Knows no sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from replication.zeromq.address import Address
from replication.zeromq.errors import MembersUnusable
from replication.zeromq.keys import is_public_key
from replication.zeromq.settings import NODE_BYTES


@attrs.frozen
class Member:
    """node: its id, 8 bytes. key: its public key in Z85. address: where its control link is, None as long as that isn't
    known. next_key: the one that it is about to have, "" if it isn't."""

    node: bytes
    key: str
    address: Address | None
    next_key: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """Those by which it is known."""
        return (self.key, self.next_key) if self.next_key else (self.key,)


class Roster:
    """The peers of one node, found by id and by key.

    Raises:
        MembersUnusable: the node isn't in the list, or with another key; or two members share an id, key or address.
    """

    __slots__ = ("_by_key", "_by_node", "own")

    def __init__(self, members: Iterable[Member], node: bytes, key: str) -> None:
        self._by_node: dict[bytes, Member] = {}
        self._by_key: dict[str, Member] = {}
        addresses: set[Address] = set()
        for member in members:
            if len(member.node) != NODE_BYTES:
                raise MembersUnusable(f"a node's id has {NODE_BYTES} bytes, not {len(member.node)}")
            if not is_public_key(member.key):
                raise MembersUnusable(
                    f"the public key of node {member.node.hex()} isn't 40 characters of Z85"
                )
            taken = member.address is not None and member.address in addresses
            if member.node in self._by_node or any(key in self._by_key for key in member.keys) or taken:
                raise MembersUnusable(
                    f"node {member.node.hex()} has its id, key or address in common with another"
                )
            self.put(member)
            if member.address is not None:
                addresses.add(member.address)
        own = self._by_node.pop(node, None)
        if own is None:
            raise MembersUnusable(f"this node, {node.hex()}, isn't in the list of members")
        if key not in own.keys:
            raise MembersUnusable(
                f"this node, {node.hex()}, has the public key {key}, and another one in the list"
            )
        for one in own.keys:
            del self._by_key[one]
        self.own = own

    def put(self, member: Member) -> None:
        """A peer is new, or another key or address of it is known."""
        self.drop(member.node)
        self._by_node[member.node] = member
        for key in member.keys:
            self._by_key[key] = member

    def drop(self, node: bytes) -> Member | None:
        """A peer is none any more."""
        member = self._by_node.pop(node, None)
        if member is not None:
            for key in member.keys:
                del self._by_key[key]
        return member

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_node.values())

    def keys(self) -> Iterable[str]:
        """The public keys of the peers."""
        return self._by_key.keys()

    def peer(self, node: bytes) -> Member | None:
        return self._by_node.get(node)

    def peer_of(self, key: str) -> Member | None:
        return self._by_key.get(key)
