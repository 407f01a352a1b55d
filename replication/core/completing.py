"""Copies that became complete: told by who holds them, until their primary has heard it.

When a copy is complete is known elsewhere.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, effects, messages, settling, streams
from replication.core.knowledge import NOTHING
from replication.core.state import LIVE, Peer, ReplicaState


def told(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A holder's copies are complete."""
    _, incarnation, at, mine, session, told = message
    if mine != state.incarnation or session != peer.stream.session:
        return  # what it says of our changes, it says of those of another life
    for p, epoch, foreign, ours, through in told:
        part = state.parts[p]
        claim = part.claim
        if claim is None or claim.primary != state.me or epoch != claim.epoch or p not in peer.stream.opened:
            continue
        peer.live.add(p)
        if claim.heir == peer.id:
            part.heir_live = True
            claims.measure(state, part)
            if ours == state.incarnation:
                settling.early_reached(state, part, through)
        cursor = peer.known.cursor(p)
        if streams.counted(peer, p) and (not foreign or (cursor[0] == incarnation and cursor[1] >= foreign)):
            peer.known.caught_up(p, incarnation, at)
    heard_of = [[p, epoch, through] for p, epoch, _, _, through in told]
    state.out.append((effects.SEND, peer.id, (messages.LIVED, heard_of, session)))


def tell(state: ReplicaState, peer: Peer) -> None:
    """Say, until it is heard, which copies are complete, and how far the stream has brought them: a cursor that pieces
    have moved says less, for they leave out what was overwritten since."""
    if (
        not peer.live_untold
        or not peer.source.session
        or state.now - peer.live_told_at < state.settings.retry_ms
    ):
        return
    for p in [p for p in peer.live_untold if state.parts[p].copy != LIVE]:
        del peer.live_untold[p]  # it fills anew, and is told of when it is complete again
    ready = [p for p in peer.live_untold if p not in state.unsaved]
    if not ready:
        return
    peer.live_told_at = state.now
    streamed = peer.known.stream.members
    told = [
        [
            p,
            peer.live_untold[p],
            state.parts[p].foreign(peer.id),
            *(peer.known.cursor(p) if p in streamed else NOTHING),
        ]
        for p in sorted(ready)
    ]
    source = peer.source
    message = (
        messages.LIVE, state.incarnation, state.sequence, source.incarnation, source.session, told,
    )  # fmt: skip
    state.out.append((effects.SEND, peer.id, message))


def heard(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """The primary has heard of complete copies. One that was filled up since then is told of again: writes may wait for
    that. So are all, if its stream has begun anew since then: it has forgotten them (an older release doesn't say)."""
    if len(message) > 2 and message[2] != peer.source.session:
        return
    for p, epoch, through in message[1]:
        if peer.live_untold.get(p) == epoch and through >= peer.source.opened.get(p, 0):
            del peer.live_untold[p]
