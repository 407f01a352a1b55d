"""Receipts between two nodes: whoever couldn't take one in says so as soon as it can, and nobody waits for silence to
end."""

from typing import Any

import attrs
import pytest

from node.mail import effects, rounds
from node.routing import codes, reading
from tests.node.routing.stage import PARTITIONS, Session, Stage

SENDER, RECIPIENT = 4, 5
"""Users: node a is the primary of the one, b of the other."""
TICK_MS = 100
LONG_MS = rounds.AGAIN_MS << 4
"""After this silence is broken again after 45 s, and not before."""


class Talk:
    """Messages from a user of node a to one of node b, which are acknowledged there."""

    def __init__(self, stage: Stage, sender: int = SENDER) -> None:
        self.stage = stage
        self.sent = 0
        self.sender = stage.a.login_of(sender)
        self.recipient = self._recipient()

    def _recipient(self) -> Session:
        found = self.stage.b.router.state.sessions.get(RECIPIENT)
        return found if isinstance(found, Session) else self.stage.b.login_of(RECIPIENT)

    def send(self) -> None:
        self.sent += 1
        self.stage.a.within(self.stage.a.router.send, self.sender, RECIPIENT, self.sent, self.sent, b"hello")
        self.stage.run()
        self.stage.wait(TICK_MS)  # so that it is written, and accepted before it is acknowledged

    def ack(self) -> None:
        """Node b owes node a a receipt."""
        router, n = self.stage.b.router, self.sent
        self.stage.b.within(router.ack, self.recipient, self.sender.user, self.sender.stream, n, n)
        self.stage.run()

    def is_told(self) -> bool:
        return bool(self.sender.frames(effects.RECEIPT))


def one_sent() -> tuple[Stage, Talk]:
    """The recipient has it, and hasn't acknowledged it."""
    stage = Stage()
    talk = Talk(stage)
    talk.send()
    return stage, talk


def words(stage: Stage, code: int) -> list[tuple[Any, ...]]:
    return [message for _, channel, message in stage.sent if (channel, message[0]) == (codes.RECEIPTS, code)]


def count(stage: Stage, name: str, node: str = "a") -> Any:
    return getattr(stage, node).router.statistics()[name]


def test_who_told_before_the_partition_was_served_is_called_when_it_is() -> None:
    stage, talk = one_sent()
    stage.drop(0)
    talk.ack()
    stage.wait(LONG_MS)
    assert count(stage, "tells_unserved") > 3
    assert not talk.is_told()
    stage.a.within(stage.serve, stage.a, 0)
    stage.wait(TICK_MS)
    assert talk.is_told()
    assert words(stage, codes.READY) == [(codes.READY, [0])]
    stage.wait(2_000)
    assert stage.b.mail.telling == {}
    assert count(stage, "tells_called") == 1


def test_a_release_that_does_not_know_the_word_tells_again_by_its_own_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it was before there was the word: it is passed over, like any other that isn't known."""
    stage, talk = one_sent()
    stage.drop(0)
    talk.ack()
    monkeypatch.setattr(codes, "READY", 77)
    stage.a.within(stage.serve, stage.a, 0)
    stage.wait(2 * TICK_MS)
    assert count(stage, "not_understood", "b") == {"receipts": {"77": 1}}
    assert not talk.is_told()
    stage.wait(rounds.AGAIN_MS)
    assert talk.is_told()


def test_what_was_dropped_before_it_was_written_is_told_to_the_same_node_again() -> None:
    stage, talk = one_sent()
    talk.ack()
    assert talk.is_told()
    stage.drop(0)
    stage.a.within(stage.serve, stage.a, 0)
    stage.wait(TICK_MS)
    assert talk.is_told(), "its session is told again, for nothing of the first time is left"
    stage.wait(2_000)
    assert stage.b.mail.telling == {}


def test_what_found_no_room_in_the_link_is_told_soon() -> None:
    stage, talk = one_sent()
    stage.shut.add((b"b", b"a", codes.RECEIPTS))
    talk.ack()
    stage.wait(LONG_MS)
    assert not talk.is_told()
    assert count(stage, "tells_choked", "b") >= LONG_MS // rounds.SOON_MS
    stage.shut.clear()
    stage.wait(rounds.SOON_MS)
    assert talk.is_told()


