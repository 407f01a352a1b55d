"""What one sender's stream brought: the numbers received, acks the node hasn't confirmed, read marks.

This module must never know of other senders, nor what a body says.
"""

from client.intervals import IntervalSet
from client.records import INCOMING, Frame, Row, Write
from node.wire import verbs
from node.wire.limits import WINDOW_MAX


class Incoming:
    """One (sender, stream).

    unconfirmed: acked, to be repeated at each login until the node confirms. heard: the higher, the later a
    message came; decides who is forgotten. to_ack: for the next frames out; withheld: stored, but not acked
    while the inbox is full.
    """

    __slots__ = (
        "heard",
        "read",
        "read_confirmed",
        "received",
        "sender",
        "stream",
        "to_ack",
        "unconfirmed",
        "withheld",
    )

    def __init__(self, sender: int, stream: bytes) -> None:
        self.sender = sender
        self.stream = stream
        self.received, self.unconfirmed = IntervalSet(), IntervalSet()
        self.to_ack, self.withheld = IntervalSet(), IntervalSet()
        self.read = self.read_confirmed = 0
        self.heard = 0

    @classmethod
    def of_row(cls, row: Row) -> "Incoming":
        """As stored."""
        (sender, stream), (received, unconfirmed, read, read_confirmed, heard) = row
        self = cls(sender, stream)
        self.received, self.unconfirmed = IntervalSet.parse(received), IntervalSet.parse(unconfirmed)
        self.read, self.read_confirmed, self.heard = read, read_confirmed, heard
        return self

    @property
    def write(self) -> Write:
        """Its row."""
        row = (str(self.received), str(self.unconfirmed), self.read, self.read_confirmed, self.heard)
        return INCOMING, (self.sender, self.stream), row

    @property
    def is_settled(self) -> bool:
        """Whether the node has confirmed everything, so that forgetting it risks least."""
        return not self.unconfirmed and self.read <= self.read_confirmed

    def receive(self, number: int) -> bool:
        """Note a delivery; whether it is the first of this number."""
        self.unconfirmed.add(number, number)
        if number in self.received:
            return False
        self.received.add(number, number)
        return True

    def confirm(self, first: int, last: int) -> None:
        """The node has these acks on disk."""
        self.unconfirmed.discard(first, last)

    def confirm_read(self, upto: int) -> None:
        """The node has the read mark on disk."""
        self.read_confirmed = max(self.read_confirmed, min(upto, self.read))

    def mark_read(self, upto: int) -> bool:
        """Whether this is further than before."""
        if upto <= self.read:
            return False
        self.read = upto
        return True

    def ack_frames(self) -> list[Frame]:
        """The acks that are due, which then are sent; none of them names more than a window."""
        frames: list[Frame] = [
            (verbs.ACK, self.sender, self.stream, start, min(last, start + WINDOW_MAX - 1))
            for first, last in self.to_ack
            for start in range(first, last + 1, WINDOW_MAX)
        ]
        self.to_ack.clear()
        return frames

    def read_frame(self) -> Frame:
        """The read mark."""
        return verbs.READ, self.sender, self.stream, self.read

    def forget_due(self) -> None:
        """The connection is gone: what was due will be due again at the next login, from `unconfirmed`."""
        self.to_ack.clear()
        self.withheld.clear()

    def forget_unconfirmed(self) -> None:
        """Nothing is to be repeated any more."""
        self.unconfirmed.clear()
        self.read_confirmed = self.read

    def forget_beyond(self, intervals_max: int) -> None:
        """Keep the sets within their limit."""
        for numbers in (self.received, self.unconfirmed):
            while len(numbers) > intervals_max:
                numbers.drop_lowest()

    def check(self) -> None:
        """What must hold after every step."""
        assert 0 <= self.read_confirmed <= self.read
