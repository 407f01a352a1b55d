"""Storing, acking and forgetting, one pair at a time."""

import attrs

from client.effects import Effects
from client.events import Arrived, Close
from client.receiving import Receiving
from client.records import Snapshot
from client.settings import Settings
from node.wire import verbs

STREAM, FROM = b"streams!", 1001
WINDOW = 8
SETTINGS = Settings(inbox_max=3, intervals_max=4, senders_max=2)


class Ear:
    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.effects = Effects()
        self.receiving = Receiving(self.effects, settings)
        self.receiving.start(WINDOW)

    def deliver(self, *numbers: int, sender: int = FROM, flags: int = 0) -> None:
        for number in numbers:
            self.receiving.on_deliver(sender, STREAM, number, flags, 0, b"body %d" % number)

    def said(self) -> list[tuple[int, ...]]:
        """(verb, sender, numbers…) of the frames since the last look."""
        self.receiving.gather(0.0)
        self.receiving.check()
        frames, self.effects.frames = self.effects.frames, []
        return [(frame[0], frame[1], *frame[3:]) for frame in frames]

    def stored(self) -> list[int]:
        return [event.message.number for event in self.effects.events if isinstance(event, Arrived)]


def test_what_came_together_is_acked_together() -> None:
    ear = Ear(attrs.evolve(SETTINGS, inbox_max=100))
    ear.deliver(1, 2, 3, 7)
    assert ear.effects.urgent
    assert ear.said() == [(verbs.ACK, FROM, 1, 3), (verbs.ACK, FROM, 7, 7)]
    assert ear.stored() == [1, 2, 3, 7]


def test_a_repeat_is_acked_again_and_not_stored_again() -> None:
    ear = Ear()
    ear.deliver(1)
    ear.said()
    ear.receiving.on_confirm(FROM, STREAM, verbs.KIND_DELIVERED, 1, 1)
    ear.deliver(1)
    assert ear.said() == [(verbs.ACK, FROM, 1, 1)]
    assert ear.stored() == [1]
    assert ear.receiving.duplicates == 1


def test_acks_and_read_marks_are_repeated_at_login_until_confirmed() -> None:
    ear = Ear(attrs.evolve(SETTINGS, inbox_max=100))
    ear.deliver(1, 2, 3)
    ear.receiving.mark_read(FROM, STREAM, 2)
    assert ear.said() == [(verbs.ACK, FROM, 1, 3), (verbs.READ, FROM, 2)]
    ear.receiving.stop()
    ear.receiving.mark_read(FROM, STREAM, 3)
    ear.receiving.mark_read(FROM, STREAM, 1)  # never back
    assert ear.said() == []
    ear.receiving.start(WINDOW)
    assert ear.said() == [(verbs.ACK, FROM, 1, 3), (verbs.READ, FROM, 3)]
    ear.receiving.on_confirm(FROM, STREAM, verbs.KIND_DELIVERED, 1, 2)
    ear.receiving.on_confirm(FROM, STREAM, verbs.KIND_READ, 1, 3)
    ear.receiving.stop()
    ear.receiving.start(WINDOW)
    assert ear.said() == [(verbs.ACK, FROM, 3, 3)]


def test_a_node_that_confirms_nothing_is_told_again() -> None:
    ear = Ear(attrs.evolve(SETTINGS, inbox_max=100, repeat_after=30.0))
    ear.deliver(1, 2)
    ear.receiving.mark_read(FROM, STREAM, 1)
    ear.said()
    assert ear.receiving.deadline == 30.0
    ear.receiving.advance(29.0)
    assert ear.said() == []
    ear.receiving.on_confirm(FROM, STREAM, verbs.KIND_DELIVERED, 1, 1)
    ear.receiving.advance(30.0)
    assert ear.said() == [(verbs.ACK, FROM, 2, 2), (verbs.READ, FROM, 1)]
    ear.receiving.on_confirm(FROM, STREAM, verbs.KIND_DELIVERED, 2, 2)
    ear.receiving.on_confirm(FROM, STREAM, verbs.KIND_READ, 1, 1)
    ear.receiving.advance(60.0)
    assert ear.said() == []
    assert ear.receiving.deadline is None


