"""Who is there, and whether a peer has been heard: what it claims, and what it knows of us.

What follows from that for partitions isn't known here.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, effects, inbound, meeting, messages, pulling, spreading, taking
from replication.core.state import ALIVE, DEAD, GATHERING, SERVING, Peer, ReplicaState


def liveness(state: ReplicaState, peer: Peer, what: int) -> None:
    """The detector says something of a peer."""
    if what == DEAD and peer.liveness != DEAD:
        peer.dead_since = state.now
    if what == ALIVE and peer.liveness != ALIVE:
        peer.hailed_at = -(10**12)
    if what != ALIVE:
        peer.offered_all = (0, 0)
        meeting.parted(peer)
    if what == DEAD:
        state.heard.discard(peer.id)
        peer.claims_told = False
    came = what == ALIVE and peer.liveness != ALIVE
    peer.liveness = what
    if came:
        hail(state, peer)


def hail(state: ReplicaState, peer: Peer) -> None:
    """Ask a peer what it knows of us, as long as its stream isn't there, whether it knows the same claims, and, when it
    was away, what it has that we may lack."""
    if peer.liveness == DEAD or state.now - peer.hailed_at < _hail_every(state, peer):
        return
    peer.hailed_at = state.now
    message = (messages.HAIL, state.incarnation, claims.digest(state), meeting.question(state, peer))
    state.out.append((effects.SEND, peer.id, message))


def _hail_every(state: ReplicaState, peer: Peer) -> int:
    return state.settings.hail_ms if peer.stream.session and peer.met else state.settings.retry_ms


def hailed(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """Answer with what is known."""
    _, incarnation, digest, number = message
    peer.incarnation = incarnation
    if not peer.source.session or peer.source.stale or peer.source.incarnation != incarnation:
        inbound.tell(state, peer)
    if digest == claims.digest(state):
        peer.claims_told, peer.differed = True, False
        listen(state, peer)
        if number:
            pulling.offer_all(state, peer, incarnation, number)
    elif not spreading.is_early(state, peer):
        told = claims.rows_of(state, range(len(state.parts)))
        state.out.append((effects.SEND, peer.id, (messages.CLAIMS, told)))


def listen(state: ReplicaState, peer: Peer) -> None:
    """A peer has been heard once it has told its claims, and what it knows of us: it may know that we are older than we
    think."""
    if peer.claims_told and peer.known_told and peer.liveness != DEAD and peer.id not in state.heard:
        state.heard.add(peer.id)
        if state.forgetful:
            _remember(state, peer)
        taking.tick(state)


def _remember(state: ReplicaState, peer: Peer) -> None:
    """What this node serves may lack rows that were kept in memory here and that the peer still has: not even those
    that once came from here may be taken for known."""
    for part in state.parts:
        if part.claim is not None and part.claim.primary == state.me and part.phase in (GATHERING, SERVING):
            pulling.want(peer, part.number)


def told_claims(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A peer tells the claims that it knows. At first it waits to hear that we know the same."""
    claims.learn(state, message[1])
    if not peer.claims_told:
        peer.claims_told = True
        peer.hailed_at = -(10**12)
        hail(state, peer)
    listen(state, peer)
