"""All that the mail core holds in memory. Classes of state only: the logic is in the modules that take it, so that
logic can be replaced in a running node while the state stays."""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import attrs

from node.histogram import Histogram
from node.mail import invariants
from node.mail.intervals import Intervals
from node.mail.notes import Notes
from node.mail.pair import Message, Pair, PairKey
from node.mail.rounds import Rounds
from node.mail.settings import MailSettings


class Handle(Protocol):
    """A session: to the core only its identity counts, and the stream of the device that logged in on it."""

    stream: bytes


class Distant(Protocol):
    """Sessions of which there is no object while nothing here is about them: whoever is to be told something is woken
    first. None of them has a box, or is among `MailState.sessions`."""

    def wake(self, user: int) -> Handle | None:
        """Bring the user's session, if it is one of them, among `MailState.sessions`."""
        ...

    def wake_all(self, partitions: Collection[int]) -> None:
        """The same for all users of these partitions."""
        ...

    def rest(self, user: int) -> None:
        """Something that was about a session is over; it may become one of them when mail has nothing to do."""
        ...


OwedKey = tuple[int, int, bytes]
"""(sender, recipient, stream)"""

Effect = tuple[Any, ...]


class Box:
    """A recipient: what waits for it in all, and what its session has in flight."""

    __slots__ = (
        "bytes", "count", "dirty", "discovering", "fetching", "hungry", "inflight", "inflight_bytes", "known",
        "missed", "pairs", "partition", "pending", "pending_bytes", "scan_after", "scanned", "scanning", "session",
        "user",
    )  # fmt: skip

    def __init__(self, user: int, partition: int, count: int, size: int, known: bool) -> None:
        self.user = user
        self.partition = partition
        self.count = count  # messages on disk, as of the commit that was built last
        self.bytes = size  # their bodies
        self.known = known  # registered, when it was loaded
        self.dirty = False  # count and bytes differ from the row
        self.pending = 0  # messages in memory, in no batch yet
        self.pending_bytes = 0
        self.pairs: dict[tuple[int, bytes], Pair] = {}  # those in memory, by (sender, stream)
        self.session: Handle | None = None
        self.inflight = 0
        self.inflight_bytes = 0
        self.hungry: deque[Pair] | None = None  # pairs with something to hand over; None: none
        self.fetching = 0  # answers to FETCH that are still to come
        self.scanned = True  # every pair with waiting messages is known to the session
        self.scanning = False
        self.discovering = 0  # pairs of the last scan that are still being loaded
        self.missed = False  # one of them could not be loaded
        self.scan_after: tuple[int, bytes] | None = None

    def __repr__(self) -> str:
        hungry = len(self.hungry or ())
        return f"Box({self.user}, count={self.count}, inflight={self.inflight}, hungry={hungry})"


class Owed:
    """What one sender's device is still to be told of one recipient."""

    __slots__ = (
        "counted", "delivered", "dirty", "expired", "read", "recipient", "sender", "stored", "stream", "tellers",
        "writing",
    )  # fmt: skip

    def __init__(self, sender: int, recipient: int, stream: bytes) -> None:
        self.sender = sender
        self.recipient = recipient
        self.stream = stream
        self.delivered = Intervals()
        self.expired = Intervals()
        self.read = 0
        self.stored = False  # a row exists
        self.writing = False  # the row is in the batch that is being written
        self.counted = (
            False  # its sender's session was told all of it, and it counts in the window of the scan
        )
        self.dirty = False
        self.tellers: dict[Teller, Telling] | None = None  # to be answered when what they told is durable

    def row(self) -> list[Any]:
        """The stored form: [delivered, expired, read]."""
        return [list(self.delivered.spans), list(self.expired.spans), self.read]

    def restore(self, row: Sequence[Any]) -> None:
        """Take over a stored form."""
        self.delivered = Intervals(row[0])
        self.expired = Intervals(row[1])
        self.read = row[2]
        self.stored = True

    def empty(self) -> bool:
        """Whether the sender has confirmed everything."""
        return not (self.delivered or self.expired or self.read)


