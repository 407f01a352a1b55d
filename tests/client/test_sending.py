"""One recipient's numbers, as a conversation: what is sent, what is answered, what is sent then."""

from random import Random
from typing import TypeVar

import attrs
import pytest

from client.effects import Effects
from client.errors import GAVE_UP, OutboxFull, TooManyRecipients
from client.events import Accepted, Close, Event, Kind, Refused
from client.records import Snapshot
from client.sending import DOUBTS_MAX, Sending
from client.settings import Settings
from node.wire import errors, verbs

E = TypeVar("E", bound=Event)

STREAM, TO = b"streams!", 1002
SETTINGS = Settings(in_flight_max=8, in_flight_recipient_max=6, outbox_max=20, send_timeout=60.0)


class Conversation:
    """said: the numbers sent since the last look; a skip is negative."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.effects = Effects()
        self.sending = Sending(self.effects, settings, Random(1))
        self.sending.restore(Snapshot(), STREAM)
        self.sending.start()
        self.now = 0.0

    def send(self, count: int, to: int = TO) -> None:
        for _ in range(count):
            self.sending.send(to, b"body", self.now)

    def said(self, to: int = TO) -> list[int]:
        self.sending.transmit(self.now)
        self.sending.check()
        frames, self.effects.frames = self.effects.frames, []
        return [
            frame[3] if frame[0] == verbs.SEND else -frame[3]
            for frame in frames
            if frame[0] in (verbs.SEND, verbs.SKIP) and frame[1] == to
        ]

    def bases(self) -> list[int]:
        self.sending.transmit(self.now)
        frames, self.effects.frames = self.effects.frames, []
        return [frame[4] for frame in frames]

    def accepted(self, first: int, last: int, how: int = verbs.ONE_COPY, to: int = TO) -> None:
        self.sending.on_accepted(self.now, to, STREAM, first, last, how)

    def gap(self, high: int) -> None:
        self.sending.on_gap(self.now, TO, STREAM, high)

    def busy(self, number: int, retry: float = 1.0) -> None:
        self.sending.on_busy(self.now, TO, STREAM, number, retry)

    def refused(self, number: int) -> None:
        self.sending.on_refused(self.now, TO, STREAM, number, errors.MAILBOX_FULL, 5.0)

    def receipt(self, kind: int, first: int, last: int) -> None:
        self.sending.on_receipt(TO, STREAM, kind, first, last)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.sending.advance(self.now)

    def events(self, kind: type[E]) -> list[E]:
        return [event for event in self.effects.events if isinstance(event, kind)]

    def news(self) -> list[tuple[Kind, int, int]]:
        found = []
        while (receipt := self.sending.next_news()) is not None:
            found.append((receipt.kind, receipt.first, receipt.last))
            self.sending.take_news(receipt)
        return found


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


def test_numbers_go_out_once_in_order_within_the_limit(talk: Conversation) -> None:
    talk.send(8)
    assert talk.said() == [1, 2, 3, 4, 5, 6]
    assert talk.said() == []
    talk.accepted(1, 2)
    assert talk.said() == [7, 8]
    talk.accepted(3, 8)
    assert talk.sending.outbox_count == 0
    assert [(event.first, event.last) for event in talk.events(Accepted)] == [(1, 2), (3, 8)]


def test_recipients_take_turns_and_one_cannot_fill_the_flight(talk: Conversation) -> None:
    talk.send(10)
    talk.send(3, to=1003)
    talk.sending.transmit(0.0)
    assert [frame[1] for frame in talk.effects.frames] == [1002, 1003] * 3 + [1002, 1002]
    assert talk.sending.flight.count == 8
    talk.effects.frames.clear()
    talk.accepted(1, 3, to=1003)
    assert talk.said() == [6]  # the recipient's own limit


def test_base_is_the_lowest_unaccepted(talk: Conversation) -> None:
    talk.send(3)
    assert talk.bases() == [1, 1, 1]
    talk.accepted(1, 1)
    talk.accepted(3, 3)
    talk.send(1)
    assert talk.bases() == [2]


def test_a_gap_goes_back_once_however_often_it_is_said(talk: Conversation) -> None:
    talk.send(6)
    assert talk.said() == [1, 2, 3, 4, 5, 6]
    talk.gap(2)
    assert talk.said() == [3, 4, 5, 6]
    for _ in range(3):  # what the node answered to 4, 5 and 6 of the first round
        talk.gap(2)
        assert talk.said() == []
    talk.accepted(1, 6)
    assert talk.sending.gaps == 1


def test_a_new_gap_at_the_same_place_is_believed(talk: Conversation) -> None:
    talk.send(3)
    assert talk.said() == [1, 2, 3]
    talk.busy(1, retry=1.0)
    talk.gap(0)
    talk.gap(0)
    talk.wait(2.0)
    assert talk.said() == [1, 2, 3]
    talk.gap(0)  # the node lost 1 again, by a failover: the two gaps of the first round were counted
    assert talk.said() == [1, 2, 3]


def test_a_gap_below_base_means_base(talk: Conversation) -> None:
    talk.send(3)
    talk.said()
    talk.accepted(1, 2)
    talk.send(1)
    assert talk.said() == [4]
    talk.gap(0)  # the node was restored from a backup; it takes base whatever it knows
    assert talk.said() == [3, 4]


def test_busy_holds_the_recipient_for_as_long_as_the_node_says(talk: Conversation) -> None:
    talk.send(4)
    talk.said()
    talk.busy(2, retry=10.0)
    talk.gap(1)
    talk.gap(1)
    talk.send(1, to=1003)
    assert talk.said() == []
    talk.accepted(1, 1)
    talk.wait(9.9)
    assert talk.said() == []
    talk.wait(2.7)  # the jitter is a quarter at most
    assert talk.said() == [2, 3, 4]


def test_a_node_that_stays_busy_is_asked_less_and_less(talk: Conversation) -> None:
    talk.send(2)
    waits = []
    for _ in range(8):
        assert talk.said()[0] == 1
        talk.busy(1, retry=0.0)
        assert talk.sending.deadline is not None
        waits.append(talk.sending.deadline - talk.now)
        talk.wait(waits[-1])
    for wait, least in zip(waits, (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0), strict=True):
        assert least <= wait <= least * 1.26
    talk.said()
    talk.accepted(1, 1)
    talk.busy(2, retry=0.0)
    talk.wait(0.126)
    assert talk.said() == [2]


def test_a_refused_number_is_skipped_and_the_message_failed(talk: Conversation) -> None:
    talk.send(3)
    talk.said()
    talk.refused(2)
    assert talk.said() == [-2, 3]
    talk.gap(1)
    assert talk.said() == []
    talk.accepted(1, 3, verbs.DELIVERED)
    (refused,) = talk.events(Refused)
    assert isinstance(refused, Refused)
    assert (refused.number, refused.code, refused.retry) == (2, errors.MAILBOX_FULL, 5.0)
    assert talk.news() == [(Kind.REFUSED, 2, 2), (Kind.DELIVERED, 1, 1), (Kind.DELIVERED, 3, 3)]
    assert talk.sending.outbox_count == 0


def test_a_skip_is_never_told_as_delivered(talk: Conversation) -> None:
    talk.send(2)
    talk.said()
    talk.refused(1)
    talk.receipt(verbs.KIND_DELIVERED, 1, 2)
    assert talk.news() == [(Kind.REFUSED, 1, 1), (Kind.DELIVERED, 2, 2)]


def test_a_refused_skip_is_tried_later_not_at_once(talk: Conversation) -> None:
    talk.send(1)
    talk.said()
    talk.refused(1)
    assert talk.said() == [-1]
    talk.refused(1)
    assert talk.said() == []
    talk.wait(10.0)
    assert talk.said() == [-1]
    assert len(talk.events(Refused)) == 1


def test_refusals_not_seen_count_against_the_outbox() -> None:
    talk = Conversation()
    for _ in range(20):
        talk.send(1)
        number = talk.said()[0]
        talk.refused(number)
        talk.accepted(number, number)
    assert talk.sending.outbox_count == 0
    with pytest.raises(OutboxFull):
        talk.send(1)
    talk.sending.take_refusal(TO, STREAM, 1)
    talk.send(1)


def test_silence_sends_again(talk: Conversation) -> None:
    talk.send(2)
    assert talk.said() == [1, 2]
    talk.wait(59.0)
    assert talk.said() == []
    assert talk.sending.deadline == 60.0
    talk.wait(1.5)
    assert talk.said() == [1, 2]
    assert (talk.sending.unanswered, talk.sending.sent_again) == (1, 2)


def test_a_refusal_of_what_was_repeated_is_asked_for_on_a_new_connection(talk: Conversation) -> None:
    talk.send(2)
    assert talk.said() == [1, 2]
    talk.wait(61.0)
    assert talk.said() == [1, 2]
    talk.send(1)
    assert talk.said() == [3]
    talk.refused(2)  # the first copy's answer, late; the second may be taken
    assert talk.sending.unsure == 1
    (close,) = talk.events(Close)
    assert isinstance(close, Close)
    assert talk.events(Refused) == []
    talk.sending.stop()
    talk.sending.start()
    assert talk.said() == [1, 2, 3]
    talk.accepted(1, 1)
    talk.refused(2)
    assert [refused.number for refused in talk.events(Refused)] == [2]
    assert talk.said() == [-2, 3]


def test_a_link_that_answers_late_is_made_anew_few_times_before_a_refusal_is_sure(talk: Conversation) -> None:
    """Every answer takes 200 s."""
    talk.send(1)
    for doubts, patience in ((1, 60.0), (2, 120.0)):
        assert talk.said() == [1]
        talk.wait(patience - 1.0)
        assert talk.said() == []
        talk.wait(1.0)
        assert talk.said() == [1], "it is sent again"
        talk.wait(200.0 - patience)
        talk.effects.frames.clear()
        talk.refused(1)
        assert talk.sending.unsure == doubts
        talk.sending.stop()
        talk.sending.start()
    assert talk.said() == [1]
    talk.wait(200.0)
    assert talk.said() == []
    talk.refused(1)
    assert [refused.number for refused in talk.events(Refused)] == [1]
    assert len(talk.events(Close)) == 2
    assert talk.said() == [-1]
    talk.wait(60.0)
    assert talk.said() == [-1], "from then on it is as before"


def test_patience_is_as_before_when_something_was_taken(talk: Conversation) -> None:
    talk.send(1)
    talk.said()
    talk.wait(60.0)
    talk.said()
    talk.refused(1)
    talk.sending.stop()
    talk.sending.start()
    assert talk.said() == [1]
    talk.accepted(1, 1)
    talk.send(1)
    assert talk.said() == [2]
    talk.wait(60.0)
    assert talk.said() == [2]


def test_patience_has_an_end(talk: Conversation) -> None:
    talk.send(1)
    for _ in range(DOUBTS_MAX + 3):
        talk.said()
        talk.wait(60.0 * 2**DOUBTS_MAX)
        assert talk.said() == [1]
        talk.refused(1)
        talk.sending.stop()
        talk.sending.start()
    assert talk.events(Refused) == []


def test_a_refusal_of_what_was_not_repeated_is_believed_beside_what_was(talk: Conversation) -> None:
    talk.send(1)
    talk.said()
    talk.wait(61.0)
    talk.said()
    talk.accepted(1, 1)
    talk.send(1)
    assert talk.said() == [2]
    talk.refused(2)
    assert [refused.number for refused in talk.events(Refused)] == [2]


def test_a_break_sends_everything_unaccepted_again(talk: Conversation) -> None:
    talk.send(4)
    talk.said()
    talk.accepted(1, 1)
    talk.busy(3, retry=1000.0)
    talk.sending.stop()
    talk.sending.check()
    assert talk.said() == []
    talk.sending.start()
    assert talk.said() == [2, 3, 4]


def test_gaps_of_a_former_connection_are_not_counted_on_the_next(talk: Conversation) -> None:
    talk.send(3)
    talk.said()
    talk.sending.stop()
    talk.sending.start()
    assert talk.said() == [1, 2, 3]
    talk.gap(0)
    assert talk.said() == [1, 2, 3]


def test_a_hold_that_a_break_ended_does_not_come_back(talk: Conversation) -> None:
    talk.send(1)
    talk.said()
    talk.busy(1, retry=1000.0)
    talk.receipt(verbs.KIND_DELIVERED, 1, 1)  # settled while held
    talk.sending.stop()
    talk.sending.start()
    talk.send(1)
    assert talk.said() == [2]


def test_receipts_are_told_once_and_confirmed_every_time(talk: Conversation) -> None:
    talk.send(6)
    talk.said()
    talk.accepted(1, 6)
    for _ in range(2):
        talk.receipt(verbs.KIND_DELIVERED, 1, 4)
        talk.receipt(verbs.KIND_EXPIRED, 5, 6)
        talk.receipt(verbs.KIND_READ, 1, 3)
    assert talk.news() == [(Kind.DELIVERED, 1, 4), (Kind.EXPIRED, 5, 6), (Kind.READ, 1, 3)]
    talk.receipt(verbs.KIND_READ, 1, 2)
    talk.receipt(verbs.KIND_DELIVERED, 1, 2**53 - 1)  # more than was ever sent
    assert talk.news() == [(Kind.DELIVERED, 5, 6)]
    assert [frame[0] for frame in talk.effects.frames] == [verbs.CONFIRM] * 8


def test_no_receipt_is_confirmed_before_it_is_on_disk(talk: Conversation) -> None:
    talk.send(2)
    talk.said()
    talk.accepted(1, 2)
    talk.effects.take(flush=True)
    for _ in range(2):  # the second time it is no news, but not on disk either
        talk.receipt(verbs.KIND_DELIVERED, 1, 1)
        talk.sending.gather()
        assert talk.effects.urgent
    talk.effects.take(flush=False)
    talk.receipt(verbs.KIND_DELIVERED, 1, 1)
    assert not talk.effects.urgent


def test_a_receipt_of_an_unknown_stream_is_confirmed_and_not_told(talk: Conversation) -> None:
    talk.sending.on_receipt(TO, b"another!", verbs.KIND_DELIVERED, 1, 5)
    assert talk.effects.frames == [(verbs.CONFIRM, TO, b"another!", verbs.KIND_DELIVERED, 1, 5)]
    assert talk.news() == []
    assert talk.sending.stray == 1


def test_answers_that_make_no_sense_change_nothing(talk: Conversation) -> None:
    talk.send(2)
    assert talk.said() == [1, 2]
    talk.accepted(5, 900)
    talk.gap(100)
    talk.sending.on_accepted(0.0, 99, STREAM, 1, 1, 1)
    talk.sending.on_accepted(0.0, TO, b"another!", 1, 1, 1)
    talk.refused(77)
    assert talk.said() == []
    assert talk.sending.outbox_count == 2


def test_what_is_unaccepted_for_too_long_is_given_up(talk: Conversation) -> None:
    talk.send(2)
    talk.wait(5.0)
    talk.send(1)
    assert talk.said() == [1, 2, 3]
    talk.accepted(1, 1)
    talk.sending.give_up(4.0)
    assert talk.said() == [-2, 3]
    talk.accepted(2, 3)  # the node had it all along, and who knows
    assert [(event.number, event.code) for event in talk.events(Refused) if isinstance(event, Refused)] == [
        (2, GAVE_UP)
    ]
    talk.sending.give_up(100.0)
    assert talk.said() == []


def test_a_new_stream_fails_what_is_unaccepted_and_counts_from_one(talk: Conversation) -> None:
    talk.send(3)
    talk.said()
    talk.accepted(1, 1)
    talk.sending.stop()
    talk.sending.begin_stream(b"a second")
    talk.sending.check()
    assert [event.number for event in talk.events(Refused) if isinstance(event, Refused)] == [2, 3]
    talk.sending.start()
    talk.send(1)
    assert talk.said() == [1]
    talk.sending.on_receipt(TO, STREAM, verbs.KIND_DELIVERED, 1, 1)  # of the former stream, and known
    assert (Kind.DELIVERED, 1, 1) in talk.news()


def test_recipients_are_limited() -> None:
    talk = Conversation(attrs.evolve(SETTINGS, recipients_max=2))
    talk.send(1, to=1)
    talk.send(1, to=2)
    with pytest.raises(TooManyRecipients):
        talk.send(1, to=3)
    talk.send(1, to=2)
