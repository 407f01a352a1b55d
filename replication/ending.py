"""Whether a peer's process has ended, as its own machine tells: evidence, where `detector` has silence. As pure as it.

The kernel of a machine on which a process was killed closes its connections, and refuses new ones. One that lost its
power or its network answers nothing; one on which a process stands still goes on taking connections for it. So who is
refused where a peer listened knows more than silence tells, and sooner.

A filter on the way can refuse, too, in a machine's name ("REJECT" of iptables-extensions(8)). So one observer is not
enough: others are asked to knock there themselves, and the peer is dead when most of those who looked were refused,
this node among them. Who asks has been refused, too, so it needn't be asked. One who was let in is proof of the
contrary: so nothing is certain before all of them have answered that are there, or have had `answer_ms` for it (one
may be busy taking over). Such a proof, and what somebody hears of the peer later, hold off refusals for a while.

Only members of the peer's own cluster look and are counted: those of others that this node is engaged with mostly
don't know it. Only where there is nobody else, in a cluster of two, a node believes itself; where others are members,
but none of them is there, silence has to tell, and so it has of the only node of another cluster that one knows. It may
be wrong all the same, and then it is what a wrong death always was: epochs decide who may write.

Who connects, and when, isn't known here: `refused` is to be called once somebody has made sure of it, and again as long
as it is so.
"""

from replication.detectorstate import (
    ALIVE,
    KNOCK,
    KNOCKED,
    LOOK,
    SEND,
    DetectorState,
    Effect,
    PeerState,
    Refusal,
)


def refused(state: DetectorState, name: bytes, peer: PeerState, clock: int, effects: list[Effect]) -> None:
    """This node's connections to a peer were closed by the other side, and new ones are refused. `clock`: listening
    time now."""
    ended_ms = state.settings.ended_ms
    if not ended_ms or not peer.spoke or clock - peer.heard < ended_ms:
        return  # what it said before its end may still be on its way to here
    if _is_denied(state, peer, clock):
        return
    if peer.refusal is None:
        peer.refusal = Refusal(state.clock)
        state.counters.refusals += 1
    refusal = peer.refusal
    if refusal.certain:
        return
    if not any(it.cluster == peer.cluster for other, it in state.peers.items() if other != name):
        refusal.certain = peer.cluster is None
        return
    _believe(state, name, peer, refusal, clock)
    if not refusal.certain:
        _ask(state, name, peer, refusal, clock, effects)


def waited(state: DetectorState, name: bytes, peer: PeerState) -> None:
    """Time went by: who hasn't answered isn't waited for any longer."""
    if peer.refusal is not None and peer.refusal.nonce:
        _count(state, name, peer, peer.refusal, state.clock)


def _is_denied(state: DetectorState, peer: PeerState, clock: int) -> bool:
    """Whether somebody was let in not long ago, or heard it; no word of it came since."""
    found = [at for at in (peer.denied, peer.vouched) if at is not None and at >= peer.heard]
    return bool(found) and clock - max(found) < state.settings.suspect_ms


def _said(state: DetectorState, peer: PeerState) -> set[bytes]:
    """Those who have said, not long ago, that they were refused."""
    return {other for other, at in peer.told.items() if state.clock - at < state.settings.suspect_ms}


def _able(state: DetectorState, name: bytes, peer: PeerState) -> list[bytes]:
    """Those who can look."""
    return [
        other for other, it in state.peers.items()
        if it.state == ALIVE and it.cluster == peer.cluster and other != name
    ]  # fmt: skip


def _believe(state: DetectorState, name: bytes, peer: PeerState, refusal: Refusal, clock: int) -> None:
    """What others have said of themselves without being asked."""
    said = _said(state, peer)
    refusal.asked += tuple(sorted(said - set(refusal.asked)))
    refusal.agreed |= said
    _count(state, name, peer, refusal, clock)


def _count(state: DetectorState, name: bytes, peer: PeerState, refusal: Refusal, clock: int) -> None:
    """Most of those who could be asked: who speaks without being asked counts no more than others."""
    able = _able(state, name, peer)
    panel = max(len(refusal.asked), min(state.settings.probes, len(able)))
    if not refusal.agreed or 2 * (1 + len(refusal.agreed)) <= 1 + panel:
        return
    if refusal.nonce:
        missing = set(able) & set(refusal.asked) - refusal.agreed
        refusal.certain |= not missing or clock - refusal.asked_at >= state.settings.answer_ms
    else:
        refusal.certain |= refusal.agreed.issuperset(able)


def _ask(
    state: DetectorState, name: bytes, peer: PeerState, refusal: Refusal, clock: int, effects: list[Effect]
) -> None:
    if refusal.nonce and clock - refusal.asked_at < state.settings.beat_ms:
        return
    said = _said(state, peer)
    able = [other for other in _able(state, name, peer) if other not in said]
    if not able:
        return
    state.nonce += 1
    count = min(state.settings.probes, len(able))
    refusal.asked = tuple(able[(state.turn + n) % len(able)] for n in range(count))
    refusal.asked_at, refusal.nonce = clock, state.nonce
    refusal.agreed.clear()
    state.turn = (state.turn + count) % len(able)
    state.counters.requests += count
    effects.extend((SEND, other, (KNOCK, name, refusal.nonce)) for other in refusal.asked)
    _believe(state, name, peer, refusal, clock)


def asked(
    state: DetectorState, asker: bytes, target: bytes, nonce: int, clock: int, effects: list[Effect]
) -> None:
    """Another one was refused there. As many are looked for as probes are passed on."""
    peer = state.peers.get(target)
    if peer is None or target == asker:
        state.counters.misunderstood += 1
        return
    if state.peers[asker].cluster == peer.cluster:
        peer.told[asker] = state.clock
        if peer.refusal is not None and not peer.refusal.certain:
            _believe(state, target, peer, peer.refusal, clock)
    if not state.relays_left:
        state.counters.relays_refused += 1
    else:
        state.relays_left -= 1
        state.counters.looked += 1
        effects.append((LOOK, target, asker, nonce))


def looked(asker: bytes, target: bytes, nonce: int, was_refused: bool) -> list[Effect]:
    """What was found for another one."""
    return [(SEND, asker, (KNOCKED, target, nonce, int(was_refused)))]


def answered(
    state: DetectorState, sender: bytes, target: bytes, nonce: int, was_refused: int, clock: int
) -> None:
    """One that was asked has looked."""
    peer = state.peers[target]
    refusal = peer.refusal
    if refusal is None or refusal.certain or nonce != refusal.nonce or sender not in refusal.asked:
        state.counters.outdated += 1
    elif not was_refused:
        state.counters.denied += 1
        peer.refusal = None
        peer.told.clear()
        peer.denied = clock
    else:
        refusal.agreed.add(sender)
        _count(state, target, peer, refusal, clock)


def check(peer: PeerState) -> None:
    """Raise AssertionError unless it hangs together."""
    refusal = peer.refusal
    if refusal is not None:
        assert peer.spoke
        assert refusal.agreed <= set(refusal.asked)
        assert not refusal.certain or not refusal.asked or 2 * len(refusal.agreed) + 1 > len(refusal.asked)
