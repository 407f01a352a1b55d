"""A holder's side of a stream, and the one queue through which everything of a peer is made durable.

Frames are taken in by their numbers only. One apply of a peer is under way at a time; the frames that come
meanwhile are the next one, so that a slow disk makes commits larger and not the queue of commits longer. A
frame of a partition whose claim is known to be beaten, or is about to be by one of this node's, is refused, with the
claim that is known.
"""

from collections.abc import Sequence
from typing import Any

from replication.claim import Claim
from replication.core import claims, copies, digests, effects, messages, pulling, rows
from replication.core.state import VOID, Peer, ReplicaState

FRAMES_MAX = 512
"""Frames in one apply."""
PARTS_BYTES_MAX = 8 << 20
"""Their records."""


def tell(state: ReplicaState, peer: Peer) -> None:
    """Say what is known of the peer's changes, so that it begins its stream there. Not more often than it can
    answer."""
    source = peer.source
    if state.now - source.told_at < state.settings.retry_ms:
        return
    source.told_at = state.now
    source.stale = False
    source.session = 0
    _forget_frames(peer)
    stream = peer.known.stream
    others = [
        [part.number, *peer.known.place(part.number)[::2]]
        for part in state.parts
        if part.number not in stream.members and part.claim is not None and part.claim.primary == peer.id
    ]
    # Of those that fill, frames have brought more than their cursors say.
    others += [[p, stream.incarnation, stream.upto] for p in source.opened if p not in stream.members]
    message = (
        messages.KNOW, state.incarnation, stream.incarnation, stream.upto, sorted(stream.members), others,
    )  # fmt: skip
    state.out.append((effects.SEND, peer.id, message))


def _forget_frames(peer: Peer) -> None:
    source = peer.source
    source.start = None
    kept = [item for item in source.queue if item[0] == messages.CHUNK]
    source.queue.clear()
    source.queue.extend(kept)
    source.queued_bytes = 0


