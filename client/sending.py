"""Everything on its way to the node: who may send next, who is held back, what was answered, what is news.

Frames are offered in the order of numbers for each recipient, and in turns between recipients, as far as the
flight limits allow. This module must never know of connections or of messages received.
"""

from collections.abc import Iterable
from heapq import heappop, heappush
from random import Random

from client.effects import Effects
from client.errors import GAVE_UP, REGISTERED_ANEW, BodyTooLarge, OutboxFull, TooManyRecipients
from client.events import Accepted, Close, Kind, News, Receipt, Refused
from client.outgoing import Flight, Outgoing
from client.records import OUTBOX, OUTGOING, REFUSAL, Snapshot
from client.settings import Settings
from node.wire import verbs
from node.wire.limits import BODY_MAX

DOUBTS_MAX = 7
"""Patience doubles so often: from one minute to two hours."""


class Sending:
    """The outbox and its answers. `stream` is None until the device is registered."""

    def __init__(self, effects: Effects, settings: Settings, random: Random) -> None:
        self.stream: bytes | None = None
        self.flight = Flight(settings.in_flight_max, settings.in_flight_bytes_max)
        self.outbox_count = self.outbox_bytes = 0
        self.sent = self.sent_again = self.accepted = self.refused = 0
        self.gaps = self.busies = self.unanswered = self.unsure = self.stray = 0
        self._effects, self._settings, self._random = effects, settings, random
        self._online = False
        self._outgoing: dict[tuple[int, bytes], Outgoing] = {}
        self._refusals: dict[tuple[int, bytes, int], tuple[int, float]] = {}
        self._waiting: dict[Outgoing, None] = {}
        self._able: dict[Outgoing, None] = {}
        self._news: dict[Outgoing, None] = {}
        self._dirty: dict[Outgoing, None] = {}
        self._timers: list[tuple[float, int, Outgoing]] = []
        self._timer_count = 0
        self._highest_sent: dict[Outgoing, int] = {}

    def restore(self, snapshot: Snapshot, stream: bytes | None) -> None:
        """Take up what the state held."""
        self.stream = stream
        for row in snapshot.outgoing:
            outgoing = Outgoing.of_row(row, self.flight)
            self._outgoing[outgoing.recipient, outgoing.stream] = outgoing
            if outgoing.has_news:
                self._news[outgoing] = None
        for (recipient, number), (body, written) in snapshot.outbox:
            assert stream is not None
            outgoing = self._outgoing[recipient, stream]
            outgoing.restore(number, body, written)
            self._waiting[outgoing] = None
            self._count(body, 1)
        for (recipient, own_stream, number), (code, retry) in snapshot.refusal:
            self._refusals[recipient, own_stream, number] = (code, retry)

    # ---- what the app does ---------------------------------------------------------------------------

    def send(self, recipient: int, body: bytes, wall: float) -> int:
        """Number the message and put it in the outbox.

        Raises:
            BodyTooLarge, OutboxFull, TooManyRecipients: nothing was taken.
        """
        assert self.stream is not None
        settings = self._settings
        if len(body) > BODY_MAX:
            raise BodyTooLarge(f"{len(body)} bytes")
        if self.outbox_count + len(self._refusals) >= settings.outbox_max:
            raise OutboxFull(f"{self.outbox_count} unaccepted, {len(self._refusals)} refusals not seen")
        if self.outbox_bytes + len(body) > settings.outbox_bytes_max:
            raise OutboxFull(f"{self.outbox_bytes} bytes unaccepted")
        outgoing = self._outgoing.get((recipient, self.stream))
        if outgoing is None:
            if len(self._outgoing) >= settings.recipients_max:
                raise TooManyRecipients(f"{len(self._outgoing)} recipients")
            outgoing = self._outgoing[recipient, self.stream] = Outgoing(recipient, self.stream, self.flight)
        number = outgoing.append(body, wall)
        self._count(body, 1)
        self._waiting[outgoing] = None
        self._effects.write((OUTBOX, (recipient, number), (body, wall)), urgent=True)
        self._dirty[outgoing] = None
        if self._online and outgoing.held_until is None:
            self._able[outgoing] = None
        return number

    def unaccepted(self) -> list[tuple[int, int]]:
        """(recipient, number) of every message in the outbox; not the numbers to be skipped."""
        return [
            (outgoing.recipient, number)
            for outgoing in self._waiting
            for number, body in outgoing.queue.items()
            if body is not None
        ]

    def next_news(self) -> Receipt | None:
        """The next thing to tell the app; the same again until it is taken."""
        for (recipient, stream, number), (code, retry) in self._refusals.items():
            return Receipt(Kind.REFUSED, recipient, stream, number, number, code, retry)
        for outgoing in self._news:
            for kind, numbers in (
                (Kind.DELIVERED, outgoing.news_delivered),
                (Kind.EXPIRED, outgoing.news_expired),
            ):
                for first, last in numbers:
                    return Receipt(kind, outgoing.recipient, outgoing.stream, first, last)
            first, last = outgoing.read_told + 1, outgoing.read
            return Receipt(Kind.READ, outgoing.recipient, outgoing.stream, first, last)
        return None

    def take_news(self, receipt: Receipt) -> None:
        """The app was told this."""
        if receipt.kind is Kind.REFUSED:
            self.take_refusal(receipt.recipient, receipt.stream, receipt.first)
            return
        outgoing = self._outgoing.get((receipt.recipient, receipt.stream))
        if outgoing is None:
            return
        if receipt.kind is Kind.DELIVERED:
            outgoing.news_delivered.discard(receipt.first, receipt.last)
        elif receipt.kind is Kind.EXPIRED:
            outgoing.news_expired.discard(receipt.first, receipt.last)
        else:
            outgoing.read_told = max(outgoing.read_told, receipt.last)
        if not outgoing.has_news:
            self._news.pop(outgoing, None)
        self._dirty[outgoing] = None

    def take_refusal(self, recipient: int, stream: bytes, number: int) -> None:
        """The app was told that this message was refused."""
        if self._refusals.pop((recipient, stream, number), None) is not None:
            self._effects.write((REFUSAL, (recipient, stream, number), None))

    def begin_stream(self, stream: bytes) -> None:
        """The device was registered anew: counters begin at 1; what is unaccepted is failed, for nobody knows."""
        assert not self._online
        for outgoing in self._waiting:
            for number, body in outgoing.end():
                self._effects.write((OUTBOX, (outgoing.recipient, number), None))
                self._count(body, -1)
                if body is not None:
                    self._fail(outgoing, number, REGISTERED_ANEW, 0.0)
        self._waiting.clear()
        self._highest_sent.clear()
        former, self.stream = self.stream, stream
        for key, outgoing in list(self._outgoing.items()):
            if outgoing.is_over or (outgoing.stream != former and not outgoing.has_news):
                del self._outgoing[key]
                self._effects.write((OUTGOING, key, None))
                self._dirty.pop(outgoing, None)

    # ---- what the connection does --------------------------------------------------------------------

    def start(self) -> None:
        """Logged in: everything unaccepted is sent again, in order."""
        self._online = True
        self._able = dict.fromkeys(self._waiting)

    def stop(self) -> None:
        """The connection is gone."""
        self._online = False
        for outgoing in self._waiting:
            outgoing.reset()
        for _, _, outgoing in self._timers:
            outgoing.held_until = outgoing.timer = None
        self._able.clear()
        self._timers.clear()
        assert self.flight.count == 0
        assert self.flight.size == 0

    def transmit(self, now: float) -> None:
        """Offer frames, in turns between recipients, until the flight is full."""
        while self._able and self.flight.has_room():
            outgoing = next(iter(self._able))
            del self._able[outgoing]
            if outgoing.in_flight >= self._settings.in_flight_recipient_max:
                continue  # an answer makes it able again
            frame = outgoing.next_frame()
            if frame is None:
                continue
            if outgoing.in_flight == 1:
                outgoing.answer_due = now + self._patience(outgoing)
                self._set_timer(outgoing, outgoing.answer_due)
            self._note_sent(outgoing, frame[3])
            self._effects.frames.append(frame)
            self._able[outgoing] = None

    def advance(self, now: float) -> None:
        """Release who was held long enough; go back where an answer never came."""
        while self._timers and self._timers[0][0] <= now:
            when, _, outgoing = heappop(self._timers)
            if outgoing.timer != when:
                continue
            outgoing.timer = None
            if outgoing.held_until is not None:
                if outgoing.held_until <= now:
                    outgoing.held_until = None
                    self._able[outgoing] = None
                else:
                    self._set_timer(outgoing, outgoing.held_until)
            elif outgoing.in_flight:
                if outgoing.answer_due <= now:
                    self.unanswered += 1
                    outgoing.repeat()
                    self._able[outgoing] = None
                else:
                    self._set_timer(outgoing, outgoing.answer_due)

    def give_up(self, written_before: float) -> None:
        """Fail every message older than this, answered or not; its number is skipped."""
        for outgoing in self._waiting:
            old = [number for number, written in outgoing.written.items() if written < written_before]
            for number in old:
                self._skip(outgoing, number, GAVE_UP, 0.0)
            if old and self._online and outgoing.held_until is None:
                self._able[outgoing] = None

    @property
    def deadline(self) -> float | None:
        """When `advance` has something to do."""
        return self._timers[0][0] if self._timers else None

    # ---- what the node answers -----------------------------------------------------------------------

    def on_accepted(self, now: float, recipient: int, stream: bytes, first: int, last: int, how: int) -> None:
        """The node has first..last."""
        outgoing = self._answered(now, recipient, stream)
        if outgoing is None:
            return
        self._settle(outgoing, first, last, how)
        if how == verbs.DELIVERED and outgoing.note_delivered(first, last):
            self._tell(outgoing)

    def on_gap(self, now: float, recipient: int, stream: bytes, high: int) -> None:
        """The node wants the number after `high` first."""
        outgoing = self._answered(now, recipient, stream)
        if outgoing is not None and not outgoing.is_stale_gap(high):
            self.gaps += 1
            outgoing.go_back(high + 1)

    def on_busy(self, now: float, recipient: int, stream: bytes, number: int, retry: float) -> None:
        """This number and those after it: again after `retry` seconds."""
        outgoing = self._answered(now, recipient, stream)
        if outgoing is None:
            return
        self.busies += 1
        outgoing.go_back(number)
        least = min(self._settings.busy_max, self._settings.busy_min * 2.0 ** min(outgoing.busies, 30))
        outgoing.busies += 1
        outgoing.held_until = now + max(retry, least) * self._random.uniform(1.0, 1.25)
        self._able.pop(outgoing, None)
        self._set_timer(outgoing, outgoing.held_until)

    def on_refused(
        self, now: float, recipient: int, stream: bytes, number: int, code: int, retry: float
    ) -> None:
        """This message won't be taken: it is failed, and its number skipped.

        Where it was repeated for want of an answer that isn't sure: the repeat may have been taken since. It is
        asked for on a new connection, on which no answer to an older copy can come, and with twice the patience: where
        every answer is late, the second or third connection has one that is sure.
        """
        outgoing = self._answered(now, recipient, stream)
        if outgoing is None or number not in outgoing.queue:
            return
        if number <= outgoing.repeated and outgoing.queue[number] is not None:
            self.unsure += 1
            outgoing.doubts += 1
            self._effects.events.append(Close("it refused a message that was sent twice"))
            return
        if not self._skip(outgoing, number, code, retry):  # a refused skip: there is nothing else to send
            self.on_busy(now, recipient, stream, number, retry)

    def on_receipt(self, recipient: int, stream: bytes, kind: int, first: int, last: int) -> None:
        """What became of first..last. Stored, then confirmed; a repeat is only confirmed."""
        outgoing = self._outgoing.get((recipient, stream))
        if outgoing is None:
            self.stray += 1  # of a stream that this state never had, or has forgotten
        else:
            if kind == verbs.KIND_DELIVERED:
                self._settle(outgoing, first, last, verbs.DELIVERED)
                news = outgoing.note_delivered(first, last)
            elif kind == verbs.KIND_EXPIRED:
                news = outgoing.note_expired(first, last)
            else:
                news = outgoing.note_read(last)
            if news:
                self._tell(outgoing)
            # A repeat may tell what isn't on disk yet.
            self._effects.urgent |= outgoing in self._dirty or outgoing.write[:2] in self._effects.writes
        self._effects.frames.append((verbs.CONFIRM, recipient, stream, kind, first, last))

    def gather(self) -> None:
        """Turn changed conversations into writes."""
        for outgoing in self._dirty:
            outgoing.forget_beyond(self._settings.intervals_max)
            self._effects.write(outgoing.write)
        self._dirty.clear()

    def check(self) -> None:
        """What must hold after every step."""
        for (recipient, stream), outgoing in self._outgoing.items():
            assert (outgoing.recipient, outgoing.stream) == (recipient, stream)
            outgoing.check()
            assert (outgoing in self._waiting) == bool(outgoing.queue)
            assert (outgoing in self._news) == outgoing.has_news
            assert not outgoing.queue or stream == self.stream
        assert self.flight.count == sum(outgoing.in_flight for outgoing in self._waiting)
        bodies = [body for outgoing in self._waiting for body in outgoing.queue.values()]
        assert self.outbox_count == len(bodies)
        assert self.outbox_bytes == sum(len(body or b"") for body in bodies)

    # ---- inside --------------------------------------------------------------------------------------

    def _answered(self, now: float, recipient: int, stream: bytes) -> Outgoing | None:
        outgoing = self._outgoing.get((recipient, stream))
        if outgoing is None or stream != self.stream:
            self.stray += 1
            return None
        outgoing.answer_due = now + self._patience(outgoing)
        if outgoing.held_until is None and outgoing.queue:
            self._able[outgoing] = None
        return outgoing

    def _patience(self, outgoing: Outgoing) -> float:
        """How long an answer is waited for before everything is sent again."""
        return self._settings.send_timeout * 2.0 ** min(outgoing.doubts, DOUBTS_MAX)

    def _settle(self, outgoing: Outgoing, first: int, last: int, how: int) -> None:
        settled = outgoing.settle(first, last)
        for number, body in settled:
            self._count(body, -1)
            self._effects.write((OUTBOX, (outgoing.recipient, number), None))
        for run_first, run_last in _runs(number for number, body in settled if body is not None):
            self.accepted += run_last - run_first + 1
            event = Accepted(outgoing.recipient, outgoing.stream, run_first, run_last, how)
            self._effects.events.append(event)
        if not outgoing.queue:
            self._waiting.pop(outgoing, None)
            self._able.pop(outgoing, None)
            self._highest_sent.pop(outgoing, None)
        elif settled and self._online and outgoing.held_until is None:
            self._able[outgoing] = None

    def _skip(self, outgoing: Outgoing, number: int, code: int, retry: float) -> bool:
        """Fail the message of this number, and send the number as a skip."""
        body = outgoing.refuse(number)
        if body is None:
            return False
        self.outbox_bytes -= len(body)
        self._effects.write((OUTBOX, (outgoing.recipient, number), (None, 0.0)), urgent=True)
        self._fail(outgoing, number, code, retry)
        return True

    def _fail(self, outgoing: Outgoing, number: int, code: int, retry: float) -> None:
        self.refused += 1
        key = (outgoing.recipient, outgoing.stream, number)
        self._refusals[key] = (code, retry)
        self._dirty[outgoing] = None
        self._effects.write((REFUSAL, key, (code, retry)), urgent=True)
        self._effects.events.append(Refused(*key, code, retry))
        self._effects.events.append(News())

    def _tell(self, outgoing: Outgoing) -> None:
        self._dirty[outgoing] = None
        if outgoing.has_news:
            self._news[outgoing] = None
            self._effects.events.append(News())

    def _count(self, body: bytes | None, sign: int) -> None:
        self.outbox_count += sign
        self.outbox_bytes += sign * len(body or b"")

    def _note_sent(self, outgoing: Outgoing, number: int) -> None:
        self.sent += 1
        if number <= self._highest_sent.get(outgoing, 0):
            self.sent_again += 1
        else:
            self._highest_sent[outgoing] = number

    def _set_timer(self, outgoing: Outgoing, when: float) -> None:
        if outgoing.timer is None or when < outgoing.timer:
            outgoing.timer = when
            self._timer_count += 1
            heappush(self._timers, (when, self._timer_count, outgoing))


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as intervals."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
