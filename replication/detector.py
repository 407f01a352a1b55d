"""Who among the members is alive, as one node sees it. Pure: no I/O; `now` is a monotonic clock's milliseconds.

Knows nothing of groups, claims or takeovers: it only says what it thinks, and that may be wrong. What must not happen
on account of it is guarded by epochs.

Every member is sent a beat in each interval, and silence is suspicion. A suspected peer is asked for by others, over
their links, before it is called dead: so one bad link is not a death (A. Das, I. Gupta, A. Motivala, "SWIM: Scalable
Weakly-consistent Infection-style Process Group Membership Protocol", DSN 2002). A node that is slow itself is a bad
judge: time counts only as far as it was listened (in the spirit of A. Dadgar, J. Phillips, J. Currey, "Lifeguard:
SWIM-ing with Situational Awareness", 2017, whose local health multiplies timeouts), and after a pause all times begin
anew.

What is promised, in listening time, with `settings.dead_ms` = suspect_ms + confirm_ms:

- A peer is called dead only if none of its words came for `dead_ms`, and no round of asking for it that began within
  the last `dead_ms` was answered; or if its process has ended, as far as can be found out from elsewhere (`ending`).
- A peer that dies is called dead within `dead_ms` + one tick after its last word came.
- In each interval of `beat_ms`: one beat to each member, `probes` requests for each silent one, and as many probes
  for others as they could fairly ask for. Nothing is sent because of what others think.
"""

from collections.abc import Iterable
from typing import Any

import attrs

from replication import ending
from replication.detectorstate import (
    ALIVE,
    BEAT,
    BOOT_SIZE,
    DEAD,
    FORMER_BOOTS_KEPT,
    FORMER_WORDS_MAX,
    KNOCK,
    KNOCKED,
    PAUSED,
    PROBE,
    PROBE_ANSWER,
    PROBE_REPLY,
    PROBE_REQUEST,
    RESTARTED,
    SEND,
    STATE,
    STATES,
    SUSPECT,
    UNKNOWN,
    UNREACHABLE,
    DetectorSettings,
    DetectorState,
    Effect,
    Message,
    PeerState,
)

RELAY_SHARE = 4
"""Times the probes that a node passes on if all members ask evenly about all others."""


