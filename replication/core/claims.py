"""Learning of claims, making them, and what a change of claim means for a partition here.

A claim of this node is used once it is durable. Another node's is obeyed at once, and written in the same order as
everything that is taken in under it.
"""

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from attrs import evolve

from replication.claim import Claim
from replication.core import completing, effects, giving, holders, keepers, settling
from replication.core.rows import of_part
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
    ReplicaState,
)

GATHER_MS_MAX = 600_000
"""How long a primary whose own copy isn't complete may gather, as long as there is somebody to ask."""


def rows_of(state: ReplicaState, partitions: Iterable[int]) -> list[list[Any]]:
    """[[p, claim], …] for a message."""
    return [[p, claim.row()] for p in partitions if (claim := state.parts[p].claim) is not None]


def digest(state: ReplicaState) -> bytes:
    """Of all claims: two nodes with the same one know the same."""
    hasher = blake2b(digest_size=8)
    for part in state.parts:
        claim = part.claim
        if claim is not None:
            hasher.update(
                b"%d %d %d %b %b;" % (part.number, claim.epoch, claim.floor, claim.primary, claim.heir or b"")
            )
    return hasher.digest()


# ---- others' claims ----------------------------------------------------------------------------


def learn(state: ReplicaState, told: Iterable[Any]) -> None:
    """Claims that somebody has told of: those that beat ours are obeyed."""
    again = []
    for p, row in told:
        part = state.parts[p]
        claim = Claim.from_row(row)
        if not claim.beats(part.claim):
            if _made_twice(state, part, claim):
                again.append((p, part.claim.heir if part.claim is not None else None))
            continue
        making = state.storing.get(p)
        if making is not None and making.beats(claim):
            continue  # ours will be durable in a moment, and wins
        _obey(state, part, claim)
    if again:
        make(state, again)


def _made_twice(state: ReplicaState, part: Partition, claim: Claim) -> bool:
    """Whether a former life of this node has made another claim of the rank of ours: its directory was set back. Then
    none of both may stand, and what was settled under the other one is to be learned from those who have it."""
    ours = part.claim
    if ours is None or ours.rank != claim.rank or ours == claim or claim.primary != state.me:
        return False
    if part.phase not in (GATHERING, SERVING) or part.number in state.storing:
        return False  # the next one will be above both anyway
    state.out.append((effects.REPORT, "claimed_twice", {"partition": part.number, "epoch": claim.epoch}))
    for peer in state.peers.values():
        if state.reachable(peer):
            peer.wanted[part.number] = -1
    return True


def _obey(state: ReplicaState, part: Partition, claim: Claim) -> None:
    before = part.claim
    giving.ended(state, part.number)
    keepers.left(state, part)
    part.claim = claim
    state.reclaimed.add(part.number)
    state.unsaved.add(part.number)
    if claim.primary == state.me:
        # One that this node doesn't remember having made: its directory is older than itself.
        state.out.append((effects.REPORT, "older_directory", {"partition": part.number}))
        part.copy, part.thin = NONE, False  # first, or the heir would be filled from it
        keepers.forgotten(part)
        step_down(state, part)
        offer(state, part)
        return
    step_down(state, part)
    if before is not None and part.asof >= claim.floor and claim.raised_apart_from(before):
        part.asof = claim.floor - 1  # it was complete under claims of the same epochs, but others
    if part.sound and _follows(state, part, before, claim):
        part.asof = claim.epoch
        if part.copy == LIVE:
            tell_live(state, part)
    elif part.thin:
        part.thin = False  # what was settled meanwhile isn't here
    elif part.copy == LIVE and not _carried(state, part, before, claim):
        part.copy = NONE
    missed(state, part)
    part.born_at = None
    offer(state, part)


def incomplete(state: ReplicaState, part: Partition) -> None:
    """The copy isn't complete any more."""
    part.copy, part.thin = NONE, False
    state.unsaved.add(part.number)
    missed(state, part)


def missed(state: ReplicaState, part: Partition) -> None:
    """A copy that isn't complete and wasn't when the floor was raised has missed what is forgotten."""
    claim = part.claim
    if claim is None or claim.primary == state.me or part.copy != NONE or part.asof >= claim.floor:
        return
    if part.touched and not _newborn(state, part):
        void(state, part)
    else:
        part.asof = claim.floor


def _newborn(state: ReplicaState, part: Partition) -> bool:
    """Whether all that the copy holds was written here since it began empty, and that not long ago: then nothing of it
    can be older than a tombstone that was forgotten. So it is on a node that lost its directory and started alone."""
    return part.born_at is not None and state.now - part.born_at < state.settings.absence_ms


