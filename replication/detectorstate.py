"""What a failure detector knows, says and asks for, apart from the logic in `detector`. Knows no link and no clock.

Messages go over the control link of two nodes: tuples, first their code; CBOR on the wire. Any of them may be lost,
come twice, or late.

    (BEAT, boot, deaf)                  I am alive. boot: a random id of this start of the node; deaf: 1 if nothing
                                        of yours has come to me for `suspect_ms`; what the sender has as roster may
                                        stand behind it (`membership.exchange`)
    (PROBE_REQUEST, target, nonce)      I hear nothing from `target`: ask it for me
    (PROBE, asker, nonce)               `asker` can't hear you: are you there?
    (PROBE_REPLY, asker, nonce, boot)   yes
    (PROBE_ANSWER, target, nonce, boot) it said yes
    (KNOCK, target, nonce)              I was refused where `target` listened: are you, too?
    (KNOCKED, target, nonce, refused)   1: I was refused there; 0: somebody answered

What a newer release appends is passed over. A release that doesn't know a word passes over it, and answers nothing.

Effects, to be carried out in their order:

    (SEND, peer, message)
    (STATE, peer, state, boot)      what is now thought of a peer; boot is None if none was ever heard of
    (RESTARTED, peer, boot)         it is another start of that node than the one known so far
    (PAUSED, length_ms)             this node itself stood still; nobody was judged for it
    (LOOK, target, asker, nonce)    find out whether anybody listens where `target` did, and tell `Detector.knocked`
"""

from typing import Any, Final

import attrs

Message = tuple[Any, ...]
Effect = tuple[Any, ...]

BEAT: Final = 0
PROBE_REQUEST: Final = 1
PROBE: Final = 2
PROBE_REPLY: Final = 3
PROBE_ANSWER: Final = 4
KNOCK: Final = 5
KNOCKED: Final = 6

SEND: Final = 0
STATE: Final = 1
RESTARTED: Final = 2
PAUSED: Final = 3
LOOK: Final = 4

UNKNOWN: Final = "unknown"
"""Not a word yet since this node started, and not long enough ago to think anything of it."""
ALIVE: Final = "alive"
"""Heard from, and it hears us."""
UNREACHABLE: Final = "unreachable"
"""Alive, but the way from it or to it is cut: not to be fenced, and not to be chosen as an heir."""
SUSPECT: Final = "suspect"
"""Silent; others are being asked."""
DEAD: Final = "dead"
"""Silent, and nobody who was asked has heard it in time; or its process has ended (`ending`)."""
STATES: Final = (UNKNOWN, ALIVE, UNREACHABLE, SUSPECT, DEAD)

BOOT_SIZE: Final = 8
FORMER_BOOTS_KEPT: Final = 8
"""Boot ids of a peer's past; what still arrives from one of them is no sign of life."""
FORMER_WORDS_MAX: Final = 4
"""… unless it goes on speaking while the one that was taken for its successor is silent: then it was the other way
round, and what came from the former one came late, to a node that had not known either."""


@attrs.frozen(kw_only=True)
class DetectorSettings:
    """Milliseconds as named.

    Args:
        beat_ms: between two beats to each member, and between two rounds of asking others for one that is silent.
        suspect_ms: silence after which a peer is suspected.
        confirm_ms: how long others have time to hear from it.
        tick_ms: how often the driver calls `tick`.
        stride_ms: how much of the time between two ticks counts as listening, at most.
        pause_ms: longer between two ticks, and this node stood still: all timers start afresh.
        probes: members asked in one round.
        ended_ms: silence without which nobody's process is believed to have ended; 0: what was refused is no evidence.
    """

    beat_ms: int = 250
    suspect_ms: int = 1_000
    confirm_ms: int = 750
    tick_ms: int = 100
    stride_ms: int = 200
    pause_ms: int = 500
    probes: int = 3
    ended_ms: int = 50

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("beat_ms", 10, 60_000),
            ("suspect_ms", 20, 600_000),
            ("confirm_ms", 10, 600_000),
            ("tick_ms", 1, 10_000),
            ("stride_ms", 1, 10_000),
            ("pause_ms", 1, 600_000),
            ("probes", 1, 16),
            ("ended_ms", 0, 600_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"detector.{name} is {value}: choose a value from {low} to {high}")
        if self.suspect_ms < 2 * self.beat_ms:
            raise ValueError("detector.suspect_ms is below two beats: one lost beat would be a suspicion")
        if self.confirm_ms < 2 * self.beat_ms:
            raise ValueError("detector.confirm_ms is below two beats: others would be asked only once")
        if not self.tick_ms <= self.stride_ms <= self.pause_ms <= self.suspect_ms:
            raise ValueError("detector: tick_ms ≤ stride_ms ≤ pause_ms ≤ suspect_ms must hold")

    @property
    def dead_ms(self) -> int:
        """Silence, of listening time, after which a peer is dead."""
        return self.suspect_ms + self.confirm_ms

    @property
    def answer_ms(self) -> int:
        """How long those who are asked to knock have time before it is counted without them; more than a connection and
        a word there and back take, and less than a beat."""
        return 2 * self.beat_ms // 5

    @property
    def rounds_max(self) -> int:
        """Rounds of asking whose answers still count."""
        return self.dead_ms // self.beat_ms + 2


