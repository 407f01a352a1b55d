"""A partition goes while mailboxes of another one, which stays, hold acks that are not written and whose receipts are
for senders of the one that goes: they are dropped from memory, too, and that costs a repeat on the wire."""

from typing import Any

from node.mail import effects
from tests.node.routing.stage import Session, Stage

RECIPIENT, LEAVER, STAYER = 4, 6, 8
"""Users whose primary is node a. The one in the middle is of a partition that goes to node b."""
MOVED = LEAVER % 4
SOON_MS, FLUSHED_MS = 100, 1_500


class Beside:
    """Two senders and a recipient at node a, and what each has heard in all."""

    def __init__(self) -> None:
        self.stage = stage = Stage()
        self.recipient, self.leaver, self.stayer = map(stage.a.login_of, (RECIPIENT, LEAVER, STAYER))

    def send(self, sender: Session, n: int, body: bytes) -> None:
        self.stage.a.within(self.stage.a.router.send, sender, RECIPIENT, n, n, body)
        self.stage.run()

    def handed(self) -> list[tuple[int, int]]:
        """(sender, n) of what the recipient was handed since the last time."""
        return [(one[2], one[4]) for one in self.recipient.frames(effects.DELIVER)]

    def ack(self, sender: Session, n: int) -> None:
        router = self.stage.a.router
        self.stage.a.within(router.ack, self.recipient, sender.user, sender.stream, n, n)
        self.stage.run()

    def accepted(self, sender: Session) -> list[tuple[Any, ...]]:
        return [one[4:6] for one in sender.frames(effects.ACCEPTED)]

    def on_disk(self, sender: Session) -> tuple[Any, Any]:
        """What the disk has of a pair: numbers that are over, and messages that wait."""
        disk, key = self.stage.a.disk, (RECIPIENT, sender.user, sender.stream)
        row = disk.pairs.get(key)
        return (row[1] if row is not None else [], sorted(disk.messages.get(key, {})))


def acked_and_not_written() -> Beside:
    """A message of each sender is on disk, and its recipient has just acknowledged both."""
    one = Beside()
    for sender in (one.leaver, one.stayer):
        one.send(sender, 1, b"first")
    one.stage.wait(SOON_MS)
    assert one.accepted(one.leaver) == one.accepted(one.stayer) == [(1, 1)]
    assert sorted(one.handed()) == [(LEAVER, 1), (STAYER, 1)]
    for sender in (one.leaver, one.stayer):
        one.ack(sender, 1)
        assert one.on_disk(sender) == ([], [1])
    return one


def test_what_was_acknowledged_and_not_written_is_handed_over_again_and_nothing_is_lost() -> None:
    one = acked_and_not_written()
    stage = one.stage
    stage.claim(MOVED, b"b")
    assert stage.a.mail.counts.dropped == 1, "the recipient's mailbox, though its partition stays"
    assert one.recipient.ended is None, "its connection stays, too"
    stage.wait(SOON_MS)
    assert sorted(one.handed()) == [(LEAVER, 1), (STAYER, 1)], "once more: its acks were confirmed to nobody"
    assert not one.recipient.frames(effects.CONFIRM)
    for sender in (one.leaver, one.stayer):
        one.ack(sender, 1)
    stage.wait(FLUSHED_MS)
    assert sorted(effect[2] for effect in one.recipient.frames(effects.CONFIRM)) == [LEAVER, STAYER]
    for sender in (one.leaver, one.stayer):
        assert one.on_disk(sender) == ([1, 1], [])
        assert sender.frames(effects.RECEIPT), "and both senders know"
        assert not sender.frames(effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED)
    assert one.handed() == []


def test_what_waited_in_memory_beside_is_sent_again_by_its_edge_and_taken_once() -> None:
    """A message of another sender, that nobody has accepted yet: its phone neither waits nor does anything."""
    one = acked_and_not_written()
    stage = one.stage
    one.send(one.stayer, 2, b"second")
    assert one.handed() == [(STAYER, 2)]
    assert one.accepted(one.stayer) == []
    stage.claim(MOVED, b"b")
    stage.wait(SOON_MS)
    assert one.accepted(one.stayer) == [(2, 2)]
    handed = one.handed()
    assert [n for sender, n in handed if sender == STAYER] == [1, 2], "in order"
    for sender, n in handed:
        one.ack(one.leaver if sender == LEAVER else one.stayer, n)
    stage.wait(FLUSHED_MS)
    assert one.on_disk(one.stayer) == ([1, 2], [])
    assert one.on_disk(one.leaver) == ([1, 1], [])


def test_a_mailbox_without_such_acks_is_left_alone() -> None:
    one = acked_and_not_written()
    one.stage.wait(FLUSHED_MS)
    one.stage.claim(MOVED, b"b")
    one.stage.wait(SOON_MS)
    assert one.stage.a.mail.counts.dropped == 0
    assert one.handed() == []
