"""One way to catch up: ask a node for what changed in partitions since a cursor, a chunk at a time, and ask on.

The node that is asked keeps nothing between two questions. Whoever asks has two questions under way at most to
one peer, and repeats those that are not answered. It is how a new copy fills, how a primary learns what others
have (after a takeover, a split, an older directory), and how a mismatch is mended.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, copies, effects, inbound, meeting, messages, purging, rows, streams
from replication.core.knowledge import NOTHING, Knowledge
from replication.core.state import DEAD, LIVE, SERVING, VOID, Part, Peer, Pull, ReplicaState

AHEAD_MAX = 8
"""Answers of one peer that wait to be made durable, or are being made so, besides those that are waited for."""
READS_MAX = 4
"""Questions of one peer that are being read; what comes beyond is asked again."""


PATIENCE_MAX = 64
"""Times `retry_ms` that an answer is waited for at most: one that was given up is read, and sent, in vain. As long a
peer isn't asked at most, after chunks of its could not be taken in."""


def want(peer: Peer, p: int, upto: int = -1) -> None:
    """Pull a partition until a sequence of the peer's, or its head (-1), which is further."""
    before = peer.wanted.get(p, upto)
    peer.wanted[p] = -1 if -1 in (upto, before) else max(upto, before)


def ask(state: ReplicaState, peer: Peer) -> None:
    """Send the questions that there is room for."""
    settings = state.settings
    if not peer.wanted or peer.liveness == DEAD or state.now < peer.ask_at:
        return
    open_ = sum(not pull.answered for pull in peer.pulls.values())
    if open_ >= settings.pulls_max or len(peer.pulls) >= settings.pulls_max + AHEAD_MAX:
        return
    asked: set[int] = set()
    for pull in peer.pulls.values():
        asked.update(pull.ends if pull.answered else pull.since)
    due = [p for p in peer.wanted if p not in asked and state.parts[p].copy != VOID]
    while due and open_ < settings.pulls_max:
        some, due = due[: settings.pull_partitions], due[settings.pull_partitions :]
        places = {p: peer.ahead.get(p) or peer.known.place(p) for p in some}
        floors = {p: _floor(state, p) for p in some}
        pull = Pull(state.serial(), {p: place[:2] for p, place in places.items()}, floors, state.now)
        peer.pulls[pull.id] = pull
        open_ += 1
        wants = [[p, *place, floors[p]] for p, place in places.items()]
        state.out.append((effects.SEND, peer.id, (messages.PULL, pull.id, wants)))


def _floor(state: ReplicaState, p: int) -> int:
    claims_ = (state.parts[p].claim, state.storing.get(p))
    return max((claim.floor for claim in claims_ if claim is not None), default=0)


def _may_be_void(state: ReplicaState, p: int, floor: int) -> bool:
    """Whether a copy here may have missed what is forgotten below a floor, and that isn't known yet."""
    part = state.parts[p]
    return floor > _floor(state, p) or (part.copy == LIVE and part.asof < floor)