class Telling:
    """What the primary of one sender is still to be told of one recipient, and hasn't said that it has."""

    __slots__ = (
        "asked", "delivered", "dirty", "expired", "home", "marked", "part", "read", "recipient", "round", "sender",
        "stream",
    )  # fmt: skip

    def __init__(self, recipient: int, sender: int, stream: bytes, part: int, home: int) -> None:
        self.recipient = recipient
        self.sender = sender
        self.stream = stream
        self.part = part  # the recipient's partition
        self.home = home  # the sender's
        self.delivered = Intervals()
        self.expired = Intervals()
        self.read = 0
        self.asked = self.round = 0  # of `rounds`
        self.marked = False  # a row says that it isn't told; or will, when the commit under way ends well
        self.dirty = False  # all is told, and the row is to be deleted

    @property
    def key(self) -> PairKey:
        return (self.recipient, self.sender, self.stream)

    def empty(self) -> bool:
        """Whether all is told."""
        return not (self.delivered or self.expired or self.read)

    def __repr__(self) -> str:
        return (
            f"Telling({self.sender} of {self.recipient}, delivered={self.delivered}, expired={self.expired}, "
            f"read={self.read}, marked={self.marked})"
        )


Teller = bytes
"""Whoever told, as the router knows it: the id of a node."""


class OwedScan:
    """A sender's receipts on disk, told a chunk at a time."""

    __slots__ = ("after", "handle", "scanning", "unconfirmed")

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.after: tuple[int, bytes] | None = None
        self.unconfirmed = 0
        self.scanning = True


class Batch:
    """One commit: written whole or not at all."""

    __slots__ = (
        "acked", "askers", "boxes", "cut", "deletes", "marks", "messages", "owed", "pairs", "purged", "read", "served",
        "skipped", "started", "tellers", "told", "untold",
    )  # fmt: skip

    def __init__(self, started: int) -> None:
        self.started = started
        self.messages: list[tuple[Pair, Message]] = []
        self.deletes: list[tuple[Pair, int, int]] = []  # (pair, n, size)
        self.pairs: list[Pair] = []
        self.boxes: list[Box] = []
        self.owed: list[tuple[Owed, bool]] = []  # False: the row is to be deleted
        self.purged: list[tuple[PairKey, int]] = []
        self.served: set[int] | None = None  # partitions of which rows may be written; None: all
        self.told: list[Pair] = []  # whose notes in `untold` are to be deleted
        self.marks: list[tuple[Telling, bool]] = []  # False: the row in `telling` is to be deleted
        self.tellers: list[tuple[Owed, dict[Teller, Telling]]] = []  # to be answered once `owed` is written
        self.askers: list[tuple[Pair, dict[Teller, int]]] = []  # to be answered once the pair is written
        # Partitions of which something was dropped since; they aren't read before its end.
        self.cut: set[int] = set()
        self.untold: list[PairKey] = []  # their receipts were of a partition that was dropped since
        # what may be answered once it is written
        self.acked: list[tuple[Pair, Intervals]] = []
        self.skipped: list[tuple[Pair, Intervals]] = []
        self.read: list[tuple[Pair, int]] = []

    def empty(self) -> bool:
        return not (self.messages or self.pairs or self.owed or self.purged or self.marks)

    def rows(self) -> int:
        """Those besides messages and boxes."""
        return len(self.pairs) + len(self.deletes) + len(self.owed) + len(self.marks)


class Wipe:
    """The running end of what waits for a device that was replaced."""

    __slots__ = ("after", "again", "failed", "finishing", "generation", "left", "paused", "scanning", "user")

    def __init__(self, user: int) -> None:
        self.user = user
        self.generation = 0
        self.scanning = False
        self.again = False  # what is being found was asked for before a newer device came
        self.after: tuple[int, bytes] | None = None
        self.finishing = False  # nothing more is on disk
        self.failed = False  # something could not be read: from the beginning again, after a pause
        self.paused = False
        self.left: dict[PairKey, None] = {}  # pairs that are to be written yet


class Healing:
    """How far the telling again of one partition's merged pairs has come."""

    __slots__ = ("after", "left", "scanning")

    def __init__(self) -> None:
        self.after: PairKey | None = None
        self.scanning = True
        self.left: dict[PairKey, None] = {}  # of the last chunk, not written yet


