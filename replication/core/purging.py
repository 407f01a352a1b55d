"""Forgetting tombstones without anything coming back.

A tombstone may go once every copy that could still hold the older record has it, or is void. So a primary first
raises the floor of its claim: copies that weren't complete under it are void from then on, are emptied, and
contribute nothing. Then it forgets the tombstones that were there before and are old enough by the clock of the
node that made them; its stream tells the holders to forget the same ones.

Only what every holder has acknowledged is forgotten. The floor is raised only while every holder is complete, and
while nothing that a node in reach has is still to be learned. To know that, each round begins with a question to
all of them: a node that knows our claims answers with everything that it offers. A node out of reach must have
been so for `absence_ms`: that is how long a copy may be away and still bring home what it alone has.
"""

from replication.core import claims, effects, holders, messages, streams
from replication.core.state import ALIVE, SERVING, SILENT, Partition, Peer, ReplicaState

PURGED_AT_ONCE = 64
"""Partitions whose floors are raised in one commit."""


def tick(state: ReplicaState) -> None:
    """Begin a round when one is due, and go on with those that have begun."""
    _forget(state)
    if not state.settings.purge_ms:
        return
    if not state.purge_round:
        if state.now - state.purge_at < state.settings.purge_ms:
            return
        state.purge_at = state.now
        state.purge_round = state.serial()
        state.purge_asked_at = state.now - state.settings.retry_ms
        for part in state.parts:
            if part.phase == SERVING and part.claim is not None:
                state.purge_due.append((part.number, part.claim.rank))
    if _all_told(state):
        _raise(state)
        if not state.purge_due:
            state.purge_round = 0


def _forget(state: ReplicaState) -> None:
    """Where the raised floor is durable, tombstones may go."""
    for p, (epoch, before) in list(state.purging.items()):
        part = state.parts[p]
        claim = part.claim
        if claim is None or claim.primary != state.me or part.phase != SERVING:
            del state.purging[p]
        elif claim.floor >= epoch:
            del state.purging[p]
            state.counts.purges += 1
            state.out.append((effects.PURGE, p, before))


def _all_told(state: ReplicaState) -> bool:
    """Whether everybody in reach has told what it offers since the round began. Asks those who haven't."""
    untold = []
    for peer in state.peers.values():
        if peer.liveness == SILENT:
            return False
        if peer.liveness != ALIVE:
            if state.now - max(peer.dead_since, state.started_at) < state.settings.absence_ms:
                return False
        elif not state.reachable(peer):
            return False
        elif peer.offered_all != (peer.incarnation, state.purge_round):
            untold.append(peer)
    if untold and state.now - state.purge_asked_at >= state.settings.retry_ms:
        state.purge_asked_at = state.now
        digest = claims.digest(state)
        for peer in untold:
            message = (messages.HAIL, state.incarnation, digest, state.purge_round)
            state.out.append((effects.SEND, peer.id, message))
    return not untold


def told(state: ReplicaState, peer: Peer, ours: int, number: int) -> None:
    """A peer that knew all of our claims has told of all that it offers, when it was asked in a round."""
    if ours == state.incarnation and number == state.purge_round and peer.liveness == ALIVE:
        peer.offered_all = (peer.incarnation, number)


def _raise(state: ReplicaState) -> None:
    """Raise the floors of the next partitions that it may be done for; the others' turn is in the next round."""
    wanted: list[tuple[int, bytes | None]] = []
    while state.purge_due and len(wanted) < PURGED_AT_ONCE:
        p, rank = state.purge_due.popleft()
        part = state.parts[p]
        claim = part.claim
        if claim is not None and claim.rank == rank and _may(state, part):
            state.purging[p] = (claim.epoch + 1, _held(state, part))
            wanted.append((p, claim.heir))
    claims.make(state, wanted, raise_floor=True)


def _may(state: ReplicaState, part: Partition) -> bool:
    p = part.number
    if part.phase != SERVING or not part.heir_live or part.move_to is not None or p in state.storing:
        return False
    if any(p in peer.wanted for peer in state.peers.values()):
        return False
    held = [state.peers[who] for who in holders.of(state, part)]
    return all(p in peer.live and streams.counted(peer, p) for peer in held)


def _held(state: ReplicaState, part: Partition) -> int:
    """Up to which sequence of ours every holder has everything: a delete that one of them has not heard of is not to be
    forgotten, however old a clock makes it."""
    acked = [state.peers[who].stream.acked for who in holders.of(state, part)]
    return min([state.sequence, *acked])