class Detector:
    """One node's detector.

    Args:
        node: this node's id.
        members: ids of the configured members; this node may be among them.
        boot: random, new at each start.
        now: milliseconds of a monotonic clock; only differences count.
    """

    __slots__ = ("state",)

    def __init__(
        self, node: bytes, members: Iterable[bytes], boot: bytes, settings: DetectorSettings, now: int
    ) -> None:
        self.state = DetectorState(node, frozenset(members), boot, settings, now)

    def tick(self, now: int) -> list[Effect]:
        """Time went by. To be called every `tick_ms`, after what has arrived was handed in."""
        state = self.state
        settings = state.settings
        effects: list[Effect] = []
        gap = max(0, now - state.tick_at)
        state.clock += min(gap, settings.stride_ms)
        state.tick_at = max(now, state.tick_at)
        if gap > settings.stride_ms:
            state.counters.lost_time_ms += gap - settings.stride_ms
        if gap > settings.pause_ms:
            self._afresh()
            state.counters.pauses += 1
            state.counters.pause_longest_ms = max(state.counters.pause_longest_ms, gap)
            effects.append((PAUSED, gap))
        for name, peer in state.peers.items():
            ending.waited(state, name, peer)
            self._judge(name, peer, effects)
        if now >= state.beat_at:
            state.beat_at = now + settings.beat_ms
            state.relays_left = RELAY_SHARE * settings.probes * len(state.peers)
            self._beat(effects)
        for name, peer in state.peers.items():
            if now >= peer.probe_at and state.clock - peer.heard >= settings.suspect_ms:
                peer.probe_at = now + (settings.suspect_ms if peer.state == DEAD else settings.beat_ms)
                self._ask(name, peer, effects)
        return effects

    def heard(self, peer: bytes, now: int) -> list[Effect]:
        """Any word came from a peer, of whatever kind."""
        known = self.state.peers.get(peer)
        effects: list[Effect] = []
        if known is None:
            self.state.counters.strangers += 1
        else:
            self._word(known, now)
            self._judge(peer, known, effects)
        return effects

    def received(self, peer: bytes, message: Message, now: int) -> list[Effect]:
        """A message came over the control link, from the node that this peer was proved to be."""
        state = self.state
        known = state.peers.get(peer)
        if known is None:
            state.counters.strangers += 1
            return []
        if not _well_formed(message):
            state.counters.misunderstood += 1
            return self.heard(peer, now)
        effects: list[Effect] = []
        code, *rest = message
        if code == BEAT:
            boot, deaf = rest[:2]  # what is behind is not for a detector
            if not self._boot(peer, known, boot, effects):
                return effects
            if not deaf:
                known.deaf_since = None
            elif known.deaf_since is None:
                known.deaf_since = self._clock(now)
        self._word(known, now)
        self._judge(peer, known, effects)
        if code == PROBE_REQUEST:
            self._relay(peer, rest[0], rest[1], effects)
        elif code == PROBE:
            effects.append((SEND, peer, (PROBE_REPLY, rest[0], rest[1], state.boot)))
        elif code == PROBE_REPLY:
            if rest[0] in state.peers:
                effects.append((SEND, rest[0], (PROBE_ANSWER, peer, rest[1], rest[2])))
        elif code == PROBE_ANSWER:
            self._answered(rest[0], rest[1], rest[2], effects)
        elif code == KNOCK:
            ending.asked(state, peer, rest[0], rest[1], self._clock(now), effects)
            if rest[0] in state.peers:
                self._judge(rest[0], state.peers[rest[0]], effects)
        elif code == KNOCKED and rest[0] in state.peers:
            ending.answered(state, peer, rest[0], rest[1], rest[2], self._clock(now))
            self._judge(rest[0], state.peers[rest[0]], effects)
        return effects

    def refused(self, peer: bytes, now: int) -> list[Effect]:
        """Connections to a peer were closed by the other side, and new ones are refused. Again as long as it is so."""
        known = self.state.peers.get(peer)
        effects: list[Effect] = []
        if known is not None:
            ending.refused(self.state, peer, known, self._clock(now), effects)
            self._judge(peer, known, effects)
        return effects

    def knocked(self, target: bytes, asker: bytes, nonce: int, was_refused: bool) -> list[Effect]:
        """What came of LOOK; nothing is to be said if it isn't known."""
        return ending.looked(asker, target, nonce, was_refused)

    def added(self, peer: bytes, cluster: str | None = None) -> None:
        """A node is a member from now on, of this node's cluster or of another one; nothing is known of it yet."""
        state = self.state
        if peer == state.node:
            return
        if peer not in state.peers:
            state.peers[peer] = PeerState(state.clock)
            state.peers = dict(sorted(state.peers.items()))
        state.peers[peer].cluster = cluster

    def removed(self, peer: bytes) -> None:
        """It is none any more: nothing more is thought of it."""
        if self.state.peers.pop(peer, None) is not None:
            most = RELAY_SHARE * self.state.settings.probes * len(self.state.peers)
            self.state.relays_left = min(self.state.relays_left, most)

    def state_of(self, peer: bytes) -> str:
        """One of STATES. Raises KeyError for one that is no other member."""
        return self.state.peers[peer].state

    def is_cut_off(self, peer: bytes) -> bool:
        """Whether a member is dead or out of reach; False also of who is no peer now, of whom nothing is known."""
        judged = self.state.peers.get(peer)
        return judged is not None and judged.state in (DEAD, UNREACHABLE)

    def has_ended(self, peer: bytes) -> bool:
        """Whether it is dead since its process has ended, and not for its silence."""
        judged = self.state.peers.get(peer)
        return judged is not None and judged.refusal is not None and judged.refusal.certain

    def boot_of(self, peer: bytes) -> bytes | None:
        """The boot id last heard of."""
        return self.state.peers[peer].boot

    def in_state(self, *states: str) -> tuple[bytes, ...]:
        """The other members that are in one of these states, in the order of their ids."""
        return tuple(name for name, peer in self.state.peers.items() if peer.state in states)

    def statistics(self) -> dict[str, Any]:
        """Peers by state, counters since the start, and how far listening time lags behind."""
        counts = dict.fromkeys(STATES, 0)
        for peer in self.state.peers.values():
            counts[peer.state] += 1
        return {
            "peers": counts,
            "listened_ms": self.state.clock,
            "rounds_open": sum(len(peer.rounds) for peer in self.state.peers.values()),
            **attrs.asdict(self.state.counters),
        }

    def check(self) -> None:
        """Raise AssertionError unless the state hangs together."""
        state = self.state
        settings = state.settings
        assert state.node not in state.peers
        assert 0 <= state.relays_left <= RELAY_SHARE * settings.probes * len(state.peers)
        for name, peer in state.peers.items():
            assert peer.state in STATES
            assert peer.heard <= state.clock + settings.stride_ms
            assert peer.vouched is None or peer.vouched <= state.clock
            assert peer.deaf_since is None or peer.spoke
            assert peer.state != UNKNOWN or not peer.spoke
            assert peer.state != ALIVE or peer.spoke
            assert len(peer.rounds) <= settings.rounds_max, name
            assert peer.rounds == sorted(peer.rounds)
            assert len(peer.former) <= FORMER_BOOTS_KEPT
            assert peer.boot not in peer.former
            ending.check(peer)
            if peer.state == DEAD and not self.has_ended(name):
                assert state.clock - peer.heard >= settings.dead_ms
                assert peer.vouched is None or state.clock - peer.vouched >= settings.dead_ms

    # ---- what is thought ---------------------------------------------------------------------------

    def _clock(self, now: int) -> int:
        """Listening time at `now`, as the next tick will count it at least."""
        return self.state.clock + min(max(0, now - self.state.tick_at), self.state.settings.stride_ms)

    def _opinion(self, peer: PeerState) -> str:
        state, settings, refusal = self.state, self.state.settings, peer.refusal
        quiet = state.clock - peer.heard
        if refusal is not None and (refusal.certain or quiet < settings.suspect_ms):
            return DEAD if refusal.certain else SUSPECT
        if quiet < settings.suspect_ms:
            if not peer.spoke:
                return UNKNOWN
            deaf = peer.deaf_since is not None and state.clock - peer.deaf_since >= settings.suspect_ms
            return UNREACHABLE if deaf else ALIVE
        if peer.vouched is not None:
            quiet = min(quiet, state.clock - peer.vouched)
        if quiet < settings.suspect_ms:
            return UNREACHABLE
        return SUSPECT if quiet < settings.dead_ms else DEAD

    def _judge(self, name: bytes, peer: PeerState, effects: list[Effect]) -> None:
        opinion = self._opinion(peer)
        if opinion == peer.state:
            return
        counters = self.state.counters
        counters.suspicions += opinion == SUSPECT
        if opinion == DEAD:
            counters.deaths += 1
            counters.ended += self.has_ended(name)
            peer.died = peer.boot is not None
        elif opinion == SUSPECT:
            peer.probe_at = 0
        peer.state = opinion
        effects.append((STATE, name, opinion, peer.boot))

    def _word(self, peer: PeerState, now: int) -> None:
        peer.heard = max(peer.heard, self._clock(now))
        peer.spoke = True
        peer.refusal = None
        peer.told.clear()
        peer.rounds.clear()

    def _boot(self, name: bytes, peer: PeerState, boot: bytes, effects: list[Effect]) -> bool:
        """Whether this is the start of it that counts."""
        if boot == peer.boot:
            self.state.counters.wrong_deaths += peer.died
            peer.died = False
            peer.former_words = 0
            return True
        if boot in peer.former:
            self.state.counters.outdated += 1
            peer.former_words += 1
            silent = self.state.clock - peer.heard >= self.state.settings.suspect_ms
            if not silent or peer.former_words < FORMER_WORDS_MAX:
                return False
            peer.former = tuple(one for one in peer.former if one != boot)
        peer.former_words = 0
        before, peer.boot = peer.boot, boot
        if before is not None:
            peer.former = (*peer.former, before)[-FORMER_BOOTS_KEPT:]
            peer.deaf_since = None
            peer.died = False
            peer.refusal = None
            peer.told.clear()
            self.state.counters.restarts += 1
            effects.append((RESTARTED, name, boot))
        return True

    def _afresh(self) -> None:
        """This node stood still: what it didn't hear meanwhile says nothing. Opinions stay, their times begin anew."""
        clock, suspect_ms = self.state.clock, self.state.settings.suspect_ms
        for peer in self.state.peers.values():
            peer.rounds.clear()
            peer.probe_at = 0
            if peer.state == DEAD:
                continue
            quiet = clock - peer.heard >= suspect_ms
            peer.refusal = None
            peer.told.clear()
            if peer.state == SUSPECT and quiet:
                peer.heard, peer.vouched = clock - suspect_ms, None
            elif peer.state == UNREACHABLE and quiet:
                peer.vouched = clock
            else:
                peer.heard = max(peer.heard, clock)
                peer.deaf_since = None if peer.state == ALIVE else peer.deaf_since

    # ---- what is said ------------------------------------------------------------------------------

    def _beat(self, effects: list[Effect]) -> None:
        state = self.state
        for name, peer in state.peers.items():
            deaf = int(state.clock - peer.heard >= state.settings.suspect_ms)
            effects.append((SEND, name, (BEAT, state.boot, deaf)))
        state.counters.beats += len(state.peers)

    def _ask(self, name: bytes, peer: PeerState, effects: list[Effect]) -> None:
        """Begin a round: others are asked for a peer, in turn, so that one bad link spoils one round at most."""
        state = self.state
        able = [other for other, it in state.peers.items() if it.state == ALIVE]
        if not able:
            return
        state.nonce += 1
        settings = state.settings
        fresh = [round_ for round_ in peer.rounds if state.clock - round_[1] < settings.dead_ms]
        peer.rounds = [*fresh, (state.nonce, state.clock)][-settings.rounds_max :]
        for n in range(min(settings.probes, len(able))):
            other = able[(state.turn + n) % len(able)]
            effects.append((SEND, other, (PROBE_REQUEST, name, state.nonce)))
            state.counters.requests += 1
        state.turn = (state.turn + settings.probes) % len(able)

    def _relay(self, asker: bytes, target: bytes, nonce: int, effects: list[Effect]) -> None:
        state = self.state
        if target not in state.peers or target == asker:
            state.counters.misunderstood += 1
        elif not state.relays_left:
            state.counters.relays_refused += 1
        else:
            state.relays_left -= 1
            state.counters.relayed += 1
            effects.append((SEND, target, (PROBE, asker, nonce)))

    def _answered(self, name: bytes, nonce: int, boot: bytes, effects: list[Effect]) -> None:
        peer = self.state.peers.get(name)
        asked = next((when for number, when in peer.rounds if number == nonce), None) if peer else None
        if peer is None or asked is None:
            self.state.counters.outdated += 1
            return
        if peer.vouched is not None and asked <= peer.vouched:
            return  # one of the others who were asked was quicker
        if not self._boot(name, peer, boot, effects):
            return
        self.state.counters.answers += 1
        # It was there when we asked, at least; what happened since, an old answer can't know.
        peer.vouched = asked
        if peer.refusal is not None and asked >= peer.refusal.since:
            peer.refusal = None
        self._judge(name, peer, effects)


def _well_formed(message: Message) -> bool:
    if not isinstance(message, tuple | list) or not message:
        return False
    code, *rest = message
    if code == BEAT:
        return len(rest) >= 2 and _is_boot(rest[0]) and rest[1] in (0, 1)
    if code in (PROBE_REQUEST, PROBE, KNOCK):
        return len(rest) >= 2 and isinstance(rest[0], bytes) and isinstance(rest[1], int)
    if code in (PROBE_REPLY, PROBE_ANSWER):
        return (
            len(rest) >= 3 and isinstance(rest[0], bytes) and isinstance(rest[1], int) and _is_boot(rest[2])
        )
    if code == KNOCKED:
        return (
            len(rest) >= 3 and isinstance(rest[0], bytes) and isinstance(rest[1], int) and rest[2] in (0, 1)
        )
    return False


def _is_boot(boot: object) -> bool:
    return isinstance(boot, bytes) and len(boot) == BOOT_SIZE
