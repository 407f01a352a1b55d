"""Who claims what, and when: at a start, when a primary or an heir is dead, and when somebody comes back.

Nothing here asks for agreement: whoever may claim does, and the higher claim wins. What makes that safe is that every
write of the loser is still in its store, and is offered to the winner.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from replication.core import (
    claims,
    effects,
    inbound,
    members,
    messages,
    moving,
    pulling,
    settling,
    spreading,
    streams,
)
from replication.core.knowledge import NOTHING
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
YIELDS_MAX = 8
"""An heir that was asked so often and doesn't take over isn't complete either: then what is left is gathered. As often,
each `retry_ms`, a copy that lacks only what was kept in memory waits for somebody who has more."""

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
    state.moves = sum(part.move_to is not None for part in state.parts)
    for part in _restless(state):
        if len(wanted) >= TAKEN_MAX:
            break
        if part.number not in state.storing:
            found = _look(state, part)
            if found is not None:
                wanted.append((part.number, found[0]))
        gathered = not part.gathering or state.now >= part.gather_until
        # What is on its way to the disk when the time is over would change rows beneath whoever is told to serve.
        if part.phase == GATHERING and gathered and not (state.settings.caches and part.incoming):
            claims.serve(state, part)
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
        if part.thin and not _waited(state, part):
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
        if part.copy == LIVE or heir is None or heir not in state.peers or part.yields > YIELDS_MAX:
            if part.thin:
                _thinned(state, part)
            return (choose(state, part),)
        _yield(state, part, state.peers[heir])
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
    successor = claims.replacement(state, part)
    if successor is not None and part.number in state.peers[successor].live and part.move_to is None:
        state.rehoming.discard(part.number)
        return (successor,)
    if part.move_to is None and all(node == state.me for node in ranked):
        return (None,)  # the heir is to go, and nobody else is there: it would wait for one for ever
    return None


def _away(state: ReplicaState, part: Partition, ranked: Sequence[bytes]) -> None:
    """This node is to have no copy any more, and serves the partition: it moves it to one that is."""
    if state.now - part.yield_at < AWAY_MS or state.moves >= state.moves_max:
        return
    part.yield_at = state.now
    claim = part.claim
    assert claim is not None
    if claim.heir in ranked and not part.heir_live:
        return  # it is filling
    wanted = [claim.heir] if claim.heir in ranked else list(ranked) if state.settings.copies < 2 else []
    for node in wanted:
        if node is not None and node in state.peers and state.reachable(state.peers[node]):
            moving.request(state, part.number, node, partial(_moved_away, state))
            return


def _moved_away(state: ReplicaState, _: int, error: Exception | None) -> None:
    """A move that isn't made is asked for again. If it was not taken over in time, fewer are made at once: somebody is
    busy."""
    most = state.settings.moves_max
    state.moves_max = min(most, state.moves_max + 1) if error is None else max(1, state.moves_max // 2)


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


# ---- an older directory ------------------------------------------------------------------------


def _yield(state: ReplicaState, part: Partition, heir: Peer) -> None:
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


def _waited(state: ReplicaState, part: Partition) -> bool:
    """Whether somebody with more than this node, which is next and lacks what was kept in memory, had time enough to
    come back."""
    if state.now - part.yield_at >= state.settings.retry_ms:
        part.yield_at = state.now
        part.yields += 1
    if part.yields <= YIELDS_MAX:
        return False
    _thinned(state, part)
    return True


def _thinned(state: ReplicaState, part: Partition) -> None:
    """A copy is about to be served that lacks what was kept in memory, but for what others still have."""
    part.yields = 0
    state.counts.thinned += 1
    state.out.append((effects.REPORT, "memory_lost", {"partition": part.number}))


def yielded(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
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


# ---- who is there ------------------------------------------------------------------------------


def liveness(state: ReplicaState, peer: Peer, what: int) -> None:
    """The detector says something of a peer."""
    if what == DEAD and peer.liveness != DEAD:
        peer.dead_since = state.now
    if what == ALIVE and peer.liveness != ALIVE:
        peer.hailed_at = -(10**12)
    if what != ALIVE:
        peer.offered_all = (0, 0)
    if what == DEAD:
        state.heard.discard(peer.id)
        peer.claims_told = False
    came = what == ALIVE and peer.liveness != ALIVE
    peer.liveness = what
    if came:
        hail(state, peer)


def hail(state: ReplicaState, peer: Peer) -> None:
    """Ask a peer what it knows of us, as long as its stream isn't there, and whether it knows the same claims."""
    if peer.liveness == DEAD or state.now - peer.hailed_at < _hail_every(state, peer):
        return
    peer.hailed_at = state.now
    state.out.append((effects.SEND, peer.id, (messages.HAIL, state.incarnation, claims.digest(state), 0)))


def _hail_every(state: ReplicaState, peer: Peer) -> int:
    return state.settings.hail_ms if peer.stream.session else state.settings.retry_ms


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
        tick(state)


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


def told_live(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
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
    heard = [[p, epoch, through] for p, epoch, _, _, through in told]
    state.out.append((effects.SEND, peer.id, (messages.LIVED, heard, session)))


def tell_live(state: ReplicaState, peer: Peer) -> None:
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


def lived(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """The primary has heard of complete copies. One that was filled up since then is told of again: writes may wait for
    that. So are all, if its stream has begun anew since then: it has forgotten them (an older release doesn't say)."""
    if len(message) > 2 and message[2] != peer.source.session:
        return
    for p, epoch, through in message[1]:
        if peer.live_untold.get(p) == epoch and through >= peer.source.opened.get(p, 0):
            del peer.live_untold[p]