def test_an_answer_that_found_no_room_is_said_again() -> None:
    stage, talk = one_sent()
    stage.shut.add((b"a", b"b", codes.RECEIPTS))
    talk.ack()
    assert talk.is_told(), "the phone doesn't wait for it"
    stage.wait(2_000)
    assert count(stage, "told_choked") == 1
    (owed,) = stage.b.mail.telling.values()
    assert not owed.empty()
    stage.shut.clear()
    stage.wait(TICK_MS)
    assert owed.empty(), "only its mark is to be deleted"


def test_a_link_that_was_full_a_moment_ago_is_given_time() -> None:
    stage, talk = one_sent()
    stage.shut.add((b"a", b"b", codes.RECEIPTS))
    talk.ack()
    stage.wait(1_000)
    assert count(stage, "told_choked") == 1
    stage.shut.clear()
    stage.wait(stage.a.router.state.settings.reopen_ms - TICK_MS)
    assert words(stage, codes.READY) == []
    stage.wait(2 * TICK_MS)
    assert len(words(stage, codes.READY)) == 1


def test_who_found_no_room_to_be_loaded_is_called_when_there_is_some() -> None:
    stage, talk = one_sent()
    mail = stage.a.mail
    mail.settings = attrs.evolve(mail.settings, loads_waiting_max=1)
    mail.owed_loading[9, 9, b"somebody"] = []
    talk.ack()
    stage.wait(TICK_MS)
    assert not talk.is_told()
    assert words(stage, codes.READY) == [], "there is none yet"
    assert count(stage, "tells_put_off") == 1
    mail.owed_loading.clear()
    stage.wait(TICK_MS)
    assert talk.is_told()


def test_a_node_tells_itself_when_it_begins_to_serve() -> None:
    stage, talk = one_sent()
    stage.claim(0, b"b")
    stage.drop(0)
    talk.ack()
    stage.wait(LONG_MS)
    assert stage.b.mail.telling
    stage.b.within(stage.serve, stage.b, 0)
    stage.wait(2_000)
    assert stage.b.mail.telling == {}
    assert words(stage, codes.READY) == []


def test_many_partitions_are_said_at_once_and_only_to_whoever_told_of_them() -> None:
    stage = Stage()
    talks = [Talk(stage, sender) for sender in (4, 6)]
    for talk in talks:
        talk.send()
    for p in (0, 2):
        stage.drop(p)
    for talk in talks:
        talk.ack()
    for p in (0, 2):
        stage.a.within(stage.serve, stage.a, p)
    stage.wait(TICK_MS)
    assert words(stage, codes.READY) == [(codes.READY, [0, 2])]
    assert all(talk.is_told() for talk in talks)
    for p in (0, 2):
        stage.drop(p)
        stage.a.within(stage.serve, stage.a, p)
    stage.wait(2_000)
    assert [sorted(one) for _, one in words(stage, codes.READY)] == [[0, 2]] * 2
    stage.drop(0)
    stage.a.within(stage.serve, stage.a, 0)
    stage.wait(2_000)
    assert len(words(stage, codes.READY)) == 3, "it may not have heard the answer"
    stage.drop(0)
    stage.a.within(stage.serve, stage.a, 0)
    stage.wait(2_000)
    assert len(words(stage, codes.READY)) == 3, "it has told nothing since"


def test_a_call_of_who_is_not_the_primary_hurries_nobody() -> None:
    stage, talk = one_sent()
    stage.shut.add((b"b", b"a", codes.RECEIPTS))
    talk.ack()
    stage.shut.clear()
    for p in (1, 3):
        stage.b.within(stage.b.router.received, b"a", codes.RECEIPTS, [codes.READY, [p]])
    stage.run()
    assert not talk.is_told()
    stage.b.within(stage.b.router.received, b"a", codes.RECEIPTS, [codes.READY, [0]])
    stage.run()
    assert talk.is_told()


@pytest.mark.parametrize("said", [[PARTITIONS], [-1], ["0"], 0, list(range(codes.READY_MAX + 1))])
def test_a_call_that_makes_no_sense_begins_the_link_anew(said: object) -> None:
    stage = Stage()
    stage.b.within(stage.b.router.received, b"a", codes.RECEIPTS, [codes.READY, said])
    assert stage.b.resets == [(b"a", codes.RECEIPTS)]


