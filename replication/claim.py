"""Claims: who may write a partition. The highest (epoch, primary) wins, and a claim is durable before it is used."""

from collections.abc import Sequence
from typing import Any, Final, Self

import attrs

from store.group import OpenGroup
from store.writes import PUT

Rank = tuple[int, bytes]
"""(epoch, primary)"""
WHOLE: Final = 8
"""Words of the row of a claim that says what it was made from."""
KEPT_MAX: Final = 8
"""Claims before it of which one says, one by one, that each complete copy has what was given out under them."""


@attrs.frozen(order=False)
class Claim:
    """primary, heir: ids of nodes; no heir where a node reached nobody that could be one.

    floor: copies that were last complete under an epoch below it have missed tombstones that are purged: they
    contribute nothing, and fill from nothing. prior: (epoch, primary) of the claim that this one follows. whole: it
    was made by one of that claim's keepers (`core.keepers`). given: that copy had all that was given out under claims
    up to this one. kept: and under these; those up to `given`, and `prior`, aren't among them. The last three are told
    with a claim, and two claims don't differ by them.
    """

    epoch: int
    primary: bytes
    heir: bytes | None = None
    floor: int = 0
    prior: Rank | None = None
    whole: bool = attrs.field(default=False, eq=False)
    given: Rank | None = attrs.field(default=None, eq=False)
    kept: tuple[Rank, ...] = attrs.field(default=(), eq=False)

    @property
    def rank(self) -> Rank:
        """What claims are ordered by."""
        return (self.epoch, self.primary)

    def beats(self, other: Self | None) -> bool:
        """Whether this claim wins over ``other``."""
        return other is None or self.rank > other.rank

    def raised_apart_from(self, other: Self) -> bool:
        """Whether the floor was raised while those who made ``other`` were out of reach for as long as that takes.

        Two sides of a split count epochs alike, so a copy of one may be complete under an epoch that isn't below the
        other's floor. But who raises a floor serves, and has the epoch before, too; and everybody in reach had obeyed
        that. Who knows another claim of that epoch was away. So was who has raised a floor of the same epoch. Claims
        remember one step: where that doesn't tell, nothing is said.
        """
        raised = [primary for epoch, primary in self._ranks() if epoch == self.floor]
        if not raised or not self.floor:
            return False
        known = dict(other._ranks())
        if known.get(self.floor - 1, raised[0]) != raised[0]:
            return True
        return other.floor == self.floor and known.get(self.floor, raised[0]) != raised[0]

    def _ranks(self) -> list[Rank]:
        return [self.rank] if self.prior is None else [self.rank, self.prior]

    def row(self) -> list[Any]:
        """The form in which it is stored and sent."""
        row = [self.epoch, self.primary, self.heir, self.floor, *(self.prior or (0, b""))]
        if not self.whole:
            return row
        row += self.given or (0, b"")
        return [*row, [list(rank) for rank in self.kept]] if self.kept else row

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """What `row` gave; rows without floor and prior are those of a node that was alone."""
        epoch, primary, heir = row[:3]
        if len(row) == 3:
            return cls(epoch, primary, heir)
        prior = (row[4], row[5]) if row[5] else None
        given = (row[6], row[7]) if len(row) >= WHOLE and row[7] else None
        kept = tuple((one[0], one[1]) for one in row[WHOLE][:KEPT_MAX]) if len(row) > WHOLE else ()
        return cls(epoch, primary, heir, row[3], prior, len(row) >= WHOLE, given, kept)


def read_claims(group: OpenGroup, partitions: int) -> dict[int, Claim]:
    """The claims in the store, by partition."""
    found = group.table("claim").range(limit=partitions)
    return {key[0]: Claim.from_row(row) for key, row in found}


async def claim_alone(group: OpenGroup, node: bytes, partitions: int) -> dict[int, Claim]:
    """Claim every partition for a node that is alone, each with an epoch above the last one; durable on return.

    A start is a new claim: what the node's former self wrote or announced bears a lower epoch.
    Results of the store must be being delivered meanwhile.
    """
    before = read_claims(group, partitions)
    claims = {
        partition: Claim(before[partition].epoch + 1 if partition in before else 1, node)
        for partition in range(partitions)
    }
    number = group.table("claim").id
    await group.commit([(PUT, number, (partition,), claim.row()) for partition, claim in claims.items()])
    return claims