def answer(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """Read what a peer asks for."""
    _, number, asked = message
    if peer.reads >= READS_MAX:
        return
    if any(_may_be_void(state, p, floor) for p, _, _, _, floor in asked):
        # First we hear of the claim, or its stream has come so far; then we are asked again.
        message = (messages.HAIL, state.incarnation, claims.digest(state), 0)
        state.out.append((effects.SEND, peer.id, message))
        return
    wants = []
    void = []
    for p, incarnation, since, upon, _ in asked:
        part = state.parts[p]
        if part.copy == VOID:
            void.append([p, 0, True, True])
            continue
        position = state.position(incarnation, since) if state.position(incarnation, upon) else 0
        wants.append((p, position))
        if position >= peer.offers.get(p, position + 1):
            del peer.offers[p]  # it has what was offered
    peer.reads += 1

    def read(error: Exception | None, head: int, parts: Sequence[Part], progress: Sequence[Any]) -> None:
        peer.reads -= 1
        if error is not None:
            return  # it will ask again
        told = [[p, through, whole, False] for p, through, whole in progress] + void
        state.counts.chunks_sent += 1
        chunk = (messages.CHUNK, number, state.incarnation, head, parts, told)
        state.out.append((effects.SEND, peer.id, chunk))

    settings = state.settings
    state.out.append((effects.READ, wants, settings.chunk_rows, settings.chunk_bytes, read))


def came(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> bool:
    """Whether an answer is one that is waited for; then it is to be applied in its turn."""
    pull = peer.pulls.get(message[1])
    if pull is None or pull.answered:
        return False
    pull.answered = True
    if 4 * (state.now - pull.asked_at) < peer.patience * state.settings.retry_ms:
        peer.patience = max(1, peer.patience // 2)
    peer.incarnation = message[2]
    ends = set()
    for p, through, whole, void in message[5]:
        upto = peer.wanted.get(p, -1)
        if void or whole or 0 <= upto <= through:
            ends.add(p)
        else:
            peer.ahead[p] = (message[2], through, message[3])
    pull.ends = frozenset(ends)
    peer.source.queue.append(tuple(message))
    return True


def apply(state: ReplicaState, peer: Peer, first: Sequence[Any]) -> None:
    """Make a chunk durable, and those that have come behind it, with the cursors that they move.

    A commit of some chunks writes hardly more pages than one of a single chunk: keys that changed lie all over a table.
    """
    queue = peer.source.queue
    chunks = [first]
    size = sum(len(part[2]) for part in first[4])
    while queue and queue[0][0] == messages.CHUNK and size < state.settings.apply_bytes:
        if peer.pulls[chunks[-1][1]].ends:
            break  # what is asked of a partition beyond its end depends on what this one teaches
        chunks.append(queue.popleft())
        size += sum(len(part[2]) for part in chunks[-1][4])
    after = peer.known.copy()
    taken: list[tuple[Sequence[Any], Pull, set[int]]] = []
    parts: list[Part] = []
    for chunk in chunks:
        _, number, incarnation, head, some, progress = chunk
        pull = peer.pulls[number]
        wanted = {row[0] for row in progress if _continues(state, peer, row[0], pull, after)}
        parts += [part for part in some if part[0] in wanted]
        for p, through, _, void in progress:
            if p in wanted and not void:
                after.learned(p, incarnation, through, head)
        taken.append((chunk, pull, wanted))
    changing = sorted({part[0] for part in parts})
    for p in changing:
        state.parts[p].incoming += 1
        if state.settings.caches:
            _beneath(state, p)
    claims.save(state)
    peer.busy = True
    peer.known.reshaped = False

    def applied(error: Exception | None, sequence: int) -> None:
        peer.busy = False
        for p in changing:
            part = state.parts[p]
            part.incoming -= 1
            if part.ceased:
                part.gather_until = state.now + state.settings.pull_wait_ms
        for _, pull, wanted in taken:
            peer.pulls.pop(pull.id, None)
            for p in pull.since:
                if p in pull.ends or error is not None or p not in wanted:
                    peer.ahead.pop(p, None)
        if error is not None:
            peer.known.reshaped = True
            state.out.append((effects.REPORT, "apply_failed", {"peer": peer.id, "error": error}))
            peer.ask_at = state.now + state.settings.retry_ms * min(2**peer.failures, PATIENCE_MAX)
            peer.failures = min(peer.failures + 1, PATIENCE_MAX)
            for p in changing:
                again(state, p)
        else:
            peer.failures = 0
            state.counts.chunks_applied += len(taken)
            state.counts.rows_applied += sum(part[3] for part in parts)
            for (_, _, incarnation, head, _, progress), _, wanted in taken:
                _learned(state, peer, incarnation, head, [row for row in progress if row[0] in wanted])
        inbound.pump(state, peer)

    # A former life's chunk may hold what the present one lacks: it counts as anybody's.
    ours = all(message[2] == peer.source.incarnation for message, _, _ in taken)
    source = peer.id if ours else None
    state.out.append((effects.APPLY, source, parts, rows.of_known(peer.id, after), False, applied))


def _continues(state: ReplicaState, peer: Peer, p: int, pull: Pull, known_then: Knowledge) -> bool:
    """Whether a chunk begins no further than what is known, and comes from above the floor as it is by now: below it
    tombstones may be forgotten here, and what they bury may be in the chunk."""
    since = pull.since.get(p)
    if p not in peer.wanted or since is None or state.parts[p].copy == VOID:
        return False
    if pull.floors[p] != _floor(state, p):
        return False
    known = known_then.cursor(p)
    return since in (known, NOTHING) or (since[0] == known[0] and since[1] <= known[1])


def _beneath(state: ReplicaState, p: int) -> None:
    """Rows of a partition that is served here are about to change: whoever keeps some in memory forgets them
    first."""
    part = state.parts[p]
    if part.phase == SERVING and not part.ceased:
        part.ceased = True
        state.out.append((effects.CEASE, p))


def _learned(state: ReplicaState, peer: Peer, incarnation: int, head: int, progress: Sequence[Any]) -> None:
    for p, through, whole, void in progress:
        part = state.parts[p]
        if part.copy == VOID:
            continue
        if not void:
            peer.known.learned(p, incarnation, through, head)
            peer.source.heads[p] = 0 if whole else head
            upto = peer.wanted.get(p, -1)
            if not whole and (upto < 0 or through < upto):
                continue  # to be asked on
        peer.wanted.pop(p, None)
        part.gathering.discard(peer.id)
        claim = part.claim
        if claim is not None and claim.primary == state.me:
            if not void and streams.counted(peer, p):
                peer.known.caught_up(p, incarnation, through)
            claims.gathered(state, part)
            again(state, p)
    copies.fill(state, peer)


def again(state: ReplicaState, p: int) -> None:
    """Serve on, once nothing is being taken in beneath, and nothing is about to be. A peer that isn't asked for a
    while, since chunks of its could not be taken in, isn't waited for, nor is one that takes its time
    (`pull_wait_ms`): when there is something of theirs, the partition ceases anew."""
    part = state.parts[p]
    if part.phase != SERVING or not part.ceased or part.incoming:
        return
    asked = any(p in peer.wanted and state.now >= peer.ask_at for peer in state.peers.values())
    if not asked or state.now >= part.gather_until:
        claims.serve(state, part)


def tick(state: ReplicaState, peer: Peer) -> None:
    """Ask again for what was not answered."""
    waited = state.settings.retry_ms * peer.patience
    given_up = [one for one in peer.pulls.values() if not one.answered and state.now - one.asked_at >= waited]
    if given_up:
        peer.patience = min(PATIENCE_MAX, 2 * peer.patience)
    for pull in given_up:
        del peer.pulls[pull.id]
        for p in pull.since:
            peer.ahead.pop(p, None)
    if not state.reachable(peer) and not peer.busy:
        # What it may have, it will offer when it is back. What came of it is taken in first: nobody serves beneath it.
        for p in [p for p in peer.wanted if _own(state, p)]:
            del peer.wanted[p]
            state.parts[p].gathering.discard(peer.id)
            again(state, p)


def _own(state: ReplicaState, p: int) -> bool:
    claim = state.parts[p].claim
    return claim is not None and claim.primary == state.me


def offer(state: ReplicaState, peer: Peer) -> None:
    """Tell a primary, now and then, that there may be something to learn here."""
    if peer.offers and state.now - peer.offered_at >= state.settings.retry_ms:
        peer.offered_at = state.now
        told = [[p, upto] for p, upto in sorted(peer.offers.items())]
        state.out.append((effects.SEND, peer.id, (messages.OFFER, state.incarnation, told, 0, 0)))


def offer_all(state: ReplicaState, peer: Peer, incarnation: int, number: int) -> None:
    """A primary whose claims are known here wants to know all that it may learn here, if anything."""
    told = [[p, upto] for p, upto in sorted(peer.offers.items())]
    state.out.append((effects.SEND, peer.id, (messages.OFFER, state.incarnation, told, incarnation, number)))


def offered(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A peer may have what we lack. If we know better, the question itself tells it so."""
    _, incarnation, offers, ours, number = message
    peer.incarnation = incarnation
    if number:
        purging.told(state, peer, ours, number)
        meeting.told(state, peer, ours, number)
    for p, upto in offers:
        claim = state.parts[p].claim
        if claim is not None and claim.primary == state.me:
            want(peer, p, upto)
        elif claim is not None:
            state.out.append((effects.SEND, peer.id, (messages.CLAIMS, claims.rows_of(state, (p,)))))
