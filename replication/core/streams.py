"""A primary's side of a stream: what this node commits in its partitions goes to those who hold copies of them.

One commit is one frame; frames are numbered, and the peer takes in none out of its turn. Nothing sent is kept: when
frames were left out (the window was full, the peer was away), the store is asked for the difference since what was
sent last, which goes as one frame, so that the copy is never torn. A difference that is too large for that is the
peer's to pull, a chunk at a time, and its copy isn't complete meanwhile.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from replication.claim import Claim
from replication.core import claims, effects, holders, lagging, messages, settling
from replication.core.state import ASIDE, DEAD, NONE, Kept, Part, Partition, Peer, ReplicaState, Stream


def wanted(state: ReplicaState, peer: Peer) -> set[int]:
    """The partitions that the peer is to hold, of those that this node is primary of."""
    return {part.number for part in state.parts if peer.id in holders.of(state, part)}


def begin(
    state: ReplicaState, peer: Peer, base: int, kept: frozenset[int], pieces: frozenset[int] = frozenset()
) -> None:
    """A new session: partitions in ``kept`` go on from ``base``, the others are opened where we are now; of those in
    ``pieces`` the peer lacks more than one frame can hold."""
    stream = peer.stream = Stream()
    for p in peer.live:
        part = state.parts[p]
        if part.claim is not None and part.claim.heir == peer.id:
            part.heir_live = False
            claims.measure(state, part)
    peer.live.clear()
    peer.known.part(peer.known.echo.members)  # until its marks count them again
    stream.session = state.serial()
    stream.started_at = stream.progress_at = stream.said_at = state.now
    stream.sent = stream.acked = base if kept else state.sequence
    stream.opened = dict.fromkeys(kept, 0)
    stream.opening = wanted(state, peer) - kept
    stream.claims_due = set(kept)
    stream.lagging = bool(kept)
    state.counts.restarts += 1
    for p in state.waiting_on:
        part = state.parts[p]
        if part.claim is not None and part.claim.heir == peer.id:
            if p in kept:
                settling.carry_on(part)
            else:
                settling.reopen(part)
    message = (
        messages.START, state.incarnation, stream.session, stream.sent, sorted(kept), sorted(pieces),
    )  # fmt: skip
    state.out.append((effects.SEND, peer.id, message))


def know(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """The peer tells what it has of our changes, and waits for a stream."""
    _, incarnation, ours, upto, shared, others = message
    peer.incarnation = incarnation
    base = state.position(ours, upto)
    behind = {p for p in shared if upto and not base and p < len(state.parts)}
    behind |= {p for p, life, at in others if at and p < len(state.parts) and not state.position(life, at)}
    if behind:
        _fell_behind(state, peer, behind)
    kept = frozenset(shared) & wanted(state, peer) if base else frozenset()
    begin(state, peer, base, kept)
    if kept:
        _difference(state, peer)


def _fell_behind(state: ReplicaState, peer: Peer, partitions: set[int]) -> None:
    """The peer has seen more of us than there is: our directory is older than it was. What is missing, the peer has."""
    state.out.append((effects.REPORT, "rolled_back", {"peer": peer.id, "partitions": len(partitions)}))
    for p in partitions:
        peer.wanted[p] = -1
        part = state.parts[p]
        if part.claim is not None and part.claim.primary == state.me and part.phase == ASIDE:
            part.copy, part.thin = NONE, False  # not to be served before what is missing is here
            state.unsaved.add(p)


# ---- frames ------------------------------------------------------------------------------------


def tapped(state: ReplicaState, first: int, last: int, parts: Sequence[Part]) -> None:
    """A commit of this node's store: to whom it concerns."""
    for peer in state.peers.values():
        stream = peer.stream
        if not stream.session:
            continue
        held = stream.opened
        opening = stream.opening
        mine = [part for part in parts if part[0] in held or part[0] in opening]
        if not mine:
            continue
        if stream.lagging or _full(state, stream):
            stream.lagging = True
            _leave_out(state, stream, last, mine)
            continue
        _send(state, peer, last, mine, opened_at=first)


def _full(state: ReplicaState, stream: Stream) -> bool:
    settings = state.settings
    return stream.inflight_rows > settings.window_rows or stream.inflight_bytes > settings.window_bytes


def _leave_out(state: ReplicaState, stream: Stream, last: int, mine: list[Part]) -> None:
    """A commit that isn't sent now. While a difference is being read it is kept, to be sent behind that one: else a
    peer that is written to all the time, from a disk that takes its time, would lag for ever. As much as a window is
    kept; writers wait by then."""
    rows, size, tables = lagging.measured(mine)
    stream.behind_rows += rows
    stream.behind_bytes += size
    lagging.left_out(stream, tables, state.now)
    if stream.kept is not None:
        stream.kept.append((last, mine, rows, size, state.now))
        if settling.is_full(state, stream):
            stream.kept = None


