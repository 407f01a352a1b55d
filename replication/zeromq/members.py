"""Who the nodes of a cluster are: a fixed list, this node included. Knows no sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from replication.zeromq.address import Address
from replication.zeromq.errors import MembersUnusable
from replication.zeromq.keys import is_public_key
from replication.zeromq.settings import NODE_BYTES


@attrs.frozen
class Member:
    """node: its id, 8 bytes. key: its public key in Z85. address: where its control link is."""

    node: bytes
    key: str
    address: Address


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
            if member.node in self._by_node or member.key in self._by_key or member.address in addresses:
                raise MembersUnusable(
                    f"node {member.node.hex()} has its id, key or address in common with another"
                )
            self._by_node[member.node] = self._by_key[member.key] = member
            addresses.add(member.address)
        own = self._by_node.pop(node, None)
        if own is None:
            raise MembersUnusable(f"this node, {node.hex()}, isn't in the list of members")
        if own.key != key:
            raise MembersUnusable(
                f"this node, {node.hex()}, has the public key {key}, and another one in the list"
            )
        del self._by_key[key]
        self.own = own

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_node.values())

    def keys(self) -> Iterable[str]:
        """The public keys of the peers."""
        return self._by_key.keys()

    def peer(self, node: bytes) -> Member | None:
        return self._by_node.get(node)

    def peer_of(self, key: str) -> Member | None:
        return self._by_key.get(key)
