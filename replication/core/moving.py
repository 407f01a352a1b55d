"""Planned moves: the heir becomes the primary, without a write being lost, held long or done twice.

The target becomes the heir, if it isn't; once its copy is complete the partition stands still until everything
that was written has reached it; then it is asked to claim, with this node as its heir. If it doesn't in time
the partition goes on here. Should the target claim later all the same, that is as good: what was settled
meanwhile it has.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, effects, giving, messages
from replication.core.errors import ClaimLost, NoMove, UnknownMember
from replication.core.state import ASIDE, LIVE, MOVING, SERVING, Done, Partition, Peer, ReplicaState


def request(state: ReplicaState, p: int, target: bytes, done: Done) -> None:
    """Move a partition; ``done`` is called when it is another's, or with NoMove, UnknownMember or ClaimLost."""
    part = state.parts[p]
    error: Exception | None = None
    if target not in state.peers:
        error = UnknownMember(f"{target.hex()} is no other member of this group")
    elif part.phase != SERVING or part.claim is None:
        error = ClaimLost(f"partition {p} isn't served here")
    elif part.move_to is not None:
        error = NoMove(f"partition {p} is being moved already")
    elif not state.reachable(state.peers[target]):
        error = NoMove(f"node {target.hex()} can't be reached")
    if error is not None:
        state.out.append((effects.DONE, done, 0, error))
        return
    part.move_to = target
    part.move_done = done
    state.moving.add(p)
    assert part.claim is not None
    if part.claim.heir != target:
        claims.make(state, [(p, target)])


def tick(state: ReplicaState) -> None:
    """Go on with moves."""
    for p in sorted(state.moving):
        part = state.parts[p]
        part.move_asked = False  # it may not have been heard
        _go_on(state, part)
    giving.tick(state)


def reached(state: ReplicaState, peer: Peer) -> None:
    """A peer has more of what was written: what stands still for it may be ready now, and needn't wait for a tick."""
    for p in tuple(state.standing):
        part = state.parts[p]
        if part.move_to == peer.id and not part.move_asked:
            _go_on(state, part)


def proceed(state: ReplicaState) -> None:
    """Something may be served elsewhere now, or have a complete heir: what has room to stand still needn't wait for a
    tick either."""
    for p in sorted(state.moving - state.standing):
        if not _has_room(state):
            return
        _go_on(state, state.parts[p])


def _has_room(state: ReplicaState) -> bool:
    still = len(state.standing) + giving.awaited(state)
    if not still:
        state.pace.begins(state.now)
    return still < state.pace.at_once


def _go_on(state: ReplicaState, part: Partition) -> None:
    claim = part.claim
    assert claim is not None
    assert part.move_to is not None
    p, target = part.number, state.peers[part.move_to]
    if part.phase == SERVING:
        if not state.reachable(target) or (claim.heir != target.id and p not in state.storing):
            give_up(state, part, f"node {target.id.hex()} can't be reached")
        elif claim.heir == target.id and part.heir_live and not part.ceased:
            if not _has_room(state):
                return  # it is served until there is room
            part.phase = MOVING
            state.standing.add(p)
            part.move_mark = None
            part.move_until = state.now + state.settings.move_wait_ms
            state.out.append((effects.CEASE, p))
    if part.phase != MOVING:
        return
    stream = target.stream
    flushed = not part.writing and not part.waiting and not part.early and p in stream.opened
    if state.now >= part.move_until:
        give_up(state, part, f"node {target.id.hex()} didn't take over in time")
    elif not flushed or stream.lagging:
        part.move_mark = None
    else:
        # The frames behind that one are of others: it isn't waited for a moment at which all is quiet.
        if part.move_mark is None or part.move_mark[0] != stream.session:
            part.move_mark = (stream.session, stream.number)
        if stream.acked_number >= part.move_mark[1]:
            part.move_asked = True
            left = part.move_until - state.now
            state.out.append((effects.SEND, target.id, (messages.HAND, p, claim.epoch, left)))


def give_up(state: ReplicaState, part: Partition, why: str) -> None:
    """It isn't moved. What stood still for it is served again."""
    if part.phase == MOVING:
        giving.stayed(state, part)
        claims.serve(state, part)
    if part.move_done is not None:
        state.out.append(
            (effects.DONE, part.move_done, 0, NoMove(f"partition {part.number} was not moved: {why}"))
        )
    part.move_to = part.move_done = None
    state.moving.discard(part.number)


def handed(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """The primary asks this node to take over, or who was it whether it is served. An older release doesn't say how
    long it waits."""
    _, p, epoch, *words = message
    part = state.parts[p]
    claim = part.claim
    if claim is not None and claim.primary == state.me and claim.prior == (epoch, peer.id):
        giving.say(state, part)
        return
    if claim is None or claim.rank != (epoch, peer.id) or claim.heir != state.me:
        return
    if part.copy == LIVE and part.phase == ASIDE and p not in state.storing:
        state.counts.moves += 1
        part.handed_until = state.now + (words[0] if words else state.settings.move_wait_ms)
        claims.make(state, [(p, peer.id)])