def test_a_new_link_hurries_what_goes_there_and_nothing_else() -> None:
    stage, talk = one_sent()
    stage.shut.add((b"b", b"a", codes.RECEIPTS))
    talk.ack()
    stage.shut.clear()
    stage.shut.add((b"b", b"c", codes.RECEIPTS))
    stage.b.within(stage.b.router.connected, b"c", codes.RECEIPTS)
    stage.run()
    assert not talk.is_told()
    stage.b.within(stage.b.router.connected, b"a", codes.RECEIPTS)
    stage.run()
    assert talk.is_told()


# ---- pairs that are to be told again ---------------------------------------------------------------------------

PAIR = (RECIPIENT, SENDER, SENDER.to_bytes(8, "big"))
NOTE = (0, *PAIR)


def note(stage: Stage) -> None:
    """Node a has seen two records of a receipt meet, and the one that went is what it was told."""
    lose(stage)
    stage.a.tables.note(NOTE)
    stage.wait(TICK_MS)


def lose(stage: Stage) -> None:
    stage.a.disk.owed.clear()
    assert stage.a.mail.owed == {}


def told_once(stage: Stage) -> Talk:
    talk = Talk(stage)
    talk.send()
    talk.ack()
    stage.wait(2_000)
    assert talk.is_told()
    return talk


def test_who_has_a_note_has_the_pairs_primary_tell_again() -> None:
    stage = Stage()
    talk = told_once(stage)
    note(stage)
    stage.wait(2_000)
    assert talk.is_told()
    assert words(stage, codes.RETELL) == [(codes.RETELL, *PAIR, 1)]
    assert words(stage, codes.RETOLD) == [(codes.RETOLD, *PAIR, 1)]
    assert stage.a.tables.notes == {}
    assert count(stage, "retells_waiting") == 0


def test_who_has_a_note_may_be_the_pairs_primary() -> None:
    stage = Stage()
    talk = told_once(stage)
    lose(stage)
    stage.b.tables.note(NOTE)
    stage.wait(2_000)
    assert talk.is_told()
    assert words(stage, codes.RETELL) == []
    assert stage.b.tables.notes == {}


def test_a_pair_that_is_not_served_is_asked_for_again_when_it_is() -> None:
    stage = Stage()
    talk = told_once(stage)
    stage.drop(1)
    note(stage)
    stage.wait(LONG_MS)
    assert not talk.is_told()
    assert stage.a.tables.notes == {NOTE: 1}
    stage.b.within(stage.serve, stage.b, 1)
    stage.wait(TICK_MS)
    assert talk.is_told()
    assert (codes.READY, [1]) in words(stage, codes.READY)
    stage.wait(2_000)
    assert stage.a.tables.notes == {}


def test_a_question_that_is_dropped_before_the_pair_was_written_is_asked_again() -> None:
    stage = Stage()
    told_once(stage)
    stage.a.tables.note(NOTE)
    for _ in range(2):  # it is read, and asked for
        stage.a.within(lambda: None)
    stage.later.pop(0)()
    assert stage.b.mail.committing is not None
    stage.drop(1)
    assert words(stage, codes.RETOLD) == []
    stage.b.within(stage.serve, stage.b, 1)
    stage.wait(2_000)
    assert stage.a.tables.notes == {}


def test_a_question_or_an_answer_that_finds_no_room_is_said_again() -> None:
    for shut in ((b"a", b"b", codes.RECEIPTS), (b"b", b"a", codes.RECEIPTS)):
        stage = Stage()
        told_once(stage)
        stage.shut.add(shut)
        note(stage)
        stage.wait(1_000)
        assert stage.a.tables.notes == {NOTE: 1}
        stage.shut.clear()
        stage.wait(2_000)
        assert stage.a.tables.notes == {}


def test_a_release_that_does_not_know_of_retelling_passes_it_over(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    talk = told_once(stage)
    known = {
        code: shape for code, shape in reading.RECEIPTS.items() if code not in (codes.RETELL, codes.RETOLD)
    }
    monkeypatch.setattr(reading, "RECEIPTS", known)
    note(stage)
    stage.wait(LONG_MS)
    assert stage.b.resets == []
    assert 2 < len(words(stage, codes.RETELL)) < 10
    assert not talk.is_told()
    monkeypatch.undo()
    stage.wait(96_000)
    assert talk.is_told()
    assert stage.a.tables.notes == {}
