"""What stands on disks of claims and copies: rows of the table `replica`, by this module's own understanding.

("claim", p)  → [epoch, primary, heir, floor, epoch and primary of the claim before]
("copy", p)   → [state, the epoch under which it was complete last]; 1 is complete, 2 is to be emptied
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ops.simulation.disk import VirtualDisk
from ops.simulation.records import find

REPLICA: Final = "replica"
LIVE: Final = 1
VOID: Final = 2

Rank = tuple[int, bytes]
"""(epoch, primary): what claims are ordered by"""


def name_of(node: int) -> bytes:
    """The id of a node."""
    return b"node%04d" % node


def node_of(name: bytes) -> int:
    """The node of an id."""
    return int(name[4:])


class DiskClaim(NamedTuple):
    """A claim as it stands on a disk."""

    rank: Rank
    heir: bytes | None
    rest: tuple[object, ...]


def claim_on(disk: VirtualDisk, group: str, partition: int) -> DiskClaim | None:
    """The claim that a node has written down."""
    found = find(disk, group, REPLICA, ("claim", partition))
    if found is None or found.payload is None:
        return None
    epoch, primary, heir, *rest = found.value
    return DiskClaim((epoch, primary), heir, tuple(map(_fixed, rest)))


def _fixed(word: object) -> object:
    return tuple(map(_fixed, word)) if isinstance(word, list) else word


def is_live_on(disk: VirtualDisk, group: str, partition: int) -> bool:
    """Whether a node has written down that its copy is complete."""
    found = find(disk, group, REPLICA, ("copy", partition))
    return found is not None and found.payload is not None and found.value[0] == LIVE


def is_void_on(disk: VirtualDisk, group: str, partition: int) -> bool:
    """Whether a node has written down that its copy counts for nothing, and is to be emptied."""
    found = find(disk, group, REPLICA, ("copy", partition))
    return found is not None and found.payload is not None and found.value[0] == VOID


def highest(disks: Mapping[int, VirtualDisk], group: str, partition: int) -> DiskClaim | None:
    """The claim that wins, of all that stand anywhere."""
    claims = [claim for disk in disks.values() if (claim := claim_on(disk, group, partition)) is not None]
    return max(claims, key=lambda claim: claim.rank, default=None)


def holders(disks: Mapping[int, VirtualDisk], group: str, partition: int) -> tuple[int, ...]:
    """The nodes whose copies count: the primary and the heir of the claim that wins."""
    claim = highest(disks, group, partition)
    if claim is None:
        return ()
    return tuple(node_of(name) for name in (claim.rank[1], claim.heir) if name is not None)
