"""What this node has of one peer's changes.

A cursor names a sequence of the peer's store in one of the peer's incarnations, and says: everything that the
peer changed in this partition up to there is durable here. One that is too low costs time, one that is too high
loses data; so it is raised only together with the records, or by what an ack proves.

A stream would have to write a cursor for each of its partitions with each frame. So there are two *lanes*,
whose partitions have one cursor in common; every other partition has its own. The lane `stream` moves with the
frames that the peer sends of partitions that it is primary of. The lane `echo` moves with its acks of ours:
what the peer changed by applying our frame is ours, if nobody else changed these partitions there since what we
knew (`acknowledged`, where `mark` is what makes it true). So roles can change without a full copy.

A cursor that a chunk has moved only part of the way rests *upon* the head that the chunk was read at: what was
overwritten between is beyond the cursor there, and nowhere before it. If the peer's directory is set back to
before that head, the cursor is worth nothing, though it lies before that, too.
"""

from collections.abc import Iterable

Cursor = tuple[int, int]
"""(incarnation, sequence) of the peer"""

NOTHING: Cursor = (0, 0)


class Lane:
    """Partitions with one cursor in common. `members` is replaced, never changed, for it is handed out."""

    __slots__ = ("incarnation", "members", "upto")

    def __init__(self) -> None:
        self.incarnation = 0
        self.upto = 0
        self.members: frozenset[int] = frozenset()


class Knowledge:
    """Of one peer. `reshaped`: who is in which lane, or a cursor of its own, differs from what is durable;
    `moved`: so does the cursor of the echo."""

    __slots__ = ("echo", "moved", "others", "reshaped", "stream", "upon")

    def __init__(self) -> None:
        self.stream = Lane()
        self.echo = Lane()
        self.others: dict[int, Cursor] = {}
        # Partition → the head that its own cursor rests upon, if that is beyond it.
        self.upon: dict[int, int] = {}
        self.reshaped = False
        self.moved = False

    def copy(self) -> "Knowledge":
        """One that may be changed without this one."""
        other = Knowledge()
        for mine, its in ((self.stream, other.stream), (self.echo, other.echo)):
            its.incarnation, its.upto, its.members = mine.incarnation, mine.upto, mine.members
        other.others = dict(self.others)
        other.upon = dict(self.upon)
        return other

    def cursor(self, p: int) -> Cursor:
        """What is known of one partition."""
        for lane in (self.stream, self.echo):
            if p in lane.members:
                return (lane.incarnation, lane.upto)
        return self.others.get(p, NOTHING)

    def place(self, p: int) -> tuple[int, int, int]:
        """A partition's cursor, and what it rests upon: (incarnation, sequence, head)."""
        incarnation, sequence = self.cursor(p)
        return (incarnation, sequence, max(sequence, self.upon.get(p, 0)))

    def part(self, partitions: Iterable[int]) -> None:
        """Partitions leave their lanes, and keep what those said."""
        leaving = frozenset(partitions)
        for lane in (self.stream, self.echo):
            gone = lane.members & leaving
            for p in gone:
                self.others[p] = (lane.incarnation, lane.upto)
            if gone:
                lane.members -= gone
                self.reshaped = True

    def learned(self, p: int, incarnation: int, through: int, head: int = 0) -> None:
        """A chunk of a partition's changes is durable here, which was read at ``head``."""
        known = self.cursor(p)
        if known[0] == incarnation and through <= known[1]:
            return
        self.part((p,))
        self.others[p] = (incarnation, through)
        if head > through:
            self.upon[p] = head
        else:
            self.upon.pop(p, None)

    def forget(self, p: int) -> None:
        """Nothing is known of a partition any more."""
        self.part((p,))
        self.others.pop(p, None)
        self.upon.pop(p, None)
        self.reshaped = True

    # ---- what frames teach ---------------------------------------------------------------------

    def begin(self, incarnation: int, base: int, kept: frozenset[int]) -> None:
        """A stream begins: those that are kept go on from ``base``, all others keep the cursor they have."""
        assert kept <= self.stream.members
        self.part(self.stream.members - kept)
        self.stream.incarnation = incarnation
        self.stream.upto = base
        self.reshaped = True

    def join(self, p: int) -> None:
        """At least as much is known of the partition as the stream's cursor says."""
        self.part((p,))
        self.others.pop(p, None)
        self.upon.pop(p, None)
        self.stream.members |= {p}
        self.reshaped = True

    # ---- what acks teach -----------------------------------------------------------------------

    def acknowledged(self, incarnation: int, mark: int, after: int) -> None:
        """The peer has applied a frame of ours, which took its own sequence to ``after``; ``mark`` is the last
        sequence at which one of the stream's partitions was changed there by anybody but us."""
        echo = self.echo
        if not echo.members:
            return
        if incarnation == echo.incarnation and mark <= echo.upto:
            if after > echo.upto:
                echo.upto = after
                self.moved = True
        else:
            self.part(echo.members)

    def caught_up(self, p: int, incarnation: int, head: int) -> None:
        """We have all of the peer's changes in a partition up to its ``head``: from now on acks may move it.

        It must be open on our stream to the peer, and the peer's marks must count it already. The common cursor goes
        down to ``head`` if it was beyond: what happened to this partition in between is not known.
        """
        echo = self.echo
        if (
            p in echo.members
            or p in self.stream.members
            or (echo.members and incarnation != echo.incarnation)
        ):
            return
        echo.upto = min(echo.upto, head) if echo.members else head
        echo.incarnation = incarnation
        echo.members |= {p}
        self.others.pop(p, None)
        self.upon.pop(p, None)
        self.reshaped = True
