"""Whether a peer's process has ended, as its own machine tells: evidence, where `detector` has silence. As pure as it.

The kernel of a machine on which a process was killed closes its connections, and refuses new ones. One that lost its
power or its network answers nothing; one on which a process stands still goes on taking connections for it. So who is
refused where a peer listened knows more than silence tells, and sooner.

A filter on the way can refuse, too, in a machine's name ("REJECT" of iptables-extensions(8)). So one observer is not
enough: others are asked to knock there themselves, and the peer is dead when most of those who looked were refused,
this node among them. Who asks has been refused, too: so the second one to find out waits for no answer of the first,
which may be busy taking over. One who was let in is proof of the contrary. Only where there is nobody else, in a
cluster of two, a node believes itself; where others are members, but none of them is there, silence has to tell. It may
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
    if peer.refusal is None:
        peer.refusal = Refusal(state.clock)
        state.counters.refusals += 1
        _believe(state, name, peer, peer.refusal)
    if len(state.peers) == 1:
        peer.refusal.certain = True
    elif not peer.refusal.certain:
        _ask(state, name, peer.refusal, effects)
        _believe(state, name, peer, peer.refusal)


def _believe(state: DetectorState, name: bytes, peer: PeerState, refusal: Refusal) -> None:
    """Those who have said, not long ago, that they were refused."""
    said = {other for other, at in peer.told.items() if state.clock - at < state.settings.suspect_ms}
    refusal.asked += tuple(sorted(said - set(refusal.asked)))
    refusal.agreed |= said
    _count(state, name, refusal)


def _count(state: DetectorState, name: bytes, refusal: Refusal) -> None:
    """Most of those who could be asked: who speaks without being asked counts no more than others."""
    able = sum(it.state == ALIVE for other, it in state.peers.items() if other != name)
    panel = max(len(refusal.asked), min(state.settings.probes, able))
    refusal.certain |= bool(refusal.agreed) and 2 * (1 + len(refusal.agreed)) > 1 + panel


def _ask(state: DetectorState, name: bytes, refusal: Refusal, effects: list[Effect]) -> None:
    if refusal.nonce and state.clock - refusal.asked_at < state.settings.beat_ms:
        return
    able = [other for other, it in state.peers.items() if it.state == ALIVE and other != name]
    if not able:
        return
    state.nonce += 1
    count = min(state.settings.probes, len(able))
    refusal.asked = tuple(able[(state.turn + n) % len(able)] for n in range(count))
    refusal.asked_at, refusal.nonce = state.clock, state.nonce
    refusal.agreed.clear()
    state.turn = (state.turn + count) % len(able)
    state.counters.requests += count
    effects.extend((SEND, other, (KNOCK, name, refusal.nonce)) for other in refusal.asked)


def asked(state: DetectorState, asker: bytes, target: bytes, nonce: int, effects: list[Effect]) -> None:
    """Another one was refused there. As many are looked for as probes are passed on."""
    peer = state.peers.get(target)
    if peer is None or target == asker:
        state.counters.misunderstood += 1
        return
    peer.told[asker] = state.clock
    if peer.refusal is not None and not peer.refusal.certain:
        _believe(state, target, peer, peer.refusal)
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
    state: DetectorState, sender: bytes, name: bytes, peer: PeerState, nonce: int, was_refused: int
) -> None:
    """One that was asked has looked."""
    refusal = peer.refusal
    if refusal is None or refusal.certain or nonce != refusal.nonce or sender not in refusal.asked:
        state.counters.outdated += 1
    elif not was_refused:
        state.counters.denied += 1
        peer.refusal = None
        peer.told.clear()
    else:
        refusal.agreed.add(sender)
        _count(state, name, refusal)


def check(peer: PeerState) -> None:
    """Raise AssertionError unless it hangs together."""
    refusal = peer.refusal
    if refusal is not None:
        assert peer.spoke
        assert refusal.agreed <= set(refusal.asked)
        assert not refusal.certain or not refusal.asked or 2 * len(refusal.agreed) + 1 > len(refusal.asked)
