"""Which cluster a partition belongs to, where several clusters know one another: rows as those of members. Pure values.

A partition without a row belongs to the cluster that the roster was begun by.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Self

import attrs
import cbor2

from replication.membership.member import NODE_BYTES, TEXT_CHARACTERS_MAX, RowUnusable


@attrs.frozen(kw_only=True)
class Owner:
    """cluster: its label. counter, editor: how often it was changed, and which node did it last. rest: first, whether
    it is sealed; a release of before says nothing of that."""

    partition: int
    cluster: str
    counter: int = 0
    editor: bytes = b""
    rest: tuple[Any, ...] = ()

    @property
    def id(self) -> bytes:
        """What the roster finds it by."""
        return self.partition.to_bytes(4, "big")

    @property
    def rank(self) -> tuple[bool, int, bytes, bytes]:
        """Of two rows of a partition the higher one stands."""
        return (False, self.counter, self.editor, self.encoded)

    @property
    def sealed(self) -> bool:
        """Whether the others are known to have heard of it (`sealing`)."""
        return self.rest[:1] != (False,)

    def as_sealed(self) -> Self:
        """The same row, sealed: it stands over the one that isn't, and is the same wherever it is made."""
        return attrs.evolve(self, rest=(True, *self.rest[1:]))

    @property
    def encoded(self) -> bytes:
        """The same on every node."""
        return cbor2.dumps(self.row())

    def hash(self) -> bytes:
        """Eight bytes that stand for the row."""
        return blake2b(self.encoded, digest_size=8, person=b"ws-owner").digest()

    def row(self) -> list[Any]:
        """The form in which it is stored and sent."""
        return [self.partition, self.counter, self.editor, self.cluster, *self.rest]

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """What `row` gave.

        Raises:
            RowUnusable
        """
        match row:
            case [int(partition), int(counter), bytes(editor), str(cluster), *rest]:
                pass
            case _:
                raise RowUnusable("a row of an owner has another form")
        if (
            not 0 <= partition < 65_536
            or not 0 <= counter < 1 << 63
            or len(editor) not in (0, NODE_BYTES)
            or len(cluster) > TEXT_CHARACTERS_MAX
        ):
            raise RowUnusable("a row of an owner is beyond its limits")
        return cls(partition=partition, counter=counter, editor=editor, cluster=cluster, rest=tuple(rest))
