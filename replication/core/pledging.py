"""What a partition's primary must be told by a majority before it gives out what mustn't be given out twice.

A claim stands where it is known, and no longer: with the network split twice, each side may have a primary and, one
after the other, a majority of the members. So each member pledges a partition to one claim at a time, remembers that
over its own end, and pledges it to another one only if that one's copy has everything that was given out under the
one before. Any two majorities have a member in common, which tells the second primary of the first one's claim. That
is the ballot of Paxos (Lamport, *Paxos Made Simple*, 2001, 2.2) and the view change of Viewstamped Replication
(Liskov, Cowling, *Viewstamped Replication Revisited*, 2012, 4.2); in place of what a ballot has chosen there is here
what the keepers of a claim have.

A pledge is asked for when something is to be given out and not before, for many partitions with one word. A member
that can't give it says to which claim it is bound. Whoever asks takes in what that claim's keepers have, and asks
again. Who counts as a majority isn't known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from replication.claim import Claim, Rank
from replication.core import claims, effects, keepers, messages, pulling, rows
from replication.core.pledges import Heard, Pledge, Pledging
from replication.core.state import (
    ALIVE,
    MOVING,
    SERVING,
    VOID,
    Partition,
    Peer,
    ReplicaState,
)

ASKED_MS: Final = 5_000
"""So long pledges are asked for after somebody wanted them last."""
ASKED_MAX: Final = 256
"""Partitions in one question."""


def is_pledged(state: ReplicaState, p: int, node: bytes) -> bool:
    """Whether a member has pledged a partition to this node's claim; where not all understand the word, each has."""
    own = state.parts[p].pledging
    return not state.pledges or (own is not None and node in own.pledged)


def ask(state: ReplicaState, p: int) -> None:
    """Something of a partition is to be given out: whoever hasn't pledged it to this node's claim is asked to."""
    part = state.parts[p]
    if not state.pledges or part.phase not in (SERVING, MOVING):
        return
    if part.pledging is None:
        part.pledging = Pledging(keepers.touched(part))
    part.pledging.asked_at = state.now
    missing = [peer for peer in _asked_of(state) if peer.id not in part.pledging.pledged]
    for peer in missing:
        peer.pledges_due.add(p)
    if missing or state.me not in part.pledging.pledged:
        state.pledging.add(p)
    _pledge_here(state, part)
    _put_all(state)


def stands(state: ReplicaState, p: int) -> None:
    """A majority has pledged a partition to this node's claim: nothing more is given out under a lower one, and all
    that was is here. The heir, which may take over, is told."""
    part = state.parts[p]
    own, claim, pledge = part.pledging, part.claim, part.pledge
    if own is None or own.stands or claim is None or pledge is None:
        return
    own.stands = True
    pledge.covers = keepers.later(pledge.covers, claim.rank)
    state.unsaved.add(p)
    heir = state.peers.get(claim.heir) if claim.heir is not None else None
    if heir is not None:
        heir.pledges_due.add(p)
        _put_all(state)


def _asked_of(state: ReplicaState) -> list[Peer]:
    return [peer for peer in state.peers.values() if peer.id not in state.far]


# ---- a member that is asked --------------------------------------------------------------------------


