"""Who claims what, and when: at a start, when a primary or an heir is dead, and when this node is to have no copy.

Nothing here asks for agreement: whoever may claim does, and the higher claim wins. What makes that safe is that every
write of the loser is still in its store, and is offered to the winner.
"""

from collections.abc import Iterator, Sequence

from replication.core import claims, effects, holders, members, moving, pulling, yielding
from replication.core.state import (
    ALIVE,
    ASIDE,
    DEAD,
    GATHERING,
    LIVE,
    SERVING,
    UNKNOWN,
    Partition,
    Peer,
    ReplicaState,
)

TAKEN_MAX = 4_096
"""Partitions claimed in one commit."""
AWAY_MS = 1_000
"""Between two tries of a node that is to have no copy to move what it serves."""
PAUSE_MS = 1_000
"""Longer between two looks, and this node itself stood still."""


def tick(state: ReplicaState) -> None:
    """Look at everything once."""
    if state.now - state.looked_at >= PAUSE_MS:
        _paused(state)
    state.looked_at = state.now
    if state.starting:
        waited = state.now - state.started_at >= state.settings.start_wait_ms
        if not waited and not state.heard >= state.peers.keys():
            return
        state.starting = False
    wanted: list[tuple[int, bytes | None]] = []
    for part in _restless(state):
        if len(wanted) >= TAKEN_MAX:
            break
        if part.number not in state.storing:
            found = _look(state, part)
            if found is not None:
                wanted.append((part.number, found[0]))
        if part.phase == GATHERING:
            claims.gathered(state, part)
        elif part.ceased:
            pulling.again(state, part.number)
    if wanted:
        claims.make(state, wanted)


def _restless(state: ReplicaState) -> Iterator[Partition]:
    """Partitions at which a look may find something. Of nearly all nothing is to be said, ten times a second: they are
    served by another node that isn't dead, or here, with an heir that takes in what it is sent, both as rank wants."""
    me, ranked, rehoming = state.me, state.ranked, state.rehoming
    there = {peer.id for peer in state.peers.values() if peer.liveness != DEAD} - state.departed
    heirs = {peer.id for peer in state.peers.values() if not _lost(state, peer)}
    if state.settings.copies < 2:
        heirs.clear()
    for part in state.parts:
        claim = part.claim
        if claim is None or part.ceased:
            yield part
        elif claim.primary != me:
            if part.phase != ASIDE or part.thin or claim.primary not in there:
                yield part
        elif part.phase != SERVING or claim.heir not in heirs or part.number in rehoming:
            yield part
        else:
            wanted = ranked(part.number)
            if me not in wanted or claim.heir not in wanted:
                yield part


def _paused(state: ReplicaState) -> None:
    """This node stood still: that is no reason to think that others did. One that was paused for long and blamed its
    heir would make a claim as high as that of the heir, which has taken over meanwhile."""
    for peer in state.peers.values():
        peer.stream.progress_at = state.now


def _look(state: ReplicaState, part: Partition) -> tuple[bytes | None] | None:
    """(heir,) if this node is to claim the partition now."""
    claim = part.claim
    if claim is None:
        return (choose(state, part),) if _first(state, part) else None
    if claim.primary == state.me:
        return _own(state, part)
    if part.thin and not _gone(state, part, claim.primary):
        part.yields = 0
    whole = part.sound and part.asof >= claim.floor  # else it lacks what is forgotten by now
    if part.phase == ASIDE and not whole and members.is_forsaken(state, part):
        state.out.append((effects.REPORT, "forsaken", {"partition": part.number, "from": claim.primary}))
        return (choose(state, part),)
    if _gone(state, part, claim.primary) and whole and part.phase == ASIDE and _next(state, part):
        if part.thin and not yielding.waited(state, part):
            return None
        state.counts.takeovers += 1
        state.out.append((effects.REPORT, "takeover", {"partition": part.number, "from": claim.primary}))
        return (choose(state, part),)
    return None