class MailState:
    """The whole. `now` is set by whoever drives the core, before each batch of events, in Unix milliseconds."""

    def __init__(self, settings: MailSettings, now: int) -> None:
        self.settings = settings
        self.now = now
        self.out: list[Effect] = []
        self.sessions: dict[int, Handle] = {}
        self.distant: Distant | None = None  # other sessions; None where there is none elsewhere
        self.arriving: dict[int, Handle] = {}  # logged in, to be welcomed when the box was loaded
        self.boxes: dict[int, Box] = {}
        self.pairs: dict[PairKey, Pair] = {}
        self.loading: dict[PairKey, list[tuple[Callable[[Pair], None], Callable[[], None]]]] = {}
        self.loads_of: dict[int, int] = {}  # recipient → loads under way
        self.box_loading: dict[int, list[Callable[[Box | None], None]]] = {}
        self.loads_waiting = 0
        self.owed: dict[int, dict[tuple[int, bytes], Owed]] = {}  # sender → (recipient, stream) → owed
        self.owed_loading: dict[OwedKey, list[Callable[[Owed], None]]] = {}
        self.owed_scans: dict[int, OwedScan] = {}  # by sender
        self.purges: list[tuple[PairKey, int]] = []  # (key, day) of rows to be deleted with the next commit
        self.urgent: deque[tuple[Pair, Message]] = deque()  # to be committed with the next batch
        self.delayed: deque[tuple[Pair, Message]] = deque()  # offered to the recipient, waiting for its ack
        self.drawn_ms = 0.0  # by how much the sync delay is drawn out: see `pacing`
        self.drawn_at = 0  # when that was halved last
        self.dirty: deque[tuple[int, Pair]] = deque()  # (due, pair)
        self.dirty_owed: deque[tuple[int, Owed]] = deque()
        self.pending = 0  # messages in memory, in a batch or not
        self.pending_bytes = 0  # their bodies
        self.held_bytes = 0  # bodies of sends that wait for an answer of the store
        self.doomed = 0  # rows that are to be deleted, of all pairs
        # Have something to hand over, and too many rows are to be deleted.
        self.throttled: deque[Pair] = deque()
        self.committing: Batch | None = None
        self.gather_until = 0  # the next batch waits for more until then
        self.hold_until = 0  # commits failed: until then senders are told `busy`
        self.abandoned = (
            0  # questions to the store about pairs that were dropped; the answers are still to come
        )
        self.healing: dict[int, Healing] = {}  # by partition
        self.served: set[int] | None = (
            None  # partitions whose primary is this node; None: it stands alone, all
        )
        self.partition_of: Callable[[int], int] | None = None  # set by the driver
        self.telling: dict[PairKey, Telling] = {}  # whoever is owed for the longest is first
        self.tell_rounds = Rounds[Telling]()  # those of them that were told and haven't answered
        self.to_tell: dict[PairKey, Telling] = {}  # something was added since
        self.told_since = 0  # when it was begun to count
        self.told_again = 0  # what was told again since
        self.dirty_tellings: deque[tuple[int, Telling]] = deque()  # (due, telling) of rows to be deleted
        self.disturbed: set[int] = set()  # partitions that stay, but for some mailboxes: for the router
        self.tell_later: set[int] = set()  # partitions of which only marks remain, for want of room
        self.notes = Notes()  # of pairs that are to be told again
        self.wipes: dict[int, Wipe] = {}
        self.wipes_paused: deque[tuple[int, Wipe]] = deque()  # (due, wipe)
        self.counts = Counts()
        self.latencies = Latencies()

    def session_of(self, user: int) -> Handle | None:
        """The user's session."""
        session = self.sessions.get(user)
        if session is None and self.distant is not None:
            return self.distant.wake(user)
        return session

    def check(self) -> None:
        """Assert what must hold between any two events; called by tests and simulations after each."""
        invariants.check(self)


@attrs.define
class Counts:
    """What happened since the start, for statistics."""

    sends: int = 0
    taken: int = 0
    duplicates: int = 0
    gaps: int = 0
    busy: int = 0
    refused: int = 0
    delivered: int = 0
    acks: int = 0
    accepted_delivered: int = 0
    accepted_stored: int = 0
    commits: int = 0
    commits_failed: int = 0
    written: int = 0
    expired: int = 0
    purged: int = 0
    dropped: int = 0
    retold: int = 0
    loads: int = 0
    marked: int = 0
    receipts_marked: int = 0
    skips: int = 0
    reads: int = 0
    confirms: int = 0
    tells: int = 0
    tells_again: int = 0
    tells_put_off: int = 0
    told: int = 0
    retells_asked: int = 0


class Latencies:
    """In ms since a message was taken in; apart, so that most messages are recorded once.

    accepted: until its sender was told that it is accepted. delivered: until the ack of a recipient that it was
    handed to. both: where the one is the other.
    """

    __slots__ = ("accepted", "both", "delivered")

    def __init__(self) -> None:
        self.accepted = Histogram()
        self.delivered = Histogram()
        self.both = Histogram()
