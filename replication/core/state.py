"""All that a replica of one group holds in memory. Classes of state only: the logic is in the modules that take it, so
that logic can be replaced in a running node while the state stays."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from replication.claim import Claim, Rank
from replication.core.holds import Holds
from replication.core.knowledge import Cursor, Knowledge
from replication.core.pace import Pace
from replication.core.pledges import Pledge, Pledging
from replication.core.settings import ReplicaSettings
from replication.unknown import Unknown

Effect = tuple[Any, ...]
Part = tuple[int, str, bytes, int]
"""(partition, table, blob of carried records, rows)"""
Done = Callable[[int, Exception | None], None]
"""(copies, error): a write has ended"""

Kept = tuple[int, list[Part], int, int, int]
"""(to, parts, rows, bytes, when it was made) of a commit that isn't sent yet"""
Sent = tuple[int, int, int, int, int, dict[str, int]]
"""(number, to, rows, bytes, when the oldest of it was committed, rows by table) of a frame"""

# What a partition is to this node. Only SERVING takes writes.
ASIDE = 0
"""Somebody else is its primary, or nobody yet."""
CLAIMING = 1
"""A claim of this node is being made durable."""
GATHERING = 2
"""It asks everybody for what it may lack."""
SERVING = 3
MOVING = 4
"""It stands still, until what was written has reached the node that is to take it over."""

# What a copy is good for.
NONE = 0
"""Nothing is known of it, or it is not complete: it contributes what it has, and fills."""
LIVE = 1
"""It has everything that was settled: it may be served."""
VOID = 2
"""It was away for longer than tombstones are kept: it is being emptied, and contributes nothing."""

# What the detector says of a peer.
UNKNOWN = 0
ALIVE = 1
SILENT = 2
"""Suspected, or out of our reach while others reach it: neither to be fenced nor to be chosen."""
DEAD = 3


class Waiting:
    """A write that is durable here and waits for the heir."""

    __slots__ = ("before", "done", "sequence")

    def __init__(self, before: int, sequence: int, done: Done) -> None:
        self.before = before  # all of its rows are after it: a write of several has several sequences
        self.sequence = sequence  # of its last row
        self.done = done


