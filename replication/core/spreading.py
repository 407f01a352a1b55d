"""How everybody hears of a new claim.

Among a few nodes each tells all others. Among many, a death would have nearly every node claim something, and each
tell everybody: messages by the square of nodes. So each tells two nodes, which gather what they are told for a moment
and tell everybody once: as many messages as there are nodes, some times. What is lost is mended by digests in hails.
"""

from collections.abc import Sequence
from typing import Any

from replication.core import claims, effects, messages
from replication.core.state import Peer, ReplicaState

RELAYS = 2
GATHER_MS = 100
"""Between two times that one node tells everybody; the first of a burst goes at once."""


def announce(state: ReplicaState) -> None:
    """Tell of new claims of this node; and, as a relay, of those of others."""
    if state.announcing:
        _announce(state)
    if state.spreading and state.now - state.spread_at >= GATHER_MS:
        state.spread_at = state.now
        told = claims.rows_of(state, sorted(state.spreading))
        state.spreading.clear()
        for peer in state.peers.values():
            state.out.append((effects.SEND, peer.id, (messages.CLAIMS, told)))


def _announce(state: ReplicaState) -> None:
    changed = sorted(state.announcing)
    state.announcing.clear()
    told = claims.rows_of(state, changed)
    relays = _relays(state)
    if relays is None:
        for peer in state.peers.values():
            state.out.append((effects.SEND, peer.id, (messages.CLAIMS, told)))
        return
    if state.me in relays:
        state.spreading.update(changed)
    for node in relays:
        if node != state.me:
            state.out.append((effects.SEND, node, (messages.SPREAD, told)))
    # Who was primary waits for it, perhaps with a partition that stands still.
    for node in sorted({claim.prior[1] for p in changed if (claim := state.parts[p].claim) and claim.prior}):
        if node in state.peers and node not in relays and state.reachable(state.peers[node]):
            state.out.append((effects.SEND, node, (messages.CLAIMS, told)))


def _relays(state: ReplicaState) -> list[bytes] | None:
    """The nodes that tell everybody: the lowest ids of those that are there. None: everybody tells everybody."""
    if not state.relaying or len(state.peers) <= state.settings.spread_above:
        return None
    there = [peer.id for peer in state.peers.values() if state.reachable(peer) and peer.id not in state.far]
    return sorted([*there, state.me])[:RELAYS]


def asked(state: ReplicaState, message: Sequence[Any]) -> None:
    """Tell everybody of these."""
    claims.learn(state, message[1])
    state.spreading.update(row[0] for row in message[1])


def is_early(state: ReplicaState, peer: Peer) -> bool:
    """Whether a peer whose claims aren't ours may just not have been told yet. Once in a row."""
    if not state.relaying or len(state.peers) <= state.settings.spread_above:
        return False
    peer.differed = not peer.differed
    return peer.differed and peer.id in state.heard