def _follows(state: ReplicaState, part: Partition, before: Claim | None, claim: Claim) -> bool:
    """Whether a complete copy is one under the next claim, too: everything that was settled under the claim before is
    on its primary and its heir. So if the new claim follows just that one, and names the copy's node as heir, nothing
    is missing."""
    return (
        before is not None
        and claim.heir == state.me
        and claim.prior == before.rank
        and part.asof == before.epoch
        and state.me in (before.primary, before.heir)
    )


def _carried(state: ReplicaState, part: Partition, before: Claim | None, claim: Claim) -> bool:
    """Whether the same primary's stream keeps a complete copy up to date. It stays what it is; that it is complete
    under the next claim is known when the stream has come to that (`copies.complete`): this claim may have been told
    ahead of it."""
    peer = state.peers.get(claim.primary)
    return (
        before is not None
        and claim.primary == before.primary
        and claim.prior == before.rank
        and peer is not None
        and part.number in peer.source.opened
        and part.number in peer.known.stream.members
    )


def void(state: ReplicaState, part: Partition) -> None:
    """The copy has missed tombstones that nobody remembers: nothing more is taken in before it is empty."""
    p = part.number
    part.copy, part.thin = VOID, False
    keepers.forgotten(part)
    for peer in state.peers.values():
        peer.wanted.pop(p, None)
        if peer.source.opened.pop(p, None) is not None:
            peer.source.refusals.add(p)
            peer.known.part((p,))


def tell_live(state: ReplicaState, part: Partition) -> None:
    """The primary is to know that the copy here is complete."""
    claim = part.claim
    assert claim is not None
    peer = state.peers.get(claim.primary)
    if peer is not None:
        peer.live_untold[part.number] = claim.epoch


def offer(state: ReplicaState, part: Partition) -> None:
    """The primary is to learn what was changed here by anybody but itself."""
    claim = part.claim
    if claim is None:
        return
    for other in state.peers.values():
        if other.id != claim.primary or part.copy == VOID:
            other.offers.pop(part.number, None)
    if claim.primary == state.me or part.copy == VOID:
        return
    peer = state.peers.get(claim.primary)
    foreign = part.foreign(claim.primary)
    if peer is not None and foreign:
        peer.offers[part.number] = foreign
        if not part.owing:
            part.owing = True
            state.unsaved.add(part.number)  # a crash doesn't make it forget


def step_down(state: ReplicaState, part: Partition) -> None:
    """This node doesn't serve the partition any more, if it did."""
    if part.phase == MOVING:
        giving.claimed(state, part)
    if part.phase in (SERVING, MOVING) and not part.ceased:
        state.out.append((effects.CEASE, part.number))
    if part.move_done is not None:
        state.out.append((effects.DONE, part.move_done, 0, None))
        part.move_done = None
    part.yields = 0
    part.phase = ASIDE
    part.ceased = False
    part.heir_live = False
    part.single_since = None
    part.gathering = set()
    part.move_to = part.handed_until = part.served_at = None
    state.moving.discard(part.number)
    settling.lose(state, part)
    for peer in state.peers.values():
        peer.live.discard(part.number)
        refresh_stream(state, part, peer.id)


# ---- this node's claims ------------------------------------------------------------------------


def make(
    state: ReplicaState,
    wanted: Iterable[tuple[int, bytes | None]],
    *,
    raise_floor: bool = False,
) -> None:
    """Claim partitions, each with the heir that is named; used when the claims are durable."""
    made: dict[int, Claim] = {}
    rows = []
    for p, heir in wanted:
        part = state.parts[p]
        if p in state.storing:
            continue
        before = part.claim
        epoch = before.epoch + 1 if before is not None else 1
        floor = epoch if raise_floor else before.floor if before is not None else 0
        claim = Claim(epoch, state.me, heir, floor, before.rank if before is not None else None)
        if keepers.is_kept(state, part):
            claim = evolve(claim, whole=True, given=keepers.given(part), kept=keepers.kept(part))
        made[p] = claim
        if part.phase == ASIDE:
            part.phase = CLAIMING
        rows += [
            (("claim", p), claim.row()),
            (
                ("copy", p),
                [part.copy, epoch if part.copy == LIVE else part.asof, *([False, True] if part.thin else [])],
            ),
        ]
    if not made:
        return
    state.storing.update(made)

    def stored(error: Exception | None) -> None:
        for p, claim in made.items():
            state.storing.pop(p, None)
            part = state.parts[p]
            if error is not None or not claim.beats(part.claim):
                state.unsaved.add(p)  # the row may say otherwise
                part.handed_until = None
                if part.phase == CLAIMING:
                    part.phase = ASIDE
            else:
                _use(state, part, claim)

    state.out.append((effects.STORE, rows, stored))


