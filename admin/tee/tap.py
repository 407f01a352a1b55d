"""The live node's side in the hub's pass: which sessions are in the share, and what they said, into a bounded buffer.

What is done here is done on the way of a phone's message, so it is next to nothing: a look in a dictionary, a hash, an
append. What has no room is dropped and counted; a session that lost something is closed and opened anew on the other
side, so that nobody there waits for what won't come. Whoever takes from the buffer makes the share smaller then.
"""

from __future__ import annotations

from collections import Counter, deque

import attrs

from admin.tee.choice import is_chosen, limit_of
from admin.tee.settings import BUFFER_BYTES_MAX, BUFFER_ENTRIES_MAX, SHED_SHARE
from node import tapping
from node.session import Session
from node.shadow import VERB_AT, error_in
from node.wire import verbs


class Teed:
    """A session in the share. joined: for the stripper."""

    __slots__ = ("joined", "number", "stream", "torn", "user")

    def __init__(self, number: int, user: int, stream: bytes) -> None:
        self.number = number
        self.user = user
        self.stream = stream
        self.torn = False
        self.joined: set[int] = set()


OPENED = None
CLOSED = b""
"""What stands in the buffer in the place of what was said."""

Entry = tuple[Teed, bytes | None]


@attrs.define
class Counts:
    """Of all tees of a node. dropped: reads that had no room. left_out: frames that aren't carried. malformed: reads
    that were no frames. stalled: how often the test node took no more. work_seconds: of the loop, outside of
    its passes."""

    taken: int = 0
    dropped: int = 0
    dropped_bytes: int = 0
    frames: int = 0
    left_out: int = 0
    malformed: int = 0
    batches: int = 0
    bytes: int = 0
    connects: int = 0
    stalled: int = 0
    work_seconds: float = 0.0


class Tapping:
    """Implements `node.tapping.Tap`. active: whether somebody takes what is put in the buffer.

    told: frames to sessions in the share, by verb. errors: the error frames among them, by name. peak_bytes: the most
    that was in the buffer.
    """

    __slots__ = (
        "_limit",
        "_numbers",
        "active",
        "buffer",
        "bytes",
        "counts",
        "errors",
        "peak_bytes",
        "sessions",
        "told",
    )

    def __init__(self, share: float, counts: Counts) -> None:
        self._limit = limit_of(share)
        self.counts = counts
        self._numbers = 0
        self.active = False
        self.buffer: deque[Entry] = deque()
        self.bytes = 0
        self.peak_bytes = 0
        self.sessions: dict[Session, Teed] = {}
        self.told: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()

    # ---- the tap -----------------------------------------------------------------------------------

    def welcomed(self, session: Session) -> None:
        if self.active and len(self.buffer) < BUFFER_ENTRIES_MAX and self.wants(session):
            self.open(session)

    def received(self, session: Session, data: bytes) -> None:
        if not (self.active and data):
            return
        teed = self.sessions.get(session)
        if teed is None and (session.is_closing or not is_chosen(session.user, self._limit)):
            return
        size = len(data)
        if self.bytes + size > BUFFER_BYTES_MAX or len(self.buffer) >= BUFFER_ENTRIES_MAX:
            self.counts.dropped += 1
            self.counts.dropped_bytes += size
            if teed is not None:
                teed.torn = True
            return
        if teed is None:
            teed = self.open(session)
        elif teed.torn:
            teed.torn = False
            self.buffer.append((teed, CLOSED))
            self.buffer.append((teed, OPENED))
        self.buffer.append((teed, data))
        self.bytes += size
        if self.bytes > self.peak_bytes:
            self.peak_bytes = self.bytes

    def wrote(self, session: Session, data: bytes) -> None:
        verb = data[VERB_AT]
        self.told[verb] += 1
        if verb == verbs.ERROR:
            self.errors[error_in(data)] += 1

    def closed(self, session: Session) -> None:
        teed = self.sessions.pop(session, None)
        if teed is not None and len(self.buffer) < 2 * BUFFER_ENTRIES_MAX:
            self.buffer.append((teed, CLOSED))

    # ---- for whoever takes it ----------------------------------------------------------------------

    def wants(self, session: Session) -> bool:
        """Whether a session that is logged in is in the share, and isn't opened yet."""
        return session not in self.sessions and is_chosen(session.user, self._limit)

    def open(self, session: Session) -> Teed:
        """It is in the share from now on."""
        self._numbers += 1
        teed = self.sessions[session] = Teed(self._numbers, session.user, session.stream)
        tapping.attach(session)
        self.buffer.append((teed, OPENED))
        return teed

    @property
    def share(self) -> float:
        """What the share is now."""
        return self._limit / limit_of(1.0)

    def shrink(self) -> None:
        """Choose fewer from now on. Those who were chosen until now stay until `let_go`."""
        self._limit = max(1, int(self._limit * SHED_SHARE))

    def let_go(self, session: Session) -> None:
        """If it is no longer in the share."""
        if not is_chosen(session.user, self._limit):
            self.closed(session)
            tapping.detach(session)

    def take(self) -> Entry | None:
        """The oldest entry."""
        if not self.buffer:
            return None
        entry = self.buffer.popleft()
        if entry[1]:
            self.bytes -= len(entry[1])
        return entry

    def stop(self) -> None:
        """Nobody takes anything any more: forget what is there, and whom it is of."""
        self.active = False
        self.buffer.clear()
        self.bytes = 0
        for session in self.sessions:
            tapping.detach(session)
        self.sessions.clear()

    def check(self) -> None:
        """Invariants, for tests."""
        assert self.bytes == sum(len(data) for _, data in self.buffer if data)
        assert self.active or not (self.buffer or self.sessions)