class Partition:
    """One partition of the group."""

    __slots__ = (
        "asof", "born_at", "ceased", "claim", "copy", "differed", "differs_at", "early", "gather_until",
        "gathering", "handed_until", "heir_live", "incoming", "move_asked", "move_done", "move_mark", "move_to",
        "move_until", "number", "owing", "phase", "pledge", "pledging", "served_at", "since", "single_since", "thin",
        "touched", "unserved_since", "useless_since", "waiting", "writing", "yield_at", "yields",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.number = number
        self.claim: Claim | None = None
        self.phase = ASIDE
        self.copy = NONE
        self.thin = False  # it was complete when this node went down, and lacks only rows kept in memory
        # When this node claimed it out of nothing, empty; None: it didn't, in this life.
        self.born_at: int | None = None
        self.owing = False  # there may be something here that its primary lacks: offered in each life anew
        self.asof = 0  # the epoch of the last claim under which the copy was complete
        # Who changed it here (None: this node) → last local sequence.
        self.touched: dict[bytes | None, int] = {}
        # Lists: an empty deque has 600 bytes, and a node has two of these for each of 1,024 partitions.
        self.waiting: list[Waiting] = []  # what the heir gets in frames
        self.early: list[Waiting] = []  # written before the partition was opened on the heir's stream
        self.heir_live = False
        self.since = 0  # local sequence at which this node began to serve it
        self.differed = 0  # times that the copy was found to differ, each soon after it was mended
        self.differs_at = 0  # when it may be compared again
        self.ceased = False  # the user of the group was told to forget it, while others' changes are taken in
        self.writing = 0  # writes that were handed to the store
        self.yields = 0
        self.yield_at = -(10**12)  # when the heir was asked to take over last
        self.single_since: int | None = None  # since when it stands at fewer live copies than it should
        self.unserved_since: int | None = None  # since when nobody serves it, as far as this node knows
        self.useless_since: int | None = None  # since when it is of no use here, as far as this node knows
        self.gathering: set[bytes] = set()  # peers that are to be asked before it is served
        self.gather_until = 0  # … or, once it has ceased, until when more is waited for
        self.handed_until: int | None = None  # another node waits for this one to take it over: until then
        self.served_at: int | None = None  # since when this node serves what it was handed
        self.incoming = 0  # commits under way by which others' rows of it change here
        self.move_to: bytes | None = None
        self.move_until = 0
        self.move_mark: tuple[int, int] | None = None  # (session, frame) with the last of it
        self.move_asked = False  # the target was told to take it over
        self.move_done: Done | None = None
        self.pledge: Pledge | None = None  # None: nothing was given out, as far as this node knows
        self.pledging: Pledging | None = (
            None  # who has pledged it to this node's claim; None: nobody was asked
        )

    @property
    def sound(self) -> bool:
        """Whether everything on disc is here that was settled: it is complete, or was when this node went down."""
        return self.copy == LIVE or self.thin

    def foreign(self, primary: bytes) -> int:
        """The last local sequence at which it was changed by anybody but ``primary``."""
        return max((at for who, at in self.touched.items() if who != primary), default=0)


class Given:
    """A partition that was given away by a planned move and isn't served yet, as far as this node knows. to: who has
    claimed it. prior: the claim that it was given from."""

    __slots__ = ("asked", "asked_at", "claimed_at", "prior", "stopped_at", "to")

    def __init__(self, to: bytes, prior: Rank | None, stopped_at: int, claimed_at: int) -> None:
        self.to = to
        self.prior = prior
        self.stopped_at = stopped_at  # when it was served here last
        self.claimed_at = claimed_at
        self.asked_at = claimed_at  # when it was asked whether it is served
        self.asked = 0  # how often


class Stream:
    """What this node sends to one peer, of the partitions that it is primary of."""

    __slots__ = (
        "acked", "acked_number", "behind_bytes", "behind_rows", "behind_tables", "claims_due", "closing",
        "inflight", "inflight_bytes", "inflight_rows", "inflight_tables", "kept", "lagging", "number", "opened",
        "opened_at", "opening", "progress_at", "reading", "said_at", "sent", "session", "shut", "started_at",
        "urgent", "urgent_wanted",
    )  # fmt: skip

    def __init__(self) -> None:
        self.session = 0  # 0: none
        self.started_at = 0
        self.number = 0
        self.sent = 0
        self.acked = 0
        self.acked_number = 0
        self.progress_at = 0  # when something was acknowledged last, or there was nothing to acknowledge
        self.inflight: deque[Sent] = deque()
        self.inflight_rows = 0
        self.inflight_bytes = 0
        self.inflight_tables: dict[str, int] = {}  # rows by table
        self.opened: dict[int, int] = {}  # partition → the frame that opened it
        self.opened_at: dict[int, int] = {}  # … → our sequence before it
        self.opening: set[int] = set()  # to be opened with the next frame
        self.closing: set[int] = set()
        # Partitions that the peer refused under our claim → when to open them again.
        self.shut: dict[int, int] = {}
        self.claims_due: set[int] = set()
        self.lagging = False  # frames were left out: a difference is to be sent
        self.reading = False  # it is being read
        self.kept: deque[Kept] | None = None  # what was committed since it was asked for; None: too much
        self.behind_rows = 0  # committed since what was sent last
        self.behind_bytes = 0
        # Table → (rows of it, when the oldest was committed).
        self.behind_tables: dict[str, tuple[int, int]] = {}
        # Frame → (partition, its early writes up to).
        self.urgent: dict[int, tuple[tuple[int, int], ...]] = {}
        self.urgent_wanted: set[int] = set()  # partitions whose early writes are to be sent
        self.said_at = 0  # when a frame was sent last


class Source:
    """What one peer, a primary, sends to this node."""

    __slots__ = (
        "expected", "heads", "incarnation", "mark", "opened", "queue", "queued_bytes", "refusals",
        "session", "stale", "start", "told", "told_at",
    )  # fmt: skip

    def __init__(self) -> None:
        self.incarnation = 0
        self.session = 0  # 0: none; the peer was told what is known, and is to begin
        self.stale = False  # the peer may have forgotten what it was told: it is to be told when it hails
        self.start: Sequence[Any] | None = None  # of a stream that begins when what is under way is durable
        self.expected = 0  # the number of the next frame
        self.opened: dict[int, int] = {}  # partition → the peer's sequence at which it was opened
        # … → where the peer was when a piece was read that wasn't the last; else 0.
        self.heads: dict[int, int] = {}
        self.mark = 0  # last local sequence at which one of them was changed by anybody else
        self.told: dict[int, Claim] = {}  # partition → the claim that the stream has reached
        self.refusals: set[int] = set()  # partitions of this session that are not taken in
        self.queue: deque[tuple[Any, ...]] = deque()  # messages to be applied: START, FRAME, CHECK, CHUNK
        self.queued_bytes = 0
        self.told_at = -(10**12)  # when KNOW was sent last


class Pull:
    """A question that is under way."""

    __slots__ = ("answered", "asked_at", "ends", "floors", "id", "since")

    def __init__(self, number: int, since: dict[int, Cursor], floors: dict[int, int], asked_at: int) -> None:
        self.id = number
        self.since = since  # partition → the cursor that was sent
        self.floors = floors  # partition → the floor here, then
        self.asked_at = asked_at
        self.answered = False  # the answer waits to be applied
        self.ends: frozenset[int] = frozenset()  # partitions of which nothing more is wanted after it


class Peer:
    """Another member, as this group sees it."""

    __slots__ = (
        "ahead", "ask_at", "busy", "claims_told", "dead_since", "differed", "failures", "hailed_at", "id",
        "incarnation", "known", "known_told", "live", "live_told_at", "live_untold", "liveness",
        "meeting", "met", "offered_all", "offered_at", "offers", "partings", "patience", "pledges_asked",
        "pledges_due", "pulls", "reads", "source", "spare_at", "stream", "tells_served", "wanted",
    )  # fmt: skip

    def __init__(self, identity: bytes) -> None:
        self.id = identity
        self.liveness = UNKNOWN
        self.incarnation = 0  # the last one it spoke in
        self.hailed_at = -(10**12)
        self.dead_since = 0
        self.claims_told = False
        self.differed = False  # it had other claims when it hailed last, and wasn't told ours yet
        self.known_told = False
        self.meeting = 0  # the number of the question that is to be answered; 0: it wasn't asked
        self.met = False  # since it was away last it has told all that it has and we may lack
        self.partings = 0  # how often it wasn't there since
        self.pledges_due: set[int] = set()  # partitions that it is to be asked to pledge
        self.pledges_asked: tuple[int, int, tuple[int, ...]] | None = (
            None  # (number, when, partitions) of a question
        )
        self.known = Knowledge()
        self.stream = Stream()
        self.source = Source()
        self.pulls: dict[int, Pull] = {}
        self.ask_at = 0  # not before: a chunk of its could not be taken in
        self.failures = 0  # of its chunks, one after the other
        self.patience = 1  # times `retry_ms` that an answer to a pull is waited for
        # Partition → the peer's sequence that is to be reached; -1: its head.
        self.wanted: dict[int, int] = {}
        # Partition → how far the chunks go that wait to be applied.
        self.ahead: dict[int, tuple[int, int, int]] = {}
        self.busy = False  # something of its changes, or of what is known of it, is being made durable
        self.reads = 0  # its pulls that are being read
        self.offers: dict[int, int] = {}  # partition → up to where it may learn from us
        self.offered_at = -(10**12)
        # (incarnation of the peer, round of purging) for which it has told all that it offers.
        self.offered_all = (
            0,
            0,
        )
        self.live: set[int] = set()  # partitions of ours of which it has told that its copy is complete
        self.live_untold: dict[int, int] = {}  # partition → epoch
        self.live_told_at = -(10**12)
        self.spare_at = -(10**12)  # when it was asked whether copies here are needed last
        self.tells_served = False  # it says when it serves what it was given


@attrs.define
class Counts:
    """What happened since the start, for statistics."""

    frames_sent: int = 0
    frames_applied: int = 0
    rows_sent: int = 0
    rows_applied: int = 0
    differences: int = 0
    restarts: int = 0
    chunks_sent: int = 0
    chunks_applied: int = 0
    settled: int = 0
    single: int = 0
    lost: int = 0
    refused: int = 0
    takeovers: int = 0
    thinned: int = 0
    heirs_lost: int = 0
    moves: int = 0
    yields: int = 0
    checks: int = 0
    mismatches: int = 0
    unmended: int = 0
    cleared: int = 0
    purges: int = 0
    pledges: int = 0
    pledges_refused: int = 0
    malformed: int = 0


class ReplicaState:
    """The whole. `now` is set by whoever drives the core, before each event, in milliseconds that never go back.

    Args:
        me: this node.
        members: all configured nodes that hold, or may hold, copies of the group, this one among them.
        ranked: partition → the members in the order in which they are wanted there.
        incarnation: of the group's store, this time.
        sequence: the last committed one.
        position: what a peer's (incarnation, sequence) of ours is worth: the sequence, or 0.
    """

    def __init__(
        self,
        me: bytes,
        members: Sequence[bytes],
        partitions: int,
        ranked: Callable[[int], Sequence[bytes]],
        settings: ReplicaSettings,
        *,
        incarnation: int,
        sequence: int,
        position: Callable[[int, int], int],
        now: int = 0,
    ) -> None:
        self.me = me
        self.ranked = ranked
        self.settings = settings
        self.incarnation = incarnation
        self.before = sequence  # where the last commit that this core was told of began
        self.sequence = sequence  # where it ended
        self.position = position
        self.now = now
        self.out: list[Effect] = []
        self.parts = [Partition(number) for number in range(partitions)]
        self.peers: dict[bytes, Peer] = {member: Peer(member) for member in members if member != me}
        self.started_at = now
        self.forgetful = False  # rows that were kept in memory went with the former life
        self.starting = True  # others are listened to before anything is claimed
        self.heard: set[bytes] = set()  # those that have told their claims since the start
        self.storing: dict[int, Claim] = {}  # claims of this node that are being made durable
        self.reclaimed: set[int] = set()  # partitions whose claim is another one, for who routes by claims
        self.unsaved: set[int] = set()  # partitions whose claim or copy differs from what is durable
        self.announcing: set[int] = set()  # partitions whose claim is to be told to everybody
        self.relaying = True  # everybody understands SPREAD
        self.pledges = True  # everybody understands PLEDGE
        self.pledging: set[int] = set()  # partitions that some members are asked to pledge
        self.spreading: set[int] = set()  # partitions whose claim this node tells everybody of, for others
        self.spread_at = -(10**12)
        self.far: frozenset[bytes] = frozenset()  # nodes of other clusters, whether they are peers now or not
        self.departed: set[bytes] = set()  # nodes that were removed, for good
        self.rehoming: set[int] = set()  # partitions whose heir is to be the one that rank wants
        self.standing: set[int] = set()  # partitions that stand still here for a move
        self.given: dict[int, Given] = {}  # partitions that others have claimed, and may not serve yet
        self.pace = Pace()
        self.moving: set[int] = set()  # partitions that are being moved
        self.clearing: set[int] = set()  # void copies that are being emptied
        self.waiting_on: set[int] = set()  # partitions with writes that wait
        self.serials = 0  # numbers of pulls and sessions
        self.waiting = 0
        self.looked_at = now  # when everything was looked at last
        self.check_at = now
        self.check_next: tuple[int, str | None, bytes] = (0, None, b"")  # partition, table, key
        self.checking = False
        self.persist_at = now
        self.purge_at = now
        self.purge_round = 0  # 0: none
        self.purge_asked_at = 0
        # Partitions of the round, and our claims when it began.
        self.purge_due: deque[tuple[int, Rank]] = deque()
        # Partition → (epoch of the raised floor, sequence before).
        self.purging: dict[int, tuple[int, int]] = {}
        self.counts = Counts()
        self.unknown = Unknown()  # codes that a newer release has
        self.holds = Holds()

    def reachable(self, peer: Peer) -> bool:
        """Whether a peer is there to be asked, or chosen."""
        return peer.liveness == ALIVE and peer.id in self.heard

    def serial(self) -> int:
        """A number that this life of the replica has not used yet."""
        self.serials += 1
        return self.serials