class Refusal:
    """Nobody listens any more where a peer did, as this node has found; no word of it came since. Times are of
    `DetectorState.clock`.

    since: when that was found first. asked: those who were asked last whether they find so, too, at `asked_at`, under
    `nonce`, and those who said it unasked; agreed: those of them who do. certain: enough of those who looked agree.
    """

    __slots__ = ("agreed", "asked", "asked_at", "certain", "nonce", "since")

    def __init__(self, since: int) -> None:
        self.since = since
        self.asked: tuple[bytes, ...] = ()
        self.asked_at = 0
        self.nonce = 0
        self.agreed: set[bytes] = set()
        self.certain = False


class PeerState:
    """One other member. Times are of `DetectorState.clock`, except probe_at."""

    __slots__ = (
        "boot",
        "cluster",
        "deaf_since",
        "denied",
        "died",
        "former",
        "former_words",
        "heard",
        "probe_at",
        "refusal",
        "rounds",
        "spoke",
        "state",
        "told",
        "vouched",
    )

    def __init__(self, clock: int) -> None:
        self.state = UNKNOWN
        self.cluster: str | None = None
        """The label of its cluster; None: this node's own."""
        self.boot: bytes | None = None
        self.former: tuple[bytes, ...] = ()
        self.former_words = 0
        """Words of a former start since the last one of this."""
        self.spoke = False
        """Whether it was ever heard directly."""
        self.heard = clock
        """When it was last heard directly; at first, when we began to listen."""
        self.vouched: int | None = None
        """When somebody was asked who then heard it."""
        self.deaf_since: int | None = None
        """Since when it says that it doesn't hear us."""
        self.died = False
        """Whether this start of it was called dead, and it has not been found out since whether that was so."""
        self.rounds: list[tuple[int, int]] = []
        """(nonce, when) of the rounds whose answers still count, oldest first."""
        self.probe_at = 0
        """`now` before which no further round begins."""
        self.refusal: Refusal | None = None
        self.told: dict[bytes, int] = {}
        """Who has said of itself that it was refused there, and when; no word of the peer came since."""
        self.denied: int | None = None
        """When somebody said that it was let in where this node was refused."""


class DetectorState:
    """A node's view of all others.

    clock is *listening time*: it begins at 0 and goes on with `now`, but by stride_ms at most from tick to tick.
    """

    __slots__ = (
        "beat_at",
        "boot",
        "clock",
        "counters",
        "node",
        "nonce",
        "peers",
        "relays_left",
        "settings",
        "tick_at",
        "turn",
    )

    def __init__(
        self, node: bytes, members: frozenset[bytes], boot: bytes, settings: DetectorSettings, now: int
    ):
        if len(boot) != BOOT_SIZE:
            raise ValueError(f"a boot id has {BOOT_SIZE} random bytes, not {len(boot)}")
        self.node = node
        self.boot = boot
        self.settings = settings
        self.clock = 0
        self.tick_at = now
        self.beat_at = now
        # Answers to a former start of this node must not fit.
        self.nonce = int.from_bytes(boot[:4], "big") << 24
        self.turn = int.from_bytes(boot[4:], "big")
        """Who is asked first in the next round: not the same one by every node."""
        self.peers = {peer: PeerState(0) for peer in sorted(members - {node})}
        self.relays_left = 0
        """Probes that are passed on for others until the next beat."""
        self.counters = Counters()


@attrs.define
class Counters:
    """Since the start.

    wrong_deaths: peers that were called dead and turned out to have lived on. lost_time_ms: between ticks, and not
    counted as listening. outdated: words of a former start of a peer, and answers to questions that are closed.
    ended: deaths that were found by refusals, of all. refusals: how often this node found that nobody listened any more
    where a peer did; looked: how often it looked for others; denied: refusals that another one didn't find.
    """

    beats: int = 0
    requests: int = 0
    answers: int = 0
    relayed: int = 0
    relays_refused: int = 0
    suspicions: int = 0
    deaths: int = 0
    ended: int = 0
    wrong_deaths: int = 0
    restarts: int = 0
    pauses: int = 0
    pause_longest_ms: int = 0
    lost_time_ms: int = 0
    strangers: int = 0
    misunderstood: int = 0
    outdated: int = 0
    refusals: int = 0
    looked: int = 0
    denied: int = 0
