"""What one recipient is sent on one stream: which numbers wait, which are in flight, what became of the rest.

Numbers below `base` are settled. From `base` to `cursor` they were sent on this connection and aren't answered;
from `cursor` to `next` they wait. Going back (after gap, busy, a refusal, silence) is moving `cursor` down. This
module must never know of other recipients, nor when anything happens.
"""

import attrs

from client.intervals import IntervalSet
from client.records import OUTGOING, Frame, Row, Write
from node.wire import verbs


@attrs.define
class Flight:
    """What is sent and unanswered, to all recipients together."""

    count_max: int
    size_max: int
    count: int = 0
    size: int = 0

    def has_room(self) -> bool:
        """Whether one more may be sent. A body may overshoot size_max once, so that any body can be sent."""
        return self.count < self.count_max and self.size < self.size_max


class Outgoing:
    """One (recipient, own stream).

    queue: number → body of what is unaccepted, ascending; None is a number to be skipped. delivered holds the
    skipped numbers too, which keeps it one interval. news_*, read_told: what the app hasn't been told.
    """

    __slots__ = (
        "answer_due",
        "base",
        "busies",
        "cursor",
        "delivered",
        "doubts",
        "expired",
        "flight",
        "held_until",
        "in_flight",
        "news_delivered",
        "news_expired",
        "next",
        "queue",
        "read",
        "read_told",
        "recipient",
        "repeated",
        "stale_high",
        "stale_left",
        "stream",
        "timer",
        "written",
    )

    def __init__(self, recipient: int, stream: bytes, flight: Flight) -> None:
        self.recipient = recipient
        self.stream = stream
        self.flight = flight
        self.next = self.base = self.cursor = 1
        self.queue: dict[int, bytes | None] = {}
        self.written: dict[int, float] = {}
        """Unix time of each message in the queue."""
        self.delivered, self.expired = IntervalSet(), IntervalSet()
        self.news_delivered, self.news_expired = IntervalSet(), IntervalSet()
        self.read = self.read_told = 0
        self.in_flight = 0
        self.repeated = 0
        """Up to this number some were sent again on this connection because no answer came: a refusal may be of the
        first copy, and the repeat be taken."""
        self.stale_high: int | None = None
        self.stale_left = 0
        """So many gaps with that high may still come that answer what was sent before the last going back; they
        ask for nothing new. Without this, one lost number among k in flight would be answered by k gaps, and
        each would have everything sent again."""
        self.held_until: float | None = None
        self.busies = 0
        """Times that the node was busy since it last took something."""
        self.doubts = 0
        """Times that a refusal wasn't believed since something was last taken or refused for sure."""
        self.answer_due = 0.0
        self.timer: float | None = None

    @classmethod
    def of_row(cls, row: Row, flight: Flight) -> "Outgoing":
        """As stored; the queue comes from the outbox by `restore`."""
        (recipient, stream), (following, delivered, expired, read, news_delivered, news_expired, told) = row
        self = cls(recipient, stream, flight)
        self.next = self.base = self.cursor = following
        self.delivered, self.expired = IntervalSet.parse(delivered), IntervalSet.parse(expired)
        self.news_delivered, self.news_expired = (
            IntervalSet.parse(news_delivered),
            IntervalSet.parse(news_expired),
        )
        self.read, self.read_told = read, told
        return self

    @property
    def write(self) -> Write:
        """Its row."""
        sets = (str(self.news_delivered), str(self.news_expired))
        row = (self.next, str(self.delivered), str(self.expired), self.read, *sets, self.read_told)
        return OUTGOING, (self.recipient, self.stream), row

    @property
    def has_news(self) -> bool:
        """Whether the app has something to be told."""
        return bool(self.news_delivered) or bool(self.news_expired) or self.read > self.read_told

    @property
    def is_over(self) -> bool:
        """Whether nothing more can become of its messages but being read."""
        known = IntervalSet([*self.delivered, *self.expired])
        return not self.has_news and (self.next == 1 or known.covers(1, self.next - 1))

    def restore(self, number: int, body: bytes | None, written: float) -> None:
        """Put back an unaccepted number of the outbox; ascending."""
        assert number < self.next
        if not self.queue:
            self.base = self.cursor = number
        self.queue[number] = body
        if body is not None:
            self.written[number] = written

    def append(self, body: bytes, written: float) -> int:
        """Give the body its number."""
        number = self.next
        self.next += 1
        self.queue[number] = body
        self.written[number] = written
        return number

    def next_frame(self) -> Frame | None:
        """The next number to send, now in flight; None when all are."""
        while self.cursor < self.next and self.cursor not in self.queue:
            self.cursor += 1
        if self.cursor == self.next:
            return None
        number = self.cursor
        body = self.queue[number]
        self.cursor += 1
        self.in_flight += 1
        self.flight.count += 1
        if body is None:
            return verbs.SKIP, self.recipient, self.stream, number, self.base
        self.flight.size += len(body)
        return verbs.SEND, self.recipient, self.stream, number, self.base, body

    def go_back(self, number: int) -> None:
        """Send again from `number` on."""
        number = max(number, self.base)
        if self.stale_high != number - 1:
            self.stale_high, self.stale_left = number - 1, 0
        for flying in range(number, self.cursor):
            if flying in self.queue:
                self._land(self.queue[flying])
                self.stale_left += flying > number  # the answer to `number` itself is what we go back for
        self.cursor = min(self.cursor, number)

    def repeat(self) -> None:
        """No answer came: send everything that is in flight again."""
        self.repeated = self.cursor - 1
        self.go_back(self.base)
        self.stale_left = 0

    def is_stale_gap(self, high: int) -> bool:
        """Whether this gap was answered by going back already; counts it."""
        if self.stale_left and self.stale_high == max(high, self.base - 1):
            self.stale_left -= 1
            return True
        return False

    def reset(self) -> None:
        """The connection is gone: nothing is in flight, nothing is held."""
        self.go_back(self.base)
        self.stale_high, self.stale_left = None, 0
        self.repeated = 0
        assert self.in_flight == 0

    def settle(self, first: int, last: int) -> list[tuple[int, bytes | None]]:
        """The node has these: take them out of the queue and return them."""
        settled: list[tuple[int, bytes | None]] = []
        for number in range(max(first, self.base), min(last, self.next - 1) + 1):
            if number in self.queue:
                body = self.queue.pop(number)
                self.written.pop(number, None)
                if number < self.cursor:
                    self._land(body)
                settled.append((number, body))
        if settled:
            self.busies = self.doubts = 0
        while self.base < self.next and self.base not in self.queue:
            self.base += 1
        self.cursor = max(self.cursor, self.base)
        if self.stale_high is not None and last > self.stale_high:
            self.stale_high, self.stale_left = None, 0
        return settled

    def refuse(self, number: int) -> bytes | None:
        """The node won't have this message: skip its number from now on. Returns the body; None if none."""
        body = self.queue.get(number)
        if body is not None:
            self.go_back(number)
            self.doubts = 0
            self.queue[number] = None
            del self.written[number]
            self.delivered.add(number, number)
        return body

    def end(self) -> list[tuple[int, bytes | None]]:
        """The stream ends: empty the queue and return it."""
        ended = list(self.queue.items())
        self.queue.clear()
        self.written.clear()
        self.base = self.cursor = self.next
        return ended

    def note_delivered(self, first: int, last: int) -> bool:
        """The recipient has these; whether that is news."""
        missing = self.delivered.missing(max(first, 1), min(last, self.next - 1))
        for new_first, new_last in missing:
            self.delivered.add(new_first, new_last)
            self.news_delivered.add(new_first, new_last)
        return bool(missing)

    def note_expired(self, first: int, last: int) -> bool:
        """The recipient will never have these; whether that is news."""
        news = False
        for new_first, new_last in self.expired.missing(max(first, 1), min(last, self.next - 1)):
            self.expired.add(new_first, new_last)
            for part_first, part_last in self.delivered.missing(new_first, new_last):
                self.news_expired.add(part_first, part_last)
            news = True
        return news

    def note_read(self, upto: int) -> bool:
        """The recipient has read up to this number; whether that is news."""
        upto = min(upto, self.next - 1)
        if upto <= self.read:
            return False
        self.read = upto
        return True

    def forget_beyond(self, intervals_max: int) -> None:
        """Keep the sets within their limit."""
        for numbers in (self.delivered, self.expired, self.news_delivered, self.news_expired):
            while len(numbers) > intervals_max:
                numbers.drop_lowest()

    def check(self) -> None:
        """What must hold after every step."""
        assert 1 <= self.base <= self.cursor <= self.next
        numbers = list(self.queue)
        assert numbers == sorted(numbers)
        assert all(self.base <= number < self.next for number in numbers)
        assert (self.base in self.queue) or self.base == self.next
        assert set(self.written) == {number for number, body in self.queue.items() if body is not None}
        assert self.in_flight == sum(number < self.cursor for number in numbers)
        assert 0 <= self.read_told <= self.read < self.next

    def _land(self, body: bytes | None) -> None:
        self.in_flight -= 1
        self.flight.count -= 1
        self.flight.size -= len(body or b"")