def started(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """The peer begins a stream. That waits its turn, too, and what comes of the stream meanwhile waits behind it: if
    the peer were told at once that it is too early, the two would do nothing else until the disk is done."""
    source = peer.source
    incarnation, session = message[1:3]
    was, last = _session(peer)
    if incarnation == was and session <= last:
        return
    _forget_frames(peer)
    source.start = message
    source.expected = 1
    source.queue.append(tuple(message))
    pump(state, peer)


def _session(peer: Peer) -> tuple[int, int]:
    """(incarnation, session) of what is taken in, or will be next."""
    source = peer.source
    if source.start is not None:
        return (source.start[1], source.start[2])
    return (source.incarnation, source.session)


def _begin(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    _, incarnation, session, base, kept, pieces = message
    source, known = peer.source, peer.known
    going_on = frozenset(kept)
    if going_on and (base != known.stream.upto or not going_on <= known.stream.members):
        source.told_at = -(10**12)
        tell(state, peer)  # something was still being taken in when it was told
        return
    source.start = None
    if incarnation != source.incarnation:
        copies.doubt(state, peer, going_on)
    source.incarnation, source.session = incarnation, session
    # What is to be emptied since it was told doesn't go on.
    source.refusals = {p for p in going_on if state.parts[p].copy == VOID}
    going_on -= source.refusals
    source.opened = dict.fromkeys(going_on, base)
    for part in state.parts:
        if part.number not in going_on:
            copies.left(state, peer, part)
    peer.incarnation = incarnation
    for p in pieces:
        part = state.parts[p]
        if part.claim is not None and part.claim.primary == peer.id and part.sound:
            claims.incomplete(state, part)
    known.begin(incarnation, base, going_on)
    source.mark = max((state.parts[p].foreign(peer.id) for p in going_on), default=0)
    source.told = {}


def frame(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A frame, or a check between frames."""
    incarnation, session, number = message[1:4]
    source = peer.source
    check = message[0] == messages.CHECK
    was, last = _session(peer)
    if (incarnation, session) != (was, last):
        if incarnation != was or session > last:
            tell(state, peer)
        return
    if check:
        if number == source.expected - 1:
            source.queue.append(tuple(message))
    elif number == source.expected:
        size = sum(len(part[2]) for part in message[9])
        if source.queued_bytes > 2 * state.settings.window_bytes:
            tell(state, peer)
            return
        source.expected += 1
        source.queued_bytes += size
        source.queue.append(tuple(message))
    elif number > source.expected:
        tell(state, peer)
        return
    pump(state, peer)


def pump(state: ReplicaState, peer: Peer) -> None:
    """Make the next of what waits durable, if nothing of the peer is under way."""
    queue = peer.source.queue
    while queue and not peer.busy:
        kind = queue[0][0]
        if kind == messages.START:
            _begin(state, peer, queue.popleft())
        elif kind == messages.CHUNK:
            pulling.apply(state, peer, queue.popleft())
        elif kind == messages.CHECK:
            digests.compare(state, peer, queue.popleft())
        else:
            _apply(state, peer)


def _apply(state: ReplicaState, peer: Peer) -> None:
    source = peer.source
    taken = [source.queue.popleft()]
    size = sum(len(part[2]) for part in taken[0][9])
    if not _shapes(taken[0]):
        while (
            source.queue
            and source.queue[0][0] == messages.FRAME
            and not _shapes(source.queue[0])
            and len(taken) < FRAMES_MAX
            and size < PARTS_BYTES_MAX
        ):
            taken.append(source.queue.popleft())
            size += sum(len(part[2]) for part in taken[-1][9])
    source.queued_bytes -= size
    _shape(state, peer, taken[0])
    refused: dict[int, Any] = {}
    parts = []
    for one in taken:
        claims.learn(state, one[7])
        for p, epoch in one[8]:
            if not _may(state, peer, p, epoch):
                source.refusals.add(p)
                if source.opened.pop(p, None) is not None:
                    peer.known.part((p,))
                    state.unsaved.add(p)
        parts += [part for part in one[9] if part[0] not in source.refusals]
    refused = {p: claim.row() for p in source.refusals if (claim := state.parts[p].claim) is not None}
    claims.save(state)
    peer.busy = True
    session = (source.incarnation, source.session)
    number, to = taken[-1][3:5]
    own = [rows.of_stream(peer.id, source.incarnation, to)]
    if reshaped := peer.known.reshaped:
        peer.known.reshaped = False
        own += rows.of_known(peer.id, peer.known)[1:]

    def applied(error: Exception | None, after: int) -> None:
        peer.busy = False
        if error is not None:
            peer.known.reshaped |= reshaped
            state.out.append((effects.REPORT, "apply_failed", {"peer": peer.id, "error": error}))
            source.session = 0
            _forget_frames(peer)
            source.told_at = state.now
            return
        stream = peer.known.stream
        assert stream.incarnation == session[0], "no stream begins while one is being taken in"
        stream.upto = max(stream.upto, to)
        state.counts.frames_applied += len(taken)
        state.counts.rows_applied += sum(part[3] for part in parts)
        if session == (source.incarnation, source.session):
            _ack(state, peer, number, to, after, refused)
            told = {p: Claim.from_row(row) for one in taken for p, row in one[7]}
            source.told |= told
            for p in told.keys() & source.opened.keys() & stream.members:
                copies.complete(state, state.parts[p], peer)
            copies.fill(state, peer)
        pump(state, peer)

    state.out.append((effects.APPLY, peer.id, parts, own, True, applied))


def _may(state: ReplicaState, peer: Peer, p: int, epoch: int) -> bool:
    part = state.parts[p]
    if p not in peer.source.opened or part.claim is None:
        return False
    if p in state.storing:
        return False  # our own next claim is ahead of this in the store: an ack would settle beneath it
    # A lower one of the same node is of the same stream, and so in order; a higher one would have come with its
    # claim.
    return part.claim.primary == peer.id and epoch <= part.claim.epoch


def _shapes(one: Sequence[Any]) -> bool:
    """Whether a frame opens or closes partitions."""
    return bool(one[5] or one[6])


def _shape(state: ReplicaState, peer: Peer, one: Sequence[Any]) -> None:
    source = peer.source
    for p in one[6]:
        source.opened.pop(p, None)
        source.told.pop(p, None)
        source.refusals.discard(p)
        copies.left(state, peer, state.parts[p])
    peer.known.part(one[6])
    if one[5]:
        claims.learn(state, one[7])
    for p, at in one[5]:
        part = state.parts[p]
        source.refusals.discard(p)
        if part.claim is None or part.claim.primary != peer.id or part.copy == VOID:
            source.refusals.add(p)
            continue
        source.opened[p] = at
        source.mark = max(source.mark, part.foreign(peer.id))
        peer.known.part((p,))
        copies.opened(state, peer, part, at)


def _ack(state: ReplicaState, peer: Peer, number: int, to: int, after: int, refused: dict[int, Any]) -> None:
    source = peer.source
    message = (
        messages.ACK, source.incarnation, source.session, number, to, state.incarnation, source.mark, after,
        [[p, claim] for p, claim in refused.items()],
    )  # fmt: skip
    state.out.append((effects.SEND, peer.id, message))