def _send(
    state: ReplicaState,
    peer: Peer,
    to: int,
    parts: Sequence[Part],
    *,
    opened_at: int,
    urgent: Sequence[tuple[int, int]] = (),
    since: int | None = None,
) -> None:
    """since: when the oldest of it was committed, if that isn't now."""
    stream = peer.stream
    stream.number = number = stream.number + 1
    opened: list[list[int]] = []
    closed: list[int] = []
    told: list[list[Any]] = []
    if stream.opening or stream.closing:
        closed = sorted(stream.closing)
        for p in closed:
            stream.opened.pop(p, None)
            peer.live.discard(p)
        peer.known.part(closed)
        stream.closing.clear()
        for p in sorted(stream.opening):
            opened.append([p, opened_at])
            stream.opened[p] = number
            stream.opened_at[p] = opened_at
            stream.claims_due.add(p)
            _opened(state, peer, state.parts[p])
        stream.opening.clear()
        if closed:
            parts = [part for part in parts if part[0] in stream.opened]
    if stream.claims_due:
        told = claims.rows_of(state, sorted(stream.claims_due))
        stream.claims_due.clear()
    epochs = [[p, claim.epoch] for p in {part[0] for part in parts} if (claim := state.parts[p].claim)]
    rows, size, tables = lagging.measured(parts)
    stream.inflight.append((number, to, rows, size, state.now if since is None else since, tables))
    stream.inflight_rows += rows
    stream.inflight_bytes += size
    lagging.sent(stream, tables)
    if len(stream.inflight) == 1:
        stream.progress_at = state.now
    stream.said_at = state.now
    stream.sent = to
    if urgent:
        stream.urgent[number] = tuple(urgent)
    state.counts.frames_sent += 1
    state.counts.rows_sent += rows
    frame = (
        messages.FRAME, state.incarnation, stream.session, number, to, opened, closed, told, epochs, parts,
    )  # fmt: skip
    state.out.append((effects.SEND, peer.id, frame))


def _opened(state: ReplicaState, peer: Peer, part: Partition) -> None:
    if part.claim is not None and part.claim.heir == peer.id:
        settling.reopen(part)
        if part.early:
            peer.stream.urgent_wanted.add(part.number)


def flush(state: ReplicaState, peer: Peer) -> None:
    """Say what must be said although nothing is written: partitions opened and closed, claims, urgent writes."""
    stream = peer.stream
    if not stream.session or stream.lagging:
        return
    if stream.opening or stream.closing or stream.claims_due:
        _send(state, peer, max(stream.sent, state.sequence), (), opened_at=state.sequence)
    if stream.urgent_wanted:
        _urgent(state, peer)


def _urgent(state: ReplicaState, peer: Peer) -> None:
    """A new heir gets what waits for it before anything else, so that nobody waits for a whole copy."""
    stream = peer.stream
    session = stream.session
    wants = []
    early: dict[int, int] = {}
    for p in sorted(stream.urgent_wanted):
        part = state.parts[p]
        if p in stream.opened and part.early and part.claim is not None and part.claim.heir == peer.id:
            wants.append((p, part.early[0].before))
            early[p] = part.early[-1].sequence
    stream.urgent_wanted.clear()
    if not wants:
        return

    def read(error: Exception | None, head: int, parts: Sequence[Part], progress: Sequence[Any]) -> None:
        if error is not None or peer.stream.session != session:
            return  # they are settled when the copy is complete
        covered = [(p, early[p]) for p, through, whole in progress if whole and through >= early[p]]
        if covered:
            carried = [part for part in parts if part[0] in stream.opened]
            to = max(stream.sent, state.sequence) if not stream.lagging else stream.sent
            _send(state, peer, to, carried, opened_at=state.sequence, urgent=covered)

    settings = state.settings
    state.out.append((effects.READ, wants, settings.whole_rows, settings.whole_bytes, read))


# ---- differences -------------------------------------------------------------------------------


def _difference(state: ReplicaState, peer: Peer) -> None:
    """Frames were left out: send what they had as one."""
    stream = peer.stream
    if stream.reading:
        return
    stream.reading = True
    stream.kept = deque()
    covered = (stream.behind_rows, stream.behind_bytes)
    tables = {table: rows for table, (rows, _) in stream.behind_tables.items()}
    oldest = min((at for _, at in stream.behind_tables.values()), default=state.now)
    asked_at = state.now
    session = stream.session
    asked = sorted(p for p in stream.opened if p not in stream.closing)
    since = stream.sent

    def read(error: Exception | None, head: int, parts: Sequence[Part], progress: Sequence[Any]) -> None:
        if peer.stream.session != session:
            return
        stream.reading = False
        kept, stream.kept = stream.kept, None
        if error is not None:
            return  # the next tick asks again
        if not all(whole for _, _, whole in progress):
            begin(state, peer, 0, frozenset(), frozenset(stream.opened))  # too large for one frame
            return
        state.counts.differences += 1
        # Of what was committed and not told yet, the reader has seen some; but not in partitions that this opens.
        to = max(stream.sent, min(head, state.sequence))
        stream.lagging = kept is None and state.sequence > to
        stream.behind_rows -= covered[0]
        stream.behind_bytes -= covered[1]
        lagging.made_up(stream, tables, asked_at)
        carried = [part for part in parts if part[0] in stream.opened]
        _send(state, peer, to, carried, opened_at=max(to, state.sequence), since=oldest)
        if not stream.lagging:
            _catch_up(state, peer, to, kept or ())

    settings = state.settings
    wants = [(p, since) for p in asked]
    state.out.append((effects.READ, wants, settings.whole_rows, settings.whole_bytes, read))


