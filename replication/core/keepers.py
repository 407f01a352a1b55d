"""What a copy is known to have of what was given out: numbers, and whatever else must not be given out twice.

A claim's *keepers* are its primary, and its heir once its copy is complete: they have all that was settled under it,
and whoever of them obeys another claim settles nothing under this one any more. So what a claim was made from says
what each complete copy under it has; what a node has learned besides, of others, counts for that only when its heir
has it, too. This module must never ask anybody.
"""

from __future__ import annotations

from collections.abc import Iterable

from replication.claim import KEPT_MAX, Claim, Rank
from replication.core.state import Partition, ReplicaState


def is_kept(state: ReplicaState, part: Partition) -> bool:
    """Whether all that was settled under the claim that is known is here, and stays so under the next one."""
    claim = part.claim
    return (
        claim is not None
        and state.me in (claim.primary, claim.heir)
        and part.sound
        and part.asof == claim.epoch
    )


def given(part: Partition) -> Rank | None:
    """By which claim something was given out last that each complete copy has, as far as this keeper knows: for the
    next claim to say."""
    claim, pledge = part.claim, part.pledge
    assert claim is not None
    if pledge is None:
        return claim.given
    known = claim.given
    if pledge.last == claim.rank:
        known = later(known, pledge.said)
    return later(known, claim.rank) if pledge.covers == claim.rank else known


def kept(part: Partition) -> tuple[Rank, ...]:
    """Under which other claims before it what was given out is in each complete copy, as far as this keeper knows: for
    the next claim to say. A chain of keepers may be longer than that, so what this node is bound to comes first: others
    are, too, and nobody need be bound to the rest."""
    claim, pledge = part.claim, part.pledge
    assert claim is not None
    upto = given(part)
    ranks = [rank for rank in before(claim) if upto is None or rank > upto]
    if pledge is not None and pledge.last in ranks:
        ranks.insert(0, pledge.last)
    return tuple(dict.fromkeys(ranks))[:KEPT_MAX]


def before(claim: Claim) -> tuple[Rank, ...]:
    """Under which claims before it what was given out is in each complete copy, one by one."""
    return (claim.prior, *claim.kept) if claim.whole and claim.prior is not None else ()


def left(state: ReplicaState, part: Partition) -> None:
    """Another claim is about to stand here: what a keeper's copy has of the one before is remembered."""
    state.pledging.discard(part.number)
    part.pledging = None
    pledge, claim = part.pledge, part.claim
    if pledge is None or claim is None or not is_kept(state, part):
        return
    pledge.covers = later(pledge.covers, given(part))
    pledge.learn((claim.rank, *before(claim)))


def forgotten(part: Partition) -> None:
    """The copy isn't what it was: nobody may rely on what it had. To what it is bound stays."""
    if part.pledge is not None:
        part.pledge.covers, part.pledge.has = None, ()


def asserted(state: ReplicaState, part: Partition) -> tuple[Rank | None, tuple[Rank, ...]]:
    """What this node says that its copy has: everything up to a claim, and of some claims. An heir that takes over will
    say it, too, as it is complete: so what it may lack isn't said yet."""
    claim, own, pledge = part.claim, part.pledging, part.pledge
    assert claim is not None
    assert own is not None
    covers = claim.rank if own.stands else claim.given
    has = before(claim)
    if pledge is not None and _heir_has(state, part, own.after):
        covers, has = later(covers, pledge.covers), (*has, *pledge.has)
    return covers, has


def _heir_has(state: ReplicaState, part: Partition, at: int) -> bool:
    """Whether the heir's copy has what was here at a sequence, or can't be complete without it."""
    assert part.claim is not None
    if part.claim.heir is None:
        return True
    peer = state.peers.get(part.claim.heir)
    if peer is None or part.number not in peer.stream.opened:
        return False
    return at <= peer.stream.opened_at.get(part.number, 0) or peer.stream.acked >= at


def is_covered(last: Rank | None, rank: Rank, covers: Rank | None, has: Iterable[Rank]) -> bool:
    """Whether a member that is bound to a claim may pledge to another one, whose primary asserts this."""
    return last is None or last == rank or last in has or (covers is not None and last <= covers)


def touched(part: Partition) -> int:
    """The last local sequence at which anybody has changed it."""
    return max(part.touched.values(), default=0)


def later(a: Rank | None, b: Rank | None) -> Rank | None:
    """The higher one of those that there are."""
    return b if a is None else a if b is None else max(a, b)