def _own(state: ReplicaState, part: Partition) -> tuple[bytes | None] | None:
    claim = part.claim
    assert claim is not None
    heir = claim.heir
    if part.phase == ASIDE:
        if part.copy == LIVE or heir is None or heir not in state.peers or part.yields > yielding.YIELDS_MAX:
            if part.thin:
                yielding.thinned(state, part)
            return (choose(state, part),)
        yielding.ask(state, part, state.peers[heir])
        return None
    if part.phase != SERVING:
        return None
    ranked = state.ranked(part.number)
    if state.me not in ranked and part.move_to is None:
        _away(state, part, ranked)
    if state.settings.copies < 2:
        return (None,) if heir is not None and part.move_to is None else None
    if heir is None:
        found = choose(state, part)
        return None if found is None else (found,)
    peer = state.peers.get(heir)
    if peer is None or _lost(state, peer):
        state.counts.heirs_lost += 1
        return (choose(state, part, but=heir),)
    successor = holders.replacement(state, part)
    if successor is not None and part.number in state.peers[successor].live and part.move_to is None:
        state.rehoming.discard(part.number)
        return (successor,)
    if part.move_to is None and all(node == state.me for node in ranked):
        return (None,)  # the heir is to go, and nobody else is there: it would wait for one for ever
    return None


def _away(state: ReplicaState, part: Partition, ranked: Sequence[bytes]) -> None:
    """This node is to have no copy any more, and serves the partition: it moves it to one that is."""
    if state.now - part.yield_at < AWAY_MS or len(state.moving) >= state.settings.moves_max:
        return
    part.yield_at = state.now
    claim = part.claim
    assert claim is not None
    if claim.heir in ranked and not part.heir_live:
        return  # it is filling
    wanted = [claim.heir] if claim.heir in ranked else list(ranked) if state.settings.copies < 2 else []
    for node in wanted:
        if node is not None and node in state.peers and state.reachable(state.peers[node]):
            moving.request(state, part.number, node, _moved_away)
            return


def _moved_away(copies: int, error: Exception | None) -> None:
    """A move that isn't made is asked for again."""


def _lost(state: ReplicaState, peer: Peer) -> bool:
    """Whether an heir is to be replaced: dead, or it takes in nothing."""
    return peer.liveness == DEAD or _stuck(state, peer)


def _stuck(state: ReplicaState, peer: Peer) -> bool:
    stream = peer.stream
    waited = state.now - stream.progress_at >= state.settings.stuck_ms
    return bool(stream.session and stream.inflight and waited)


def _gone(state: ReplicaState, part: Partition, node: bytes) -> bool:
    peer = state.peers.get(node)
    return members.is_gone(state, part, node) if peer is None else peer.liveness == DEAD


def _first(state: ReplicaState, part: Partition) -> bool:
    """Whether this node is the first of those that are there, for a partition that nobody has claimed."""
    for node in state.ranked(part.number):
        if node == state.me:
            return True
        if node in state.far:
            return False  # it is another cluster's to claim
        peer = state.peers.get(node)
        if peer is not None and peer.liveness not in (DEAD, UNKNOWN):
            return False
    return False


def _next(state: ReplicaState, part: Partition) -> bool:
    """Whether it is this node's turn to take over from a dead primary: the heir's first, then the spares' in order."""
    claim = part.claim
    assert claim is not None
    if claim.heir == state.me:
        return True
    if claim.heir is not None and not _gone(state, part, claim.heir):
        return False
    before = 1
    for node in state.ranked(part.number):
        if node == state.me:
            break
        peer = state.peers.get(node)
        before += peer is not None and peer.liveness == ALIVE
    since = max(
        (state.peers[node].dead_since for node in (claim.primary, claim.heir) if node in state.peers),
        default=0,
    )
    return state.now - since >= before * state.settings.spare_wait_ms


def choose(state: ReplicaState, part: Partition, but: bytes | None = None) -> bytes | None:
    """The heir of the next claim: the one that is, a spare that is complete, or the next in rank."""
    if state.settings.copies < 2:
        return None
    claim = part.claim
    candidates = [] if claim is None else [claim.heir, claim.primary]
    candidates += [peer.id for peer in state.peers.values() if part.number in peer.live]
    candidates += state.ranked(part.number)
    for node in candidates:
        if node is None or node in (but, state.me):
            continue
        peer = state.peers.get(node)
        if peer is None or not state.reachable(peer) or _stuck(state, peer):
            continue
        if node in state.ranked(part.number):
            return node
    return None
