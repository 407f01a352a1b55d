"""When a copy here is complete, when it fills, and when it must be emptied first.

A copy is complete (live) under a claim when it has everything that was settled before the claim; what is
settled under it reaches the heir by definition. So a filling copy may settle new writes, and must not be
served.
"""

from collections import deque
from collections.abc import Set
from typing import Final

from replication.claim import Claim
from replication.core import claims, effects, inbound, rows
from replication.core.state import LIVE, NONE, VOID, Partition, Peer, ReplicaState

EMPTIED_AT_ONCE: Final = 4
"""Void copies. Hundreds become void together, `leave_ms` after a cluster was spread anew; emptied in one commit they
would hold up all others' commits, and LMDB keeps the pages of its largest one in memory for good."""

Waiting = deque[tuple[Partition, Claim | None]]
"""Void copies that come next, and the claims under which what is known of them was forgotten."""


def opened(state: ReplicaState, peer: Peer, part: Partition, at: int) -> None:
    """The primary's stream carries the partition from its sequence ``at`` on; what was before is to be pulled."""
    claim = part.claim
    assert claim is not None
    if part.sound and not (claim.heir == state.me and part.asof == claim.epoch):
        claims.incomplete(state, part)
    state.unsaved.add(part.number)  # durable no later than the first piece
    peer.source.heads.pop(part.number, None)
    if part.copy != VOID:
        peer.wanted[part.number] = -1


def left(state: ReplicaState, peer: Peer, part: Partition) -> None:
    """The primary's stream doesn't carry the partition any more: unless it is the heir's, the copy falls behind."""
    claim = part.claim
    if part.sound and claim is not None and claim.primary == peer.id and claim.heir != state.me:
        claims.incomplete(state, part)


def fill(state: ReplicaState, peer: Peer) -> None:
    """Partitions that were pulled as far as the stream's beginning take part in it from now on; their copies are
    complete.

    A piece leaves out what had been overwritten beyond it by the time it was read: that is there when the stream has
    come so far, or when a piece was the last one.
    """
    source, stream = peer.source, peer.known.stream
    for p, at in source.opened.items():
        if p in stream.members:
            continue
        part = state.parts[p]
        incarnation, through = peer.known.cursor(p)
        if part.copy == VOID or stream.upto < source.heads.get(p, 0):
            continue
        if incarnation == source.incarnation and through >= at:
            peer.known.join(p)
            peer.wanted.pop(p, None)
            complete(state, part, peer)


def doubt(state: ReplicaState, peer: Peer, kept: Set[int]) -> None:
    """The peer begins another life. It has proven that it has what came from it of the partitions that are kept; of
    all others it may have been set back, and lack what its former life has sent."""
    for part in state.parts:
        if part.number not in kept and peer.id in part.touched:
            part.touched[None] = max(part.touched.pop(peer.id), part.touched.get(None, 0))
            claims.offer(state, part)


def progress(state: ReplicaState) -> list[tuple[int, float]]:
    """(partition, share) of the copies that fill: how much of what the primary had when its stream began is here."""
    found = []
    for part in state.parts:
        claim = part.claim
        peer = state.peers.get(claim.primary) if claim is not None else None
        if peer is None or part.copy == LIVE or part.number not in peer.source.opened:
            continue
        at = peer.source.opened[part.number]
        incarnation, through = peer.known.cursor(part.number)
        if incarnation != peer.source.incarnation:
            through = 0
        found.append((part.number, min(1.0, through / at) if at else 1.0))
    return found


def complete(state: ReplicaState, part: Partition, peer: Peer) -> None:
    """The copy has everything that its primary, the peer, had when it opened the stream.

    Under a claim that was heard of by another way it isn't complete before the stream has come so far: what was settled
    before, with another heir, may still be on its way.
    """
    claim = part.claim
    if claim is None or claim.primary != peer.id or part.copy == VOID:
        return
    if peer.source.told.get(part.number) != claim:
        return
    part.copy, part.thin = LIVE, False
    part.asof = claim.epoch
    state.unsaved.add(part.number)
    claims.tell_live(state, part)


def empty(state: ReplicaState) -> None:
    """Go on emptying void copies. What is known of others' changes there is forgotten first, and durably: rows that are
    dropped must be asked for again."""
    if state.clearing:
        return  # those that are void since then come next
    void = [part for part in state.parts if part.copy == VOID]
    if not void:
        return
    own = []
    for part in void:
        state.clearing.add(part.number)
        own += rows.of_part(part)
        for peer in state.peers.values():
            peer.known.forget(part.number)
            peer.ahead.pop(part.number, None)
    for peer in state.peers.values():
        own += rows.of_known(peer.id, peer.known)

    def forgotten(error: Exception | None) -> None:
        if error is not None:
            state.clearing.clear()
            return
        for _ in range(EMPTIED_AT_ONCE):
            _empty_next(state, waiting)

    waiting = deque((part, part.claim) for part in void)
    state.out.append((effects.STORE, own, forgotten))


def _empty_next(state: ReplicaState, waiting: Waiting) -> None:
    while waiting:
        part, claim = waiting.popleft()
        if part.copy == VOID and part.claim is claim:
            _empty(state, part, waiting)
            return
        state.clearing.discard(part.number)  # under another claim something may have been taken in since


def _empty(state: ReplicaState, part: Partition, waiting: Waiting) -> None:
    """Then the next one that waits."""

    def cleared(error: Exception | None, left: bool) -> None:
        if error is None and left and part.copy == VOID:
            _empty(state, part, waiting)
            return
        state.clearing.discard(part.number)
        if error is None and part.copy == VOID:
            _emptied(state, part)
        _empty_next(state, waiting)

    state.out.append((effects.CLEAR, part.number, cleared))


def _emptied(state: ReplicaState, part: Partition) -> None:
    claim = part.claim
    assert claim is not None
    part.copy = NONE
    part.asof = claim.floor  # nothing is here that could be older
    part.touched = {}
    part.owing = False
    state.counts.cleared += 1
    state.unsaved.add(part.number)
    for peer in state.peers.values():
        peer.offers.pop(part.number, None)
    if claim.primary in state.peers:
        peer = state.peers[claim.primary]
        if part.number in peer.source.refusals:  # it is to be filled: from the beginning
            peer.source.told_at -= state.settings.retry_ms
            inbound.tell(state, peer)


def save_known(state: ReplicaState, peer: Peer) -> None:
    """Write down what is known of a peer's changes; nothing else of the peer's may be under way."""
    known = peer.known
    peer.busy = True
    known.moved = known.reshaped = False

    def stored(error: Exception | None) -> None:
        peer.busy = False
        if error is not None:
            known.moved = known.reshaped = True
        inbound.pump(state, peer)

    state.out.append((effects.STORE, rows.of_known(peer.id, known), stored))
