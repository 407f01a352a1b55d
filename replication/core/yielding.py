"""What a primary or an heir does that lacks something: it asks whoever has more to serve, and waits, but not for ever.

When that may be asked of anybody is decided elsewhere; nothing here claims but the heir that is asked.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, effects, messages
from replication.core.state import ASIDE, LIVE, Partition, Peer, ReplicaState

YIELDS_MAX = 8
"""An heir that was asked so often and doesn't take over isn't complete either: then what is left is gathered. As often,
each `retry_ms`, a copy that lacks only what was kept in memory waits for somebody who has more."""


def ask(state: ReplicaState, part: Partition, heir: Peer) -> None:
    """This node's directory is older than its claim, or lacks what was kept in memory. The heir has everything that was
    settled: it is asked to serve. In the second case it isn't waited for for ever: what is on disc is here."""
    if state.now - part.yield_at < state.settings.retry_ms:
        return
    there = state.reachable(heir)
    if not there and not part.thin:
        return
    part.yield_at = state.now
    part.yields += 1
    assert part.claim is not None
    if not there:
        return
    told = [[part.number, part.claim.row()]]
    state.out.append((effects.SEND, heir.id, (messages.YIELD, told)))


def waited(state: ReplicaState, part: Partition) -> bool:
    """Whether somebody with more than this node, which is next and lacks what was kept in memory, had time enough to
    come back."""
    if state.now - part.yield_at >= state.settings.retry_ms:
        part.yield_at = state.now
        part.yields += 1
    if part.yields <= YIELDS_MAX:
        return False
    thinned(state, part)
    return True


def thinned(state: ReplicaState, part: Partition) -> None:
    """A copy is about to be served that lacks what was kept in memory, but for what others still have."""
    part.yields = 0
    state.counts.thinned += 1
    state.out.append((effects.REPORT, "memory_lost", {"partition": part.number}))


def asked(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A primary can't serve what it has claimed."""
    claims.learn(state, message[1])
    wanted = []
    for p, _ in message[1]:
        part = state.parts[p]
        claim = part.claim
        if claim is None or claim.primary != peer.id or claim.heir != state.me:
            continue
        if part.copy == LIVE and part.phase == ASIDE:
            state.counts.yields += 1
            wanted.append((p, peer.id if state.reachable(peer) else None))
    claims.make(state, wanted)
