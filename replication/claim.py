"""Claims: who may write a partition. The highest (epoch, primary) wins, and a claim is durable before it is used."""

from typing import Self

import attrs

from store.group import OpenGroup
from store.writes import PUT


@attrs.frozen(order=False)
class Claim:
    """primary, heir: ids of nodes; no heir where a node reached nobody that could be one."""

    epoch: int
    primary: bytes
    heir: bytes | None = None

    def beats(self, other: Self) -> bool:
        """Whether this claim wins over ``other``."""
        return (self.epoch, self.primary) > (other.epoch, other.primary)

    def row(self) -> list[int | bytes | None]:
        """The stored form."""
        return [self.epoch, self.primary, self.heir]


def read_claims(group: OpenGroup, partitions: int) -> dict[int, Claim]:
    """The claims in the store, by partition."""
    found = group.table("claim").range(limit=partitions)
    return {key[0]: Claim(*row) for key, row in found}


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
