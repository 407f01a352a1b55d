"""For how long a partition stood still for a planned move: from the last that was served here until it is served there,
or goes on here. All of it is counted by the node that gave it, by its own clock, which the word that it is served ends:
so it is rather told too long than too short, by the time which that word is under way.

The word may be lost, so it is asked for. An older release doesn't say it: then what is known counts, until its claim;
who hasn't said any is asked only twice.
"""

from collections.abc import Sequence
from typing import Any

from replication.claim import Claim
from replication.core import effects, messages
from replication.core.holds import LONG_MS
from replication.core.state import DEAD, SERVING, Given, Partition, Peer, ReplicaState

GIVEN_MS_MAX = 10_000
"""How long the word is waited for. A node that lives and took so long would have been called dead."""
ASKS_OF_SILENT = 2
"""Whoever has never said the word is asked so often for each partition. It is of an older release, as a rule; but the
first word of any node may be lost."""


# ---- who gives ---------------------------------------------------------------------------------


def claimed(state: ReplicaState, part: Partition) -> None:
    """What stands still here has another claim."""
    claim = part.claim
    assert claim is not None
    stopped_at = part.move_until - state.settings.move_wait_ms
    state.standing.discard(part.number)
    if claim.primary == part.move_to and claim.primary in state.peers:
        state.given[part.number] = Given(claim.primary, claim.prior, stopped_at, state.now)
    else:
        _count(state, part.number, state.now - stopped_at)


def stayed(state: ReplicaState, part: Partition) -> None:
    """What stood still is about to be served on, here."""
    state.standing.discard(part.number)
    _count(state, part.number, state.now - part.move_until + state.settings.move_wait_ms)


def told(state: ReplicaState, peer: Peer, message: Sequence[Any]) -> None:
    """A peer has served what it was given for some milliseconds. Its claim is known."""
    _, p, claim, ms = message
    peer.tells_served = True
    given = state.given.get(p)
    if given is not None and given.to == peer.id and given.prior == Claim.from_row(claim).prior:
        del state.given[p]
        _count(state, p, max(given.claimed_at, state.now - max(0, ms)) - given.stopped_at)


def ended(state: ReplicaState, p: int) -> None:
    """If a partition was given, no word of it is waited for any more."""
    given = state.given.pop(p, None)
    if given is not None:
        peer = state.peers.get(given.to)
        until = state.now if peer is not None and peer.tells_served else given.claimed_at
        _count(state, p, until - given.stopped_at)


def awaited(state: ReplicaState) -> int:
    """How many stand still at others, of those who say when they don't any more."""
    peers = state.peers
    return sum(given.to in peers and peers[given.to].tells_served for given in state.given.values())


def tick(state: ReplicaState) -> None:
    """Ask again, and don't wait for ever."""
    for p, given in tuple(state.given.items()):
        peer = state.peers.get(given.to)
        if peer is None or peer.liveness == DEAD or state.now - given.claimed_at >= GIVEN_MS_MAX:
            ended(state, p)
        elif (
            state.now - given.asked_at >= state.settings.retry_ms
            and given.prior is not None
            and (peer.tells_served or given.asked < ASKS_OF_SILENT)
        ):
            given.asked_at = state.now
            given.asked += 1
            state.out.append((effects.SEND, peer.id, (messages.HAND, p, given.prior[0], 0)))


def _count(state: ReplicaState, p: int, ms: int) -> None:
    state.holds.record(ms)
    if ms > LONG_MS:
        state.out.append((effects.REPORT, "stood_still_long", {"partition": p, "ms": ms}))
    state.pace.ended(state.now, ms, state.settings.moves_max)


# ---- who takes ---------------------------------------------------------------------------------


def say(state: ReplicaState, part: Partition) -> None:
    """If a partition that is served here was given by another node, that is to know."""
    claim = part.claim
    if part.phase != SERVING or part.served_at is None or claim is None or claim.prior is None:
        return
    giver = claim.prior[1]
    if giver in state.peers:
        message = (messages.SERVED, part.number, claim.row(), state.now - part.served_at)
        state.out.append((effects.SEND, giver, message))
