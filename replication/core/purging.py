"""Forgetting tombstones without anything coming back.

A tombstone may go once every copy that could still hold the older record has it, or is void. So a primary first
raises the floor of its claim: copies that weren't complete under it are void from then on, are emptied, and
contribute nothing. Then it forgets the tombstones that were there before and are old enough by the clock of the
node that made them; its stream tells the holders to forget the same ones.

Only what every holder has acknowledged is forgotten. The floor is raised only while the heir is complete, and
while nothing that a node in reach has offered is still to be learned. A node out of reach must have been so for
`absence_ms`: that is how long a copy may be away and still bring home what it alone has.
"""

from replication.core import claims, effects, streams
from replication.core.state import ALIVE, SERVING, SILENT, Partition, ReplicaState

PURGED_AT_ONCE = 64
"""Partitions in one round."""


def tick(state: ReplicaState) -> None:
    """Begin a round when one is due, and go on with those that have begun."""
    for p, (epoch, before) in list(state.purging.items()):
        claim = state.parts[p].claim
        if claim is None or claim.primary != state.me or state.parts[p].phase != SERVING:
            del state.purging[p]
        elif claim.floor >= epoch:
            del state.purging[p]
            state.counts.purges += 1
            state.out.append((effects.PURGE, p, before))
    if not state.settings.purge_ms or state.now - state.purge_at < state.settings.purge_ms:
        return
    state.purge_at = state.now
    begun = []
    for part in state.parts[state.purge_next :]:
        state.purge_next = part.number + 1
        if _may(state, part):
            begun.append(part)
            if len(begun) == PURGED_AT_ONCE:
                break
    if state.purge_next < len(state.parts):
        state.purge_at -= state.settings.purge_ms  # the rest with the next tick
    else:
        state.purge_next = 0
    wanted = []
    for part in begun:
        assert part.claim is not None
        state.purging[part.number] = (part.claim.epoch + 1, _held(state, part))
        wanted.append((part.number, part.claim.heir))
    claims.make(state, wanted, raise_floor=True)


def _may(state: ReplicaState, part: Partition) -> bool:
    p = part.number
    if part.phase != SERVING or not part.heir_live or part.move_to is not None or p in state.storing:
        return False
    for peer in state.peers.values():
        if p in peer.wanted:
            return False
        if (
            peer.liveness != ALIVE
            and state.now - max(peer.dead_since, state.started_at) < state.settings.absence_ms
        ):
            return False
        if peer.liveness == SILENT or (peer.liveness == ALIVE and not state.reachable(peer)):
            return False
    return all(streams.counted(state.peers[who], p) for who in claims.holders(state, part))


def _held(state: ReplicaState, part: Partition) -> int:
    """Up to which sequence of ours every holder has everything: a delete that one of them has not heard of is not to be
    forgotten, however old a clock makes it."""
    acked = [state.peers[who].stream.acked for who in claims.holders(state, part)]
    return min([state.sequence, *acked])
