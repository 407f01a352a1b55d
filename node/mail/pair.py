"""What is remembered of one (recipient, sender, stream), the form in which it is stored, and the law of its merge.

Merging is a union: no clock, no identity given by a server and no tombstone decides about mail, so copies that were
apart meet in one value whatever the order (a join semilattice; Shapiro et al., "Conflict-free replicated data
types", 2011).
"""

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from node.mail.intervals import Intervals

if TYPE_CHECKING:
    from node.mail.state import Box, Handle

PairKey = tuple[int, int, bytes]
"""(recipient, sender, stream)"""
Behind = tuple[int, int, bytes | None]
"""(n, base, body): as it was sent"""


class Message:
    """A message in memory: not written yet, or being written."""

    __slots__ = ("arrived", "body", "committing", "due", "n", "size")

    def __init__(self, n: int, arrived: int, body: bytes, due: int) -> None:
        self.n = n
        self.arrived = arrived
        self.body = body  # let go of when the message is over and in no batch
        self.size = len(body)
        self.due = due
        self.committing = False

    def __repr__(self) -> str:
        return f"Message(n={self.n}, {self.size} bytes, {'committing' if self.committing else 'waiting'})"


class Pair:
    """One sender's device and one recipient, at the recipient's primary."""

    __slots__ = (
        "acked", "asked", "behind", "box", "commits", "cursor", "day", "dirty", "doomed", "expired", "fetching",
        "floor", "gapped", "given_up", "gone", "handed", "high", "high_stored", "high_written", "home", "hungry",
        "inflight", "owing", "parked", "pending", "prefix", "read", "read_told", "recipient", "seen", "sender",
        "skipped", "stream", "untold", "used", "writing",
    )  # fmt: skip

    def __init__(self, box: "Box", sender: int, stream: bytes) -> None:
        # what is stored
        self.high = 0  # the highest number taken
        self.gone = Intervals()  # acknowledged by the recipient
        # Never to be delivered: too old, for a device that ended, or skipped by the sender.
        self.expired = Intervals()
        self.given_up: Intervals | None = None  # of `expired`, what the sender skipped; it isn't told of that
        self.read = 0  # the recipient read up to here
        self.day = 0  # of the last change, for purging
        # who
        self.box = box
        self.recipient = box.user
        self.sender = sender
        self.stream = stream
        self.home = -1  # the sender's partition, once it was looked up
        self.prefix = b""  # the encoded key (partition, recipient, sender, stream), made when first needed
        # not yet written
        self.pending: dict[int, Message] = {}  # by n: in memory or being written
        self.doomed: dict[int, int] = {}  # n → size of stored messages whose row is to be deleted
        self.acked: Intervals | None = None  # to be confirmed once the pair is written
        self.skipped: Intervals | None = None  # to be answered once the pair is written
        self.owing = 0  # receipts whose row is being loaded: the pair is not written before they are noted
        self.parked = False  # it is due to be written, and only they are waited for
        self.read_told = 0  # the read mark to be confirmed once the pair is written
        self.high_stored = 0  # as it stands in the row …
        self.high_written = 0  # … and in the one that is being written
        self.untold = (
            False  # a note that all of it is to be told again is to be deleted with the next writing
        )
        self.dirty = False
        self.writing = False  # the row is in the batch that is being written
        # on the recipient's session `seen`; meaningless on any other
        self.seen: Handle | None = None
        self.inflight: dict[int, tuple[int, int]] = {}  # n → (size, arrived): handed over, not acknowledged
        self.cursor = 0  # the next number to look for; 0: nothing earlier is undelivered
        self.handed = 0  # the highest number handed over
        self.hungry = False  # stands in the box's queue
        self.fetching = False
        self.floor = 0  # lowest number committed while fetching: what was fetched counts only below it
        # the rest
        self.asked = 0  # questions to the store whose answers will speak of this object
        # Numbers that wait for what the store says of an earlier one.
        self.behind: deque[Behind] | None = None
        self.commits = 0  # raised at each commit of a message: tells that an answer of the store is stale
        self.gapped = 0  # the sender was told to go back when it sent this number
        self.used = True  # since the cache's hand last passed

    @property
    def key(self) -> PairKey:
        return (self.recipient, self.sender, self.stream)

    def __repr__(self) -> str:
        return (
            f"Pair({self.sender}→{self.recipient}, high={self.high}, gone={self.gone}, expired={self.expired}, "
            f"pending={sorted(self.pending)}, inflight={sorted(self.inflight)}, cursor={self.cursor})"
        )

    def row(self) -> list[Any]:
        """The stored form: [high, gone, expired, read, day], and [given up] behind it where there is any.

        Its `high` stays below what is only in memory, so that after a crash those numbers come again as the next
        ones, in order, and not as holes that have to be looked up. But nothing in a row ever becomes less: an heir
        merges it with the one before, and must come to the same.
        """
        high = min((m.n - 1 for m in self.pending.values() if not m.committing), default=self.high)
        self.high_written = high = max(high, self.high_stored)
        row = [high, list(self.gone.spans), list(self.expired.spans), self.read, self.day]
        if self.given_up is not None:
            row.append(list(self.given_up.spans))
        return row

    def restore(self, row: Sequence[Any]) -> None:
        """Take over a stored form. Raises ValueError on a form that `row` never made."""
        self.high, gone, expired, self.read, self.day, *given_up = row
        self.high_stored = self.high
        if given_up:
            self.given_up = Intervals(*given_up)
        self.gone = Intervals(gone)
        self.expired = Intervals(expired)

    def settled(self, n: int) -> bool:
        """Whether ``n`` is over: acknowledged, expired or skipped."""
        return n in self.gone or n in self.expired

    def settled_to(self, n: int) -> int:
        """The end of the run of numbers from ``n`` on that are over by one and the same set; below ``n``: it is
        not."""
        return max(self.gone.end_of(n), self.expired.end_of(n))

    def climb(self) -> None:
        """Raise `high` over numbers that are over and follow it without a gap, and over nothing else."""
        while (end := self.settled_to(self.high + 1)) > self.high:
            self.high = end

    def idle(self) -> bool:
        """Whether nothing but the stored form would be lost by forgetting this object."""
        return not (
            self.dirty
            or self.writing
            or self.owing
            or self.asked
            or self.pending
            or self.doomed
            or self.fetching
            or self.hungry
        ) and (self.seen is not self.box.session or not (self.inflight or self.cursor))

    def durable(self) -> bool:
        """Whether all that was said about it is on disk."""
        return not (self.dirty or self.writing)

    def untouched(self) -> bool:
        """Whether nothing is known of it, here or on disk."""
        return not (self.high or self.gone or self.expired)

    def check(self) -> None:
        """Assert what must hold between any two events."""
        self.gone.check()
        self.expired.check()
        for n in self.pending:
            assert n <= self.high, f"pending {n} above high: {self!r}"
            assert self.pending[n].n == n
            assert not self.settled(n), f"{n} is over and still waits to be written: {self!r}"
        if self.seen is self.box.session:
            for n in self.inflight:
                assert not self.settled(n), f"{n} is over and still takes room in the window: {self!r}"
        for n in self.doomed:
            assert self.settled(n), f"{n} is to be deleted but not over: {self!r}"
        assert not self.settled(self.high + 1), f"high lags behind what is over: {self!r}"
        if self.doomed or self.acked or self.skipped or self.read_told or self.untold:
            assert self.dirty, f"work for the writer, and not dirty: {self!r}"
        assert self.asked >= 0
        assert self.behind is None or self.asked, f"waits for no answer: {self!r}"
        assert self.owing >= 0
        assert not self.parked or (self.dirty and self.owing), (
            f"nothing will take it from where it stands: {self!r}"
        )


def merge_rows(ours: Sequence[Any], theirs: Sequence[Any]) -> list[Any]:
    """The union of two stored pairs. Commutative, associative, idempotent, and never less than either.

    A number that one side has as gone and the other as expired stays in both sets; gone wins when it is told.
    """
    gone, expired = Intervals(ours[1]), Intervals(ours[2])
    gone.update(Intervals(theirs[1]))
    expired.update(Intervals(theirs[2]))
    merged = [
        max(ours[0], theirs[0]),
        gone.spans,
        expired.spans,
        max(ours[3], theirs[3]),
        max(ours[4], theirs[4]),
    ]
    if len(ours) > 5 or len(theirs) > 5:
        given_up = Intervals(*ours[5:])
        given_up.update(Intervals(*theirs[5:]))
        merged.append(given_up.spans)
    return merged