def test_an_ack_names_a_window_at_most() -> None:
    ear = Ear(attrs.evolve(SETTINGS, inbox_max=10_000))
    ear.deliver(*range(1, 2001))
    assert ear.said() == [(verbs.ACK, FROM, 1, 1024), (verbs.ACK, FROM, 1025, 2000)]


def test_a_full_inbox_is_stored_but_not_acked_until_the_app_takes() -> None:
    ear = Ear()
    ear.deliver(1, 2, 3, 4, 5)
    assert ear.said() == [(verbs.ACK, FROM, 1, 2)]
    assert ear.stored() == [1, 2, 3, 4, 5]
    ear.receiving.take(1)
    ear.receiving.take(2)
    assert ear.said() == []
    ear.receiving.stop()
    ear.receiving.start(WINDOW)  # still full: nothing is said by the way of a new login
    assert ear.said() == []
    ear.deliver(3)
    assert ear.said() == []
    ear.receiving.take(3)
    assert ear.said() == [(verbs.ACK, FROM, 1, 5)]


def test_what_finds_no_room_is_left_on_the_node_until_there_is() -> None:
    ear = Ear()
    ear.deliver(*range(1, 31))
    assert ear.stored() == list(range(1, 3 + WINDOW + 1))
    assert ear.receiving.ignored == 30 - 3 - WINDOW
    for message_id in range(1, WINDOW + 1):
        ear.receiving.take(message_id)
    assert not any(isinstance(event, Close) for event in ear.effects.events)
    ear.receiving.take(WINDOW + 1)
    ear.receiving.take(WINDOW + 2)
    assert sum(isinstance(event, Close) for event in ear.effects.events) == 1


def test_late_is_told() -> None:
    ear = Ear(attrs.evolve(SETTINGS, inbox_max=100))
    ear.deliver(2)
    ear.deliver(1)
    ear.deliver(3, flags=verbs.FLAG_LATE)
    late = [event.message.late for event in ear.effects.events if isinstance(event, Arrived)]
    assert late == [False, True, True]


def test_the_least_recently_heard_is_forgotten_when_settled() -> None:
    ear = Ear(attrs.evolve(SETTINGS, inbox_max=100))
    ear.deliver(1, sender=1)
    ear.deliver(1, sender=2)
    ear.deliver(1, sender=3)  # nothing of 1 is confirmed: no room
    assert ear.receiving.ignored == 1
    ear.receiving.on_confirm(1, STREAM, verbs.KIND_DELIVERED, 1, 1)
    ear.deliver(1, sender=3)
    assert ear.receiving.forgotten == 1
    assert ear.said() == [(verbs.ACK, 1, 1, 1), (verbs.ACK, 2, 1, 1), (verbs.ACK, 3, 1, 1)]


def test_holes_are_bounded() -> None:
    ear = Ear(attrs.evolve(SETTINGS, inbox_max=1000))
    ear.deliver(*range(1, 100, 2))
    ear.said()
    (row,) = [row for (table, _), row in ear.effects.writes.items() if table == "incoming"]
    assert row is not None
    assert row[0] == "93,95,97,99"


def test_order_of_being_heard_survives() -> None:
    ear = Ear()
    ear.deliver(1, sender=1)
    ear.deliver(1, sender=2)
    ear.deliver(2, sender=1)
    ear.said()
    rows = tuple(
        (key, row) for (table, key), row in ear.effects.writes.items() if table == "incoming" and row
    )
    again = Receiving(Effects(), SETTINGS)
    again.restore(Snapshot(incoming=rows))
    again.check()
    assert [key[0] for key in again._incoming] == [2, 1]
