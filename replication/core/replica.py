"""The front of the core: what happened, and what is to be done about it. Whoever drives it sets `state.now`,
calls one of these, and carries out `state.out` in its order."""

from collections.abc import Mapping, Sequence
from typing import Any

from replication.core import (
    claims,
    completing,
    copies,
    digests,
    giving,
    greeting,
    inbound,
    leaving,
    meeting,
    messages,
    moving,
    pledging,
    pulling,
    purging,
    settling,
    spreading,
    streams,
    taking,
    unserved,
    yielding,
)
from replication.core.errors import UnknownMember
from replication.core.state import ALIVE, DEAD, LIVE, SERVING, Done, Part, Peer, ReplicaState


def received(state: ReplicaState, sender: bytes, message: Sequence[Any]) -> None:
    """A member says something about this group. What can't be understood is counted and forgotten."""
    peer = state.peers.get(sender)
    if peer is None:
        state.counts.malformed += 1
        return
    try:
        _received(state, peer, message)
    except (IndexError, KeyError, TypeError, ValueError):
        state.counts.malformed += 1
    flush(state)


def _received(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    kind = message[0]
    if kind >= len(messages.WORDS):
        state.unknown.note(kind)
        return
    _take(state, peer, kind, message)
    if kind in (messages.CLAIMS, messages.SERVED, messages.LIVE):
        moving.proceed(state)


def _take(state: ReplicaState, peer: Peer, kind: int, message: Sequence[Any]) -> None:
    if len(message) > messages.WORDS[kind]:
        message = message[: messages.WORDS[kind]]
    if kind in (messages.FRAME, messages.CHECK):
        inbound.frame(state, peer, message)
    elif kind == messages.ACK:
        streams.acked(state, peer, message)
        moving.reached(state, peer)
    elif kind == messages.PULL:
        pulling.answer(state, peer, message)
    elif kind == messages.CHUNK:
        if pulling.came(state, peer, message):
            inbound.pump(state, peer)
    elif kind == messages.HAIL:
        greeting.hailed(state, peer, message)
    elif kind == messages.CLAIMS:
        greeting.told_claims(state, peer, message)
    elif kind == messages.KNOW:
        peer.known_told = True
        streams.know(state, peer, message)
        greeting.listen(state, peer)
    elif kind == messages.START:
        inbound.started(state, peer, message)
    elif kind == messages.OFFER:
        pulling.offered(state, peer, message)
    elif kind == messages.LIVE:
        completing.told(state, peer, message)
    elif kind == messages.LIVED:
        completing.heard(state, peer, message)
    elif kind == messages.YIELD:
        yielding.asked(state, peer, message)
    elif kind == messages.HAND:
        moving.handed(state, peer, message)
    elif kind == messages.SERVED:
        claims.learn(state, [message[1:3]])  # it may be on its way by another one
        giving.told(state, peer, message)
    elif kind == messages.DIFFERS:
        digests.differs(state, peer, message)
    elif kind == messages.SPARE:
        leaving.asked(state, peer, message)
    elif kind == messages.FREE:
        leaving.told(state, peer, message)
    elif kind == messages.SPREAD:
        spreading.asked(state, message)
    elif kind == messages.PLEDGE:
        pledging.asked(state, peer, message)
    elif kind == messages.PLEDGED:
        pledging.told(state, peer, message)
    else:
        raise ValueError(f"no code: {kind!r}")


def tapped(
    state: ReplicaState,
    first: int,
    last: int,
    parts: Sequence[Part],
    touched: Mapping[int, frozenset[bytes | None]],
) -> None:
    """The group's store has committed. touched: partition → who changed it (None: this node)."""
    for p, sources in touched.items():
        part = state.parts[p]
        for source in sources:
            part.touched[source] = last
        for peer in state.peers.values():
            # Whoever is primary by now: whose stream still carries it must not take the change for its own.
            if p in peer.source.opened and sources != {peer.id}:
                peer.source.mark = last
        claim = part.claim
        if claim is not None and claim.primary != state.me and sources != {claim.primary}:
            claims.offer(state, part)
    streams.tapped(state, first, last, parts)
    state.before, state.sequence = first, last


def tick(state: ReplicaState) -> None:
    """Time has passed: to be called ten times a second or so."""
    for peer in state.peers.values():
        greeting.hail(state, peer)
        streams.tick(state, peer)
        pulling.tick(state, peer)
        pulling.offer(state, peer)
        completing.tell(state, peer)
    taking.tick(state)
    moving.tick(state)
    pledging.tick(state)
    digests.tick(state)
    purging.tick(state)
    leaving.tick(state)
    copies.empty(state)
    unserved.tick(state)
    _persist(state)
    flush(state)


def liveness(state: ReplicaState, member: bytes, what: int) -> None:
    """The detector says what has become of a member."""
    peer = state.peers.get(member)
    if peer is not None:
        if what == DEAD:
            peer.source.stale = True
        greeting.liveness(state, peer, what)
        taking.tick(state)
        flush(state)


def disconnected(state: ReplicaState, member: bytes) -> None:
    """The link to a member is down. As one that was dead for us, it may have parted from us meanwhile and forgotten all
    of this node, or thought that we were dead: it waits to be told again what is known of its changes."""
    peer = state.peers.get(member)
    if peer is not None:
        peer.source.stale = True
        meeting.parted(peer)


def written(state: ReplicaState, p: int, sequence: int, done: Done) -> None:
    """A local write, announced by `settling.writing`, is durable here."""
    settling.written(state, p, sequence, done)


def move(state: ReplicaState, p: int, target: bytes, done: Done) -> None:
    """Move a partition to another member."""
    moving.request(state, p, target, done)
    flush(state)


def placed(state: ReplicaState) -> None:
    """`state.ranked` or `state.settings.copies` is another one: copies go where they are wanted now."""
    for part in state.parts:
        for peer in state.peers.values():
            claims.refresh_stream(state, part, peer.id)
    flush(state)


def force(state: ReplicaState, p: int) -> None:
    """Serve a partition from whatever is here, complete or not: an operator's decision, when no complete copy
    is left.

    Raises:
        UnknownMember: there is no such partition.
    """
    if not 0 <= p < len(state.parts):
        raise UnknownMember(f"there is no partition {p}")
    claims.make(state, [(p, taking.choose(state, state.parts[p]))])
    flush(state)


def _persist(state: ReplicaState) -> None:
    if state.now - state.persist_at >= state.settings.persist_ms:
        state.persist_at = state.now
        for peer in state.peers.values():
            if not peer.busy and (peer.known.moved or peer.known.reshaped):
                copies.save_known(state, peer)


def flush(state: ReplicaState) -> None:
    """Whatever follows from what has just happened: also to be called when the store has done something."""
    spreading.announce(state)
    for peer in state.peers.values():
        streams.flush(state, peer)
        pulling.ask(state, peer)
    claims.save(state)


# ---- for those who watch -----------------------------------------------------------------------


def status(state: ReplicaState) -> dict[str, Any]:
    """Partitions by what they are here, those at fewer copies than they should be and for how long, peers, counts."""
    served = [part for part in state.parts if part.phase == SERVING]
    single = [part for part in state.parts if part.single_since is not None]
    return {
        "partitions": len(state.parts),
        "served": len(served),
        "live": sum(part.copy == LIVE for part in state.parts),
        "single": [[part.number, state.now - (part.single_since or 0)] for part in single],
        "unserved": unserved.listed(state),
        "waiting": state.waiting,
        "filling": [[p, share] for p, share in copies.progress(state)],
        "peers": {
            peer.id.hex(): {
                "alive": peer.liveness == ALIVE,
                "sent": peer.stream.sent,
                "acked": peer.stream.acked,
                "inflight_rows": peer.stream.inflight_rows,
                "behind_rows": peer.stream.behind_rows,
                "lagging": peer.stream.lagging,
                "filling": len(peer.wanted),
                "pulls": len(peer.pulls),
            }
            for peer in state.peers.values()
        },
        "counts": {
            name: getattr(state.counts, name) for name in state.counts.__slots__ if name != "__weakref__"
        },
        "unknown": dict(state.unknown.counts),
    }