def _catch_up(state: ReplicaState, peer: Peer, to: int, kept: Iterable[Kept]) -> None:
    """Send what was committed while the difference was read, if a window holds it; else there will be another one."""
    stream = peer.stream
    later = []
    for one in kept:
        if one[0] > to:
            later.append(one)
        else:
            _made_up(stream, one)
    if later and settling.is_full(state, stream):
        stream.lagging = True
        return
    for one in later:
        _made_up(stream, one)
        last, mine, _, _, at = one
        carried = [part for part in mine if part[0] in stream.opened]
        _send(state, peer, last, carried, opened_at=last, since=at)


def _made_up(stream: Stream, kept: Kept) -> None:
    _, mine, rows, size, at = kept
    stream.behind_rows -= rows
    stream.behind_bytes -= size
    lagging.made_up(stream, lagging.measured(mine)[2], at)


def counted(peer: Peer, p: int) -> bool:
    """Whether the marks in the peer's acks count what happens to the partition there."""
    opened = peer.stream.opened.get(p)
    return opened is not None and opened <= peer.stream.acked_number


# ---- acks --------------------------------------------------------------------------------------


def acked(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """The peer has frames durable."""
    _, ours, session, number, to, incarnation, mark, after, refused = message
    stream = peer.stream
    if ours != state.incarnation or session != stream.session or number > stream.number:
        return
    inflight = stream.inflight
    while inflight and inflight[0][0] <= number:
        _, _, rows, size, _, tables = inflight.popleft()
        stream.inflight_rows -= rows
        stream.inflight_bytes -= size
        stream.progress_at = state.now
        lagging.acknowledged(stream, tables)
    if not inflight:
        stream.inflight_tables.clear()  # of tables that are gone, too
    if refused:
        _refused(state, peer, number, refused)
    if number > stream.acked_number:
        stream.acked_number = number
        stream.acked = max(stream.acked, to)
        peer.known.acknowledged(incarnation, mark, after)
        settling.reached(state, peer, to)
        for sent in [sent for sent in stream.urgent if sent <= number]:
            for p, upto in stream.urgent.pop(sent):
                part = state.parts[p]
                # One that was refused and opened anew behind this frame was not taken in with it.
                opened = stream.opened.get(p, sent + 1) <= sent
                if opened and part.claim is not None and part.claim.heir == peer.id:
                    settling.early_reached(state, part, upto)
    if stream.lagging and stream.inflight_rows * 2 <= state.settings.window_rows:
        _difference(state, peer)


def _refused(state: ReplicaState, peer: Peer, number: int, refused: Sequence[Any]) -> None:
    """The peer has not taken in what was sent of these partitions: it knew a better claim, if we don't by now. If it
    knows ours, they are opened again, but not at once: its copy may be being emptied."""
    state.counts.refused += len(refused)
    claims.learn(state, refused)
    for p, row in refused:
        # What was opened anew behind the frame `number` isn't spoken of yet.
        if peer.stream.opened.get(p, number + 1) <= number:
            del peer.stream.opened[p]
            part = state.parts[p]
            peer.known.part((p,))
            peer.live.discard(p)
            if part.claim is not None and part.claim.heir == peer.id:
                settling.reopen(part)
                part.heir_live = False
                claims.measure(state, part)
            if part.claim is not None and Claim.from_row(row).rank == part.claim.rank:
                peer.stream.shut[p] = state.now + state.settings.retry_ms
            else:
                claims.refresh_stream(state, part, peer.id)


def tick(state: ReplicaState, peer: Peer) -> None:
    """Ask again for what is not acknowledged; go on with what lags."""
    stream = peer.stream
    if not stream.session:
        return
    if not stream.inflight:
        stream.progress_at = state.now
    for p in [p for p, until in stream.shut.items() if state.now >= until]:
        del stream.shut[p]
        claims.refresh_stream(state, state.parts[p], peer.id)
    if stream.lagging and not _full(state, stream):
        _difference(state, peer)
    elif stream.inflight and peer.liveness != DEAD and state.now - stream.said_at >= state.settings.retry_ms:
        # An empty frame: whoever missed one before it will say so, and who has all acknowledges it. Also when the
        # window is full: what is waited for may be an ack that was lost.
        _send(state, peer, stream.sent, (), opened_at=state.sequence)
