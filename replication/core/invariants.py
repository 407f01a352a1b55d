"""What must hold of a replica's state between any two events, whatever has happened. Tests and the simulator ask after
every step; a node in service doesn't. It looks at one node's state only, and must never need another's, or a disk.
"""

from replication.core.knowledge import Knowledge
from replication.core.pulling import AHEAD_MAX
from replication.core.state import (
    ASIDE,
    CLAIMING,
    GATHERING,
    LIVE,
    MOVING,
    NONE,
    SERVING,
    VOID,
    Partition,
    Peer,
    ReplicaState,
)


def check(state: ReplicaState) -> None:
    """Look at everything once.

    Raises:
        AssertionError: the state contradicts itself; the core is wrong.
    """
    waiting = 0
    for part in state.parts:
        _check_part(state, part)
        if part.waiting or part.early:
            waiting += len(part.waiting) + len(part.early)
            assert part.number in state.waiting_on, f"writes of {part.number} wait, and nobody looks at them"
    still = {part.number for part in state.parts if part.phase == MOVING}
    assert still == state.standing, f"{still} stand still, and {state.standing} were counted"
    moving = {part.number for part in state.parts if part.move_to is not None}
    assert moving == state.moving, f"{moving} are being moved, and {state.moving} were counted"
    for p in state.given:
        claim = state.parts[p].claim
        assert claim is not None, f"{p} was given to nobody"
        assert claim.primary != state.me, f"{p} was given away, and this node has claimed it"
    assert waiting == state.waiting, f"{waiting} writes wait, and {state.waiting} were counted"
    for peer in state.peers.values():
        _check_known(peer.known)
        _check_stream(state, peer)
        _check_source(state, peer)
        if peer.offers:
            _check_offers(state, peer)


def _check_part(state: ReplicaState, part: Partition) -> None:
    claim, p = part.claim, part.number
    if part.phase != ASIDE:
        if part.phase == CLAIMING:
            assert p in state.storing, f"{p} is being claimed, and no claim is being made durable"
        else:
            assert claim is not None, f"{p} is this node's, and nobody has claimed it"
            assert claim.primary == state.me, f"{p} is this node's, by the claim of {claim.primary!r}"
        if part.phase in (SERVING, MOVING):
            assert part.copy == LIVE, f"{p} is served from a copy that isn't complete"
    if part.phase not in (SERVING, MOVING, GATHERING):
        assert not part.waiting, f"writes of {p} wait for another's heir"
        assert not part.early, f"writes of {p} wait for another's heir"
    if part.thin:
        assert part.copy == NONE, f"the copy of {p} lacks what was in memory, and is {part.copy}"
        assert claim is not None, f"the copy of {p} was complete under no claim"
    if part.heir_live:
        assert claim is not None, f"nobody has claimed {p}, and its heir is known to be complete"
        assert claim.primary == state.me, f"{p} is another's, and its heir is known to be complete"
    if claim is not None:
        assert claim.floor <= claim.epoch, f"{claim} is above itself"
        if part.copy == LIVE:
            assert part.asof <= claim.epoch, f"the copy of {p} is complete under a claim that is not yet"
    making = state.storing.get(p)
    assert making is None or making.primary == state.me, f"a claim of {p} is made for another node"
    if part.touched:
        assert max(part.touched.values()) <= state.sequence, f"{p} was changed by what isn't committed"


def _check_known(known: Knowledge) -> None:
    stream, echo = known.stream.members, known.echo.members
    assert stream.isdisjoint(echo), f"in both lanes: {stream & echo}"
    if known.others:
        assert known.others.keys().isdisjoint(stream), (
            f"in a lane, with a cursor: {known.others.keys() & stream}"
        )
        assert known.others.keys().isdisjoint(echo), f"in a lane, with a cursor: {known.others.keys() & echo}"
    assert known.upon.keys() <= known.others.keys(), f"{known.upon} rest upon heads, and are in a lane"


def _check_stream(state: ReplicaState, peer: Peer) -> None:
    stream = peer.stream
    if not stream.session:
        assert not stream.opened, "partitions are open on no stream"
        assert not peer.live, f"complete copies of {peer.live} on no stream"
        return
    opened = stream.opened.keys()
    assert opened.isdisjoint(stream.opening), f"{opened & stream.opening} are to be opened, and are open"
    assert peer.live <= opened, (
        f"copies of {peer.live - opened} are told to be complete, and aren't kept up to date"
    )
    assert peer.known.echo.members <= opened, f"acks move cursors of {peer.known.echo.members - opened}"
    assert stream.acked_number <= stream.number, "frames are acknowledged that weren't sent"
    assert stream.acked <= stream.sent, "what wasn't sent is acknowledged"
    inflight = stream.inflight
    if inflight:
        assert inflight[-1][0] <= stream.number, "frames are on the way that weren't sent"
        assert inflight[0][0] > stream.acked_number, "frames are on the way that were acknowledged"
    else:
        assert not stream.inflight_rows, f"{stream.inflight_rows} rows are on the way in no frame"
    assert sum(stream.inflight_tables.values()) == stream.inflight_rows, "rows are on the way in no table"
    left_out = sum(rows for rows, _ in stream.behind_tables.values())
    assert left_out == stream.behind_rows, f"{stream.behind_rows} rows were left out, {left_out} in tables"


def _check_source(state: ReplicaState, peer: Peer) -> None:
    source = peer.source
    for p in source.opened:
        assert p not in source.refusals, f"{p} is taken in and refused"
        assert state.parts[p].copy != VOID, f"{p} is taken in, and is to be emptied"
    for p, claim in source.told.items():
        ours = state.parts[p].claim
        assert ours is not None, f"the stream told of {claim}, and it isn't known"
        assert ours.rank >= claim.rank, f"the stream told of {claim}, and {ours} is what is known"
    most = 2 * state.settings.pulls_max + AHEAD_MAX
    assert len(peer.pulls) <= most, f"{len(peer.pulls)} pulls of one peer"


def _check_offers(state: ReplicaState, peer: Peer) -> None:
    for p in peer.offers:
        claim = state.parts[p].claim
        assert claim is None or claim.primary == peer.id, f"{p} is offered to a node that isn't its primary"
