"""Writes that are durable here and wait for the heir.

A write is settled when the heir has acknowledged a frame that carries it. What was written before the partition was
opened on the heir's stream (`early`) is settled when an urgent frame with it is acknowledged, or the heir's copy is
complete. If the claim goes elsewhere, nobody knows: the writer is told that it is lost, and may find it done.
"""

from replication.core import effects
from replication.core.errors import ClaimLost, WritersWait
from replication.core.state import MOVING, SERVING, Done, Partition, Peer, ReplicaState, Stream, Waiting


def writable(state: ReplicaState, p: int) -> Exception | None:
    """Why a write to a partition can't be taken now, or None."""
    part = state.parts[p]
    if part.phase != SERVING or part.ceased:
        return ClaimLost(_whose(state, part))
    heir = part.claim.heir if part.claim is not None else None
    if heir is not None and heir in state.peers:
        stream = state.peers[heir].stream
        if stream.lagging and is_full(state, stream):
            return WritersWait("the heir doesn't keep up")
    if state.waiting >= state.settings.waiting_max:
        return WritersWait(f"{state.waiting} writes wait for their heirs")
    return None


def is_full(state: ReplicaState, stream: Stream) -> bool:
    """Whether a peer has as much before it as a window holds: sent and not acknowledged, or not even sent."""
    settings = state.settings
    return (
        stream.inflight_rows + stream.behind_rows > settings.window_rows
        or stream.inflight_bytes + stream.behind_bytes > settings.window_bytes
    )


def _whose(state: ReplicaState, part: Partition) -> str:
    if part.claim is None:
        return f"partition {part.number} has no primary yet"
    if part.claim.primary == state.me:
        return f"partition {part.number} is not served here yet"
    return f"partition {part.number} is node {part.claim.primary.hex()}'s"


def writing(state: ReplicaState, p: int) -> None:
    """A local write was handed to the store; `written` or `unwritten` follows."""
    state.parts[p].writing += 1


def unwritten(state: ReplicaState, p: int) -> None:
    """The store didn't take it."""
    state.parts[p].writing -= 1


def written(state: ReplicaState, p: int, sequence: int, done: Done) -> None:
    """A local write is durable here, at ``sequence``; or a transaction has ended that may have written nothing, and
    there was a write at that sequence before it."""
    part = state.parts[p]
    part.writing -= 1
    heir = _heir(state, part, done)
    if heir is None:
        return
    waiting = Waiting(min(state.before, sequence - 1), sequence, done)
    peer = state.peers.get(heir)
    if peer is None or p not in peer.stream.opened:
        part.early.append(waiting)
    elif sequence <= peer.stream.opened_at.get(p, 0):
        # It was committed before the stream was opened, and its writer hears of it only now.
        part.early.append(waiting)
        peer.stream.urgent_wanted.add(p)
    elif _has_all(peer.stream, p, sequence):
        # A transaction that wrote nothing, and came behind a write that has been acknowledged: no frame is under way.
        if not part.early:
            state.waiting += 1
            _settle(state, waiting, 2)
            return
        part.early.append(waiting)
        peer.stream.urgent_wanted.add(p)
    else:
        part.waiting.append(waiting)
    state.waiting += 1
    state.waiting_on.add(p)


def _has_all(stream: Stream, p: int, to: int) -> bool:
    """Whether the peer has acknowledged everything of an open partition up to a sequence of ours."""
    return to <= stream.acked and stream.opened[p] <= stream.acked_number


class Both:
    """Waits for two ends, and tells of the worse one."""

    __slots__ = ("_done", "_first")

    def __init__(self, done: Done) -> None:
        self._done = done
        self._first: tuple[int, Exception | None] | None = None

    def __call__(self, copies: int, error: Exception | None) -> None:
        if self._first is None:
            self._first = (copies, error)
        else:
            self._done(min(copies, self._first[0]), self._first[1] or error)


def looked(state: ReplicaState, p: int, done: Done) -> None:
    """A transaction has ended that wrote nothing: no frame will tell of it. It is settled with what waits before it."""
    part = state.parts[p]
    part.writing -= 1
    heir = _heir(state, part, done)
    if heir is None:
        return
    before = [queue for queue in (part.early, part.waiting) if queue]
    ended = done if len(before) < 2 else Both(done)
    for queue in before:
        state.waiting += 1
        queue.append(Waiting(queue[-1].before, queue[-1].sequence, ended))
    if not before:
        state.waiting += 1
        _settle(state, Waiting(0, 0, done), 2)


def _heir(state: ReplicaState, part: Partition, done: Done) -> bytes | None:
    """Who is to have a write, too; None if it has ended: there is no heir, or the claim is lost."""
    claim = part.claim
    if claim is None or claim.primary != state.me or part.phase not in (SERVING, MOVING):
        state.counts.lost += 1
        state.out.append((effects.DONE, done, 0, ClaimLost(_whose(state, part))))
        return None
    if claim.heir is None:
        state.counts.single += 1
        state.out.append((effects.DONE, done, 1, None))
    return claim.heir


def reached(state: ReplicaState, peer: Peer, to: int) -> None:
    """The peer has everything of its open partitions up to a sequence of ours."""
    opened = peer.stream.opened
    acked = peer.stream.acked_number
    emptied = []
    for p in state.waiting_on:
        part = state.parts[p]
        claim = part.claim
        if claim is None or claim.heir != peer.id or opened.get(p, acked + 1) > acked:
            continue
        _settle_to(state, part.waiting, to)
        if not part.waiting and not part.early:
            emptied.append(p)
    state.waiting_on.difference_update(emptied)


def early_reached(state: ReplicaState, part: Partition, to: int) -> None:
    """The heir has everything that was written up to a sequence of ours, also before its stream was open."""
    _settle_to(state, part.early, to)
    if not part.waiting and not part.early:
        state.waiting_on.discard(part.number)


def reopen(part: Partition) -> None:
    """The heir's stream of the partition begins anew, or is another's: what waits is early for it."""
    part.early += part.waiting
    part.waiting.clear()


def carry_on(part: Partition) -> None:
    """The heir's stream goes on from where the heir was: what is early comes in its next frame."""
    part.early += part.waiting
    part.waiting, part.early = part.early, part.waiting
    part.early.clear()


def alone(state: ReplicaState, part: Partition) -> None:
    """There is no heir any more: what waits stands on this node only, and that is what is said."""
    for queue in (part.early, part.waiting):
        for waiting in queue:
            state.counts.single += 1
            _settle(state, waiting, 1)
        queue.clear()
    state.waiting_on.discard(part.number)


def lose(state: ReplicaState, part: Partition) -> None:
    """The claim is another's."""
    error = ClaimLost(_whose(state, part))
    for queue in (part.early, part.waiting):
        for waiting in queue:
            state.waiting -= 1
            state.counts.lost += 1
            state.out.append((effects.DONE, waiting.done, 0, error))
        queue.clear()
    state.waiting_on.discard(part.number)


def _settle_to(state: ReplicaState, queue: list[Waiting], to: int) -> None:
    settled = 0
    for waiting in queue:
        if waiting.sequence > to:
            break
        _settle(state, waiting, 2)
        settled += 1
    del queue[:settled]


def _settle(state: ReplicaState, waiting: Waiting, copies: int) -> None:
    state.waiting -= 1
    if copies == 2:
        state.counts.settled += 1
    state.out.append((effects.DONE, waiting.done, copies, None))
