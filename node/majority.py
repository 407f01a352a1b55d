"""Whether so many members see one another that what must not happen twice may happen: the rule for registrations.

Each cluster counts its own active members, and only what it owns concerns it. A member that has another roster doesn't
count: it may know of another owner, or of other members. Nor does one that hasn't pledged the partition to this node's
claim, in the sense of `replication.core.pledging`. This module judges by what one node knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from replication.core import meeting, pledging
from replication.core.state import ReplicaState
from replication.membership.member import ACTIVE
from replication.membership.membership import Membership

WHOLE: Final = 2
"""Twice as many as half of them."""


def is_seen(membership: Membership, p: int, counts: Callable[[bytes], bool]) -> bool:
    """Whether numbers of a partition are this cluster's to give out, and a majority of its active members counts and
    has the same roster, as this node sees it.

    Args:
        counts: whether a member is there, as far as the node knows; itself, too.
    """
    if not membership.sealing.gives_out(p):
        return False
    members, me, knows = membership.roster.members, membership.own.node, membership.exchange.knows
    active = [node for node in membership.nodes if members[node].state == ACTIVE]
    there = sum(counts(node) and (node == me or knows(node)) for node in active)
    return WHOLE * there > len(active)


def may_be_pledged(
    membership: Membership, state: ReplicaState, p: int, is_alive: Callable[[bytes], bool]
) -> bool:
    """Whether nothing that any of a majority has of a partition is lacking here. If so, its pledges are asked for."""

    def counts(node: bytes) -> bool:
        return is_alive(node) and meeting.has_met(state, node)

    if not meeting.is_whole(state, p) or not is_seen(membership, p, counts):
        return False
    pledging.ask(state, p)
    return True


def may_register(
    membership: Membership, state: ReplicaState, p: int, is_alive: Callable[[bytes], bool]
) -> bool:
    """The same, and that majority has pledged the partition to this node's claim: numbers of it may be given out."""

    def counts(node: bytes) -> bool:
        return is_alive(node) and meeting.has_met(state, node) and pledging.is_pledged(state, p, node)

    if not meeting.is_whole(state, p) or not is_seen(membership, p, counts):
        return False
    pledging.stands(state, p)
    return True


def has_enough(membership: Membership, copies: int, wanted: int) -> bool:
    """Whether what is on so many nodes is on as many as there are to be: as many as the active members can hold, of
    those that are wanted. Fewer is what one side of a split writes alone."""
    members = membership.roster.members
    rows = (members[node] for node in membership.nodes)
    takers = sum(row.state == ACTIVE and row.weight > 0 for row in rows)
    return copies >= min(wanted, takers)