def _use(state: ReplicaState, part: Partition, claim: Claim) -> None:
    """A claim of this node is durable."""
    before = part.claim
    giving.ended(state, part.number)
    keepers.left(state, part)
    part.claim = claim
    state.reclaimed.add(part.number)
    # A copy that its stream has not brought up to the claim before may be behind what was settled.
    whole = before is None or (part.copy == LIVE and part.asof == before.epoch)
    if part.copy == LIVE:
        part.asof = claim.epoch
    p = part.number
    same_heir = before is not None and before.primary == state.me and before.heir == claim.heir
    if not same_heir:
        # Nor is a spare that was complete before: what was settled with the former heir may still be on its way.
        part.heir_live = False
    state.announcing.add(p)
    for peer in state.peers.values():
        peer.offers.pop(p, None)
        peer.live_untold.pop(p, None)
        if p in peer.stream.opened:
            peer.stream.claims_due.add(p)
        refresh_stream(state, part, peer.id)
    if claim.heir is None:
        settling.alone(state, part)
    elif not same_heir:
        settling.reopen(part)
        there = state.peers.get(claim.heir)  # it may have been removed meanwhile
        if there is not None and p in there.stream.opened:
            there.stream.urgent_wanted.add(p)
    measure(state, part)
    if part.phase == CLAIMING:
        if before is None and not part.touched:
            part.born_at = state.now
        part.phase = GATHERING
        part.since = state.sequence
        part.gather_until = state.now + (state.settings.pull_wait_ms if whole else GATHER_MS_MAX)
        if whole and part.handed_until is not None:
            part.gather_until = max(state.now, min(part.gather_until, part.handed_until))
        part.gathering = {peer.id for peer in state.peers.values() if state.reachable(peer)}
        for who in part.gathering:
            state.peers[who].wanted.setdefault(p, -1)
    elif part.phase == SERVING and not part.ceased:
        state.out.append((effects.SERVE, p, claim.epoch))


def gathered(state: ReplicaState, part: Partition) -> None:
    """Serve a partition once everybody who is there was asked for what it may lack, or has taken his time. What is on
    its way to the disk when the time is over would change rows beneath whoever is told to serve."""
    if part.phase != GATHERING or (part.gathering and state.now < part.gather_until):
        return
    if not (state.settings.caches and part.incoming):
        serve(state, part)


def serve(state: ReplicaState, part: Partition) -> None:
    """Whatever could be gathered is here."""
    assert part.claim is not None
    if part.handed_until is not None:
        part.handed_until, part.served_at = None, state.now
    part.phase = SERVING
    part.ceased = part.thin = False
    if part.copy != LIVE or part.asof != part.claim.epoch:
        part.copy, part.asof = LIVE, part.claim.epoch
        state.unsaved.add(part.number)
        for peer in state.peers.values():
            refresh_stream(state, part, peer.id)
    state.out.append((effects.SERVE, part.number, part.claim.epoch))
    if part.served_at == state.now:
        giving.say(state, part)


def measure(state: ReplicaState, part: Partition) -> None:
    """Since when the partition stands at fewer complete copies than it should."""
    if part.heir_live or state.settings.copies < 2:
        part.single_since = None
    elif part.single_since is None:
        part.single_since = state.now


def refresh_stream(state: ReplicaState, part: Partition, who: bytes) -> None:
    """Open or close the partition on the stream to a peer, as the claim has it."""
    stream = state.peers[who].stream
    if not stream.session:
        return
    p = part.number
    if who in holders.of(state, part):
        stream.closing.discard(p)
        if p not in stream.opened:
            stream.opening.add(p)
    else:
        stream.opening.discard(p)
        if p in stream.opened:
            stream.closing.add(p)


def save(state: ReplicaState) -> None:
    """Write down what was learned of claims and copies."""
    if not state.unsaved:
        return
    saving = set(state.unsaved)
    state.unsaved.clear()

    def stored(error: Exception | None) -> None:
        if error is not None:
            state.unsaved |= saving
            return
        for peer in state.peers.values():
            completing.tell(state, peer)

    rows = [row for p in sorted(saving) if p not in state.storing for row in of_part(state.parts[p])]
    state.unsaved |= {p for p in saving if p in state.storing}
    saving -= state.unsaved
    if rows:
        state.out.append((effects.STORE, rows, stored))
