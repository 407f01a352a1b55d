"""Whether so many members see one another that what must not happen twice may happen: the rule for registrations.

Each cluster counts its own active members. This module must never ask anybody: it judges by what one node knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from replication.membership.member import ACTIVE
from replication.membership.membership import Membership

WHOLE: Final = 2
"""Twice as many as half of them."""


def is_seen(membership: Membership, counts: Callable[[bytes], bool]) -> bool:
    """Whether a majority of the own cluster's active members counts, as this node sees it."""
    members = membership.roster.members
    active = [node for node in membership.nodes if members[node].state == ACTIVE]
    return WHOLE * sum(map(counts, active)) > len(active)


def has_enough(membership: Membership, copies: int, wanted: int) -> bool:
    """Whether what is on so many nodes is on as many as there are to be: as many as the active members can hold, of
    those that are wanted. Fewer is what one side of a split writes alone."""
    members = membership.roster.members
    rows = (members[node] for node in membership.nodes)
    takers = sum(row.state == ACTIVE and row.weight > 0 for row in rows)
    return copies >= min(wanted, takers)
