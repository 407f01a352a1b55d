"""Anti-entropy: a primary digests a range of keys at one sequence of its own; each holder does at the same place in its
stream; they must agree. A mismatch is mended as everything is: both pull, from the beginning.

Should that not help (a merge that breaks its laws, say), copies would be filled for ever. So a copy that differs again
soon is left for longer each time, and counted as unmended.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, effects, messages, pulling
from replication.core.state import LIVE, SERVING, Partition, Peer, ReplicaState

WAIT_CHECKS = 8
"""Times `check_ms` that a copy isn't compared again after it differed; twice as long when it does so again."""
WAIT_DOUBLED_MAX = 9
"""So often it is doubled at most: with a check each second, to more than an hour."""


def tick(state: ReplicaState) -> None:
    """Check the next range, now and then."""
    settings = state.settings
    if not settings.check_ms or state.checking or state.now - state.check_at < settings.check_ms:
        return
    state.check_at = state.now
    number, table, after = state.check_next
    for _ in range(len(state.parts)):
        part = state.parts[number]
        if part.phase == SERVING and any(number in peer.live for peer in state.peers.values()):
            break
        number, table, after = (number + 1) % len(state.parts), None, b""
    else:
        return
    state.checking = True

    def digested(
        error: Exception | None, found: str, last: bytes, count: int, digest: bytes, onward: Any
    ) -> None:
        state.checking = False
        state.check_next = (number, *onward) if onward else ((number + 1) % len(state.parts), None, b"")
        if error is not None or state.parts[number].phase != SERVING:
            return
        state.counts.checks += 1
        for peer in state.peers.values():
            _send(state, peer, number, found, after, last, count, digest)

    state.out.append((effects.DIGEST, number, table, after, None, digested))


def _send(
    state: ReplicaState, peer: Peer, p: int, table: str, after: bytes, last: bytes, count: int, digest: bytes
) -> None:
    stream = peer.stream
    if stream.session and not stream.lagging and p in stream.opened and p in peer.live:
        message = (
            messages.CHECK, state.incarnation, stream.session, stream.number, p, table, after, last, count, digest,
        )  # fmt: skip
        state.out.append((effects.SEND, peer.id, message))


def compare(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """Everything before it in the stream is applied, and nothing behind it: digest the same range here."""
    _, _, _, _, p, table, after, last, count, digest = message
    part = state.parts[p]
    if part.claim is None or part.claim.primary != peer.id:
        return  # a former primary that doesn't know of its successor yet
    if part.copy != LIVE or p not in peer.known.stream.members or state.now < part.differs_at:
        return

    def digested(error: Exception | None, _table: str, _last: bytes, ours: int, found: bytes, _: Any) -> None:
        if error is not None or (ours, found) == (count, digest):
            return
        state.counts.mismatches += 1
        details = {"partition": p, "table": table, "keys": [ours, count]}
        state.out.append((effects.REPORT, "copies_differ", details))
        if part.claim is not None and part.claim.primary == peer.id and p in peer.source.opened:
            _wait(state, part)
            claims.incomplete(state, part)
            peer.known.forget(p)
            pulling.want(peer, p)
            state.out.append((effects.SEND, peer.id, (messages.DIFFERS, [p])))

    state.out.append((effects.DIGEST, p, table, after, last, digested))


def _wait(state: ReplicaState, part: Partition) -> None:
    """It is being mended. If it was a moment ago, that didn't help."""
    wait = state.settings.check_ms * WAIT_CHECKS
    last = wait << max(0, part.differed - 1)
    if part.differed and state.now - part.differs_at < last:
        state.counts.unmended += 1
        part.differed = min(part.differed + 1, WAIT_DOUBLED_MAX + 1)
    else:
        part.differed = 1
    part.differs_at = state.now + (wait << (part.differed - 1))


def differs(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A holder's copy differs from ours: it may have what we lack."""
    for p in message[1]:
        part = state.parts[p]
        if part.claim is not None and part.claim.primary == state.me:
            peer.live.discard(p)
            if part.claim.heir == peer.id:
                part.heir_live = False
            peer.known.forget(p)
            pulling.want(peer, p)