def asked(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """PLEDGE. Answered when that is durable; who asks in vain hears which claim stands."""
    _, number, wants = message
    claims.learn(state, [want[:2] for want in wants])
    taken = []
    beaten = []
    for p, row, covers, has in wants:
        part, claim = state.parts[p], Claim.from_row(row)
        if part.claim is None or part.claim.rank != claim.rank or p in state.storing:
            beaten.append(p)
            continue
        _bind(state, part, _rank(covers), [*map(_rank, has)])
        taken.append((part, claim.rank))
    if beaten:
        state.out.append((effects.SEND, peer.id, (messages.CLAIMS, claims.rows_of(state, beaten))))

    def stored(error: Exception | None) -> None:
        if error is None and state.peers.get(peer.id) is peer:
            told = [_told(peer, part) for part, rank in taken if part.claim and part.claim.rank == rank]
            state.out.append((effects.SEND, peer.id, (messages.PLEDGED, number, told)))

    state.out.append((effects.STORE, [row for part, _ in taken for row in rows.of_part(part)], stored))


def _bind(state: ReplicaState, part: Partition, covers: Rank | None, has: Sequence[Rank | None]) -> bool:
    """Pledge a partition to the claim that is known, if that has what was given out under the one before."""
    claim = part.claim
    assert claim is not None
    pledge = part.pledge = part.pledge or Pledge()
    if not keepers.is_covered(pledge.last, claim.rank, covers, [rank for rank in has if rank]):
        return False
    if pledge.last != claim.rank:
        state.counts.pledges += 1
    pledge.last, pledge.heir, pledge.said = claim.rank, claim.heir, covers
    return True


def _told(peer: Peer, part: Partition) -> list[Any]:
    pledge, claim = part.pledge, part.claim
    assert pledge is not None
    assert claim is not None
    has = [] if part.copy == VOID else [list(rank) for rank in pledge.has]
    covers = None if part.copy == VOID else pledge.covers
    bound = [*(pledge.last or (0, b"")), pledge.heir]
    return [part.number, claim.epoch, bound, list(covers or ()), has, peer.offers.get(part.number, 0)]


def _rank(row: Sequence[Any]) -> Rank | None:
    return (row[0], row[1]) if row else None


# ---- a primary that asks -----------------------------------------------------------------------------


def _put_all(state: ReplicaState) -> None:
    for peer in _asked_of(state):
        _put(state, peer)


def _put(state: ReplicaState, peer: Peer) -> None:
    """One question at a time: what is wanted meanwhile is in the next one."""
    if peer.pledges_asked or not peer.pledges_due or peer.liveness != ALIVE:
        return
    due = sorted(peer.pledges_due)
    peer.pledges_due = set(due[ASKED_MAX:])
    asking = [part for p in due[:ASKED_MAX] if (part := state.parts[p]).pledging is not None]
    if not asking:
        return
    number = state.serial()
    peer.pledges_asked = (number, state.now, tuple(part.number for part in asking))
    wants = []
    for part in asking:
        assert part.claim is not None
        covers, has = keepers.asserted(state, part)
        wants.append([part.number, part.claim.row(), list(covers or ()), [list(rank) for rank in has]])
    state.out.append((effects.SEND, peer.id, (messages.PLEDGE, number, wants)))


def _pledge_here(state: ReplicaState, part: Partition) -> None:
    """This node is a member as any other."""
    own = part.pledging
    assert own is not None
    if state.me in own.pledged or own.storing:
        return
    if not _bind(state, part, *keepers.asserted(state, part)):
        return
    own.storing = True

    def stored(error: Exception | None) -> None:
        own.storing = False
        if error is None and part.pledging is own:
            own.pledged.add(state.me)
            state.reclaimed.add(part.number)

    state.out.append((effects.STORE, rows.of_part(part), stored))


def told(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """PLEDGED: to what a peer is bound, what its copy has, and how far this node is to learn from it."""
    _, number, answers = message
    if peer.pledges_asked and peer.pledges_asked[0] == number:
        peer.pledges_asked = None
    for p, epoch, (last_epoch, last_primary, heir), covers, has, upto in answers:
        part = state.parts[p]
        own, claim = part.pledging, part.claim
        if own is None or claim is None or claim.epoch != epoch:
            continue
        last = (last_epoch, last_primary)
        ranks = tuple(rank for row in has if (rank := _rank(row)))
        own.heard[peer.id] = Heard(peer, peer.partings, last, heir, _rank(covers), ranks)
        if upto:
            pulling.want(peer, p, upto)
        if last == claim.rank:
            own.pledged.add(peer.id)
            state.reclaimed.add(p)
        else:
            state.counts.pledges_refused += 1
    _put(state, peer)


def tick(state: ReplicaState) -> None:
    """Time has passed: what was denied is asked for again, where that is of use by now."""
    for peer in state.peers.values():
        if peer.pledges_asked and state.now - peer.pledges_asked[1] >= state.settings.retry_ms:
            peer.pledges_due.update(peer.pledges_asked[2])
            peer.pledges_asked = None
    peers = _asked_of(state)
    everybody = {peer.id for peer in peers} | {state.me}
    for p in tuple(state.pledging):
        part = state.parts[p]
        own = part.pledging
        if own is None or own.stands or everybody <= own.pledged or state.now - own.asked_at >= ASKED_MS:
            state.pledging.discard(p)
            if own is not None:  # nobody looks any more whether it is learned what they have
                own.heard = {node: heard for node, heard in own.heard.items() if heard.taken}
            continue
        _take_in(state, part, own)
        covers, has = keepers.asserted(state, part)
        for peer in peers:
            if peer.id in own.pledged or (peer.pledges_asked and p in peer.pledges_asked[2]):
                continue
            heard = own.heard.get(peer.id)
            # Who has said nothing of it had a claim of its own under way, or what it said is of a former life.
            if heard is None or keepers.is_covered(heard.last, _rank_of(part), covers, has):
                peer.pledges_due.add(p)
        _pledge_here(state, part)
    _put_all(state)


def _rank_of(part: Partition) -> Rank:
    assert part.claim is not None
    return part.claim.rank


def _take_in(state: ReplicaState, part: Partition, own: Pledging) -> None:
    """What was to be learned of those that have answered may be here by now. So it is with what was given out under a
    claim when both of its keepers have told what they have, or are gone for good."""
    p = part.number
    pledge = part.pledge = part.pledge or Pledge()
    known = (pledge.covers, pledge.has)
    for node, heard in tuple(own.heard.items()):
        if heard.taken:
            continue
        peer = state.peers.get(node)
        if peer is None or peer is not heard.peer or peer.partings != heard.partings:
            del own.heard[node]  # what it has was wanted, and isn't any more
        elif p not in peer.wanted and not part.incoming:
            heard.taken = True
            pledge.covers = keepers.later(pledge.covers, heard.covers)
            pledge.learn(heard.has)
    bound = [(heard.last, heard.heir) for heard in own.heard.values()]
    if pledge.last is not None:
        bound.append((pledge.last, pledge.heir))
    for rank, heir in bound:
        if rank not in pledge.has and all(_has_told(state, own, node) for node in (rank[1], heir)):
            pledge.learn((rank,))
    if known != (pledge.covers, pledge.has):
        own.after = keepers.touched(part)


def _has_told(state: ReplicaState, own: Pledging, node: bytes | None) -> bool:
    if node is None or node == state.me or node in state.departed:
        return True
    heard = own.heard.get(node)
    return heard is not None and heard.taken
