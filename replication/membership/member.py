"""A node as everybody knows it: one row of the roster. Pure values.

Of two rows of a node one stands, whatever the order in which they come: `removed` over everything else, then the higher
(counter, editor), then what sorts last. So merging is a maximum: nodes that have heard of the same rows know the same.

A row is a list on the wire and in the store. Whatever a newer version adds comes behind, is kept, and is told on.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final, Self

import attrs
import cbor2

from replication.zeromq.address import Address
from replication.zeromq.errors import AddressUnusable

INVITED: Final = 0
"""Its key is known, and it may ask to be told everything. It holds nothing."""
ACTIVE: Final = 1
LEAVING: Final = 2
"""It is still there, and holds less and less."""
REMOVED: Final = 3
"""For good: its keys open nothing any more, and what it has is not waited for."""
STATES: Final = ("invited", "active", "leaving", "removed")

NODE_BYTES: Final = 8
TEXT_CHARACTERS_MAX: Final = 256
"""Of an address, a label, a key."""
WEIGHT_MAX: Final = 10_000
KEY_HASH_BYTES: Final = 8
REVOKED_MAX: Final = 100
"""Keys that one node has had and that are remembered; the oldest are forgotten first."""
REST_BYTES_MAX: Final = 4_096
"""Of what newer versions add to a row."""


def key_hash(key: str) -> bytes:
    """What is remembered of a key that opens nothing any more."""
    return blake2b(key.encode(), digest_size=KEY_HASH_BYTES, person=b"ws-revoked").digest()


class RowUnusable(ValueError):
    """What came as a row of the roster isn't one."""


@attrs.frozen(kw_only=True)
class Member:
    """One node.

    Args:
        node: its id, which it keeps when its key is another one.
        counter, editor: how often the row was changed, and who did it last.
        key, next_key: its public keys (Z85): the one that is used, and the one that is about to be.
        address: where its control link is; "" as long as nobody knows.
        public: where phones find it; "" if they aren't sent to it.
        server, rack: what fails together bears the same labels: copies are in different racks where there are several,
            and on different servers.
        weight: its share of the partitions, relative to others; 0: none.
        cluster: the label of its cluster, where several know one another.
        speaks: the lowest and the highest version of what nodes say that it understands.
        departs: it leaves for good, and goes when it holds nothing; else one that leaves is only emptied.
        revoked: hashes of keys that it had once, and that are nobody's any more.
        admin: where it is operated, "host:port" or "ipc:///path" on its own machine; "" if it doesn't say.
        admin_key: the public key (Z85) by which it is known there.
        rest: what a newer version added.
    """

    node: bytes
    counter: int = 0
    editor: bytes = b""
    state: int = ACTIVE
    key: str = ""
    next_key: str = ""
    address: str = ""
    public: str = ""
    server: str = ""
    rack: str = ""
    weight: int = 100
    cluster: str = ""
    speaks: tuple[int, int] = (1, 1)
    departs: bool = False
    revoked: tuple[bytes, ...] = ()
    admin: str = ""
    admin_key: str = ""
    rest: tuple[Any, ...] = ()

    @property
    def stands_on(self) -> str:
        """What fails together with it: the label of its server or, if nobody named one, the host of its address."""
        if self.server:
            return self.server
        try:
            return Address.parse(self.address).host or self.address
        except AddressUnusable:
            return self.address or self.node.hex()

    @property
    def id(self) -> bytes:
        """What the roster finds it by."""
        return self.node

    @property
    def rank(self) -> tuple[bool, int, bytes, bytes]:
        """Of two rows of a node the higher one stands."""
        return (self.state == REMOVED, self.counter, self.editor, self.encoded)

    @property
    def encoded(self) -> bytes:
        """The same on every node."""
        return cbor2.dumps(self.row())

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys by which it is known."""
        return (self.key, self.next_key) if self.next_key else (self.key,)

    @property
    def belongs(self) -> bool:
        """Whether it takes part: it is talked to, and may hold copies."""
        return self.state in (ACTIVE, LEAVING)

    def hash(self) -> bytes:
        """Eight bytes that stand for the row."""
        return blake2b(self.encoded, digest_size=8, person=b"ws-roster").digest()

    def row(self) -> list[Any]:
        """The form in which it is stored and sent. What says nothing isn't there: such a row is as older versions write
        it, and has the same hash."""
        operated = bool(self.admin or self.admin_key or self.rest)
        added = bool(self.departs or self.revoked or operated)
        return [
            self.node, self.counter, self.editor, self.state, self.key, self.next_key, self.address, self.public,
            self.server, self.rack, self.weight, self.cluster, *self.speaks,
            *((self.departs, list(self.revoked)) if added else ()),
            *((self.admin, self.admin_key) if operated else ()), *self.rest,
        ]  # fmt: skip

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """What `row` gave, on this version or another one.

        Raises:
            RowUnusable
        """
        match row:
            case [
                bytes(node), int(counter), bytes(editor), int(state), str(key), str(next_key), str(address),
                str(public), str(server), str(rack), int(weight), str(cluster), int(low), int(high), *rest,
            ]:  # fmt: skip
                pass
            case _:
                raise RowUnusable("a row of the roster has another form")
        departs, revoked, admin, admin_key = False, list[Any](), "", ""
        match rest:
            case []:
                pass
            case [bool(departs), list(revoked)]:
                rest = []
            case [bool(departs), list(revoked), str(admin), str(admin_key), *rest]:
                pass
            case _:
                raise RowUnusable("what was added to a row of the roster has another form")
        texts = (key, next_key, address, public, server, rack, cluster, admin, admin_key)
        if (
            len(node) != NODE_BYTES
            or len(editor) not in (0, NODE_BYTES)
            or not 0 <= counter < 1 << 63
            or not 0 <= state <= REMOVED
            or not 0 <= weight <= WEIGHT_MAX
            or not 0 <= low <= high < 1 << 31
            or any(len(text) > TEXT_CHARACTERS_MAX for text in texts)
            or len(revoked) > REVOKED_MAX
            or any(not isinstance(one, bytes) or len(one) != KEY_HASH_BYTES for one in revoked)
            or (rest and len(cbor2.dumps(rest)) > REST_BYTES_MAX)
        ):
            raise RowUnusable("a row of the roster is beyond its limits")
        return cls(
            node=node, counter=counter, editor=editor, state=state, key=key, next_key=next_key, address=address,
            public=public, server=server, rack=rack, weight=weight, cluster=cluster, speaks=(low, high),
            departs=departs, revoked=tuple(revoked), admin=admin, admin_key=admin_key, rest=tuple(rest),
        )  # fmt: skip


def with_revoked(row: Member) -> tuple[bytes, ...]:
    """What is revoked once its key is."""
    return (*row.revoked, key_hash(row.key))[-REVOKED_MAX:]
