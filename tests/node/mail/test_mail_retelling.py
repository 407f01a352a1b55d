"""Pairs that are to be told again: asked for until their primary has them in hand, and no note goes too soon."""

from typing import Any

import pytest

from node.mail import dropping, effects, receipts, retelling, settling
from node.mail.notes import NoteKey
from node.wire.verbs import KIND_DELIVERED
from tests.node.mail.core import ALICE, BOB, CAROL, STREAM, Core, partition_of

OTHER = b"node-two"
PAIR = (BOB, ALICE, STREAM)
NOTE: NoteKey = (partition_of(ALICE), *PAIR)


def core_of(*served: int) -> Core:
    """Bob lives in 0, Alice in 1."""
    core = Core()
    core.state.partition_of = partition_of
    core.state.served = set(served)
    return core


def look(core: Core, noted: int = 1) -> list[tuple[Any, ...]]:
    """What is asked for."""
    retelling.look(core.state, noted)
    return [effect[1:] for effect in core.asked(effects.RETELL)]


def found(core: Core, *rows: tuple[NoteKey, int], noted: int = 1) -> list[tuple[Any, ...]]:
    """Notes are read, and asked for."""
    look(core, noted)
    assert core.asked(effects.SCAN_NOTES)
    retelling.scanned(core.state, rows, None)
    return look(core, noted)


def taken_off(core: Core) -> list[tuple[Any, ...]]:
    return [effect[3] for effect in core.asked(effects.NOTES_OFF)]


def retold(core: Core) -> list[tuple[Any, ...]]:
    return [effect[1:] for effect in core.asked(effects.RETOLD)]


# ---- whoever has notes -----------------------------------------------------------------------------------


def test_a_note_is_asked_for_until_it_is_answered_and_goes_then() -> None:
    core = core_of()
    assert found(core, (NOTE, 5)) == [(*PAIR, 1)]
    assert look(core) == []
    core.wait(3_000)
    assert look(core) == [(*PAIR, 1)]
    retelling.answered(core.state, *PAIR, 1)
    assert taken_off(core) == [((NOTE, 5),)]
    core.wait(100_000)
    assert look(core) == []
    retelling.taken_off(core.state, PAIR, 1, failed=False)
    assert core.state.notes.found == {}
    assert core.asked(effects.SCAN_NOTES) == []


def test_nothing_is_read_before_there_are_new_notes() -> None:
    core = core_of()
    look(core, 0)
    assert core.asked() == []
    look(core, 1)
    assert core.asked() == [(effects.SCAN_NOTES, None, retelling.SCAN_NOTES)]
    look(core, 2)
    assert core.asked() == [], "one reading at a time"
    retelling.scanned(core.state, [], None)
    look(core, 2)
    assert core.asked() == [(effects.SCAN_NOTES, None, retelling.SCAN_NOTES)]


def test_an_answer_says_nothing_of_a_note_that_was_made_since() -> None:
    core = core_of()
    found(core, (NOTE, 5))
    retelling.answered(core.state, *PAIR, 1)
    assert taken_off(core) == [((NOTE, 5),)]
    assert found(core, (NOTE, 9), noted=2) == [(*PAIR, 2)]
    retelling.taken_off(core.state, PAIR, 1, failed=False)
    retelling.answered(core.state, *PAIR, 1)
    assert taken_off(core) == []
    core.wait(3_000)
    assert look(core, 2) == [(*PAIR, 2)]


def test_two_notes_of_one_pair_are_one_question() -> None:
    core = core_of()
    there: NoteKey = (7, *PAIR)
    assert found(core, (NOTE, 5), (there, 6)) == [(*PAIR, 2)]
    retelling.answered(core.state, *PAIR, 2)
    assert taken_off(core) == [((NOTE, 5), (there, 6))]


def test_a_note_that_could_not_be_deleted_is_asked_for_again() -> None:
    core = core_of()
    found(core, (NOTE, 5))
    retelling.answered(core.state, *PAIR, 1)
    retelling.taken_off(core.state, PAIR, 1, failed=True)
    core.wait(3_000)
    assert look(core) == [(*PAIR, 1)]


def test_what_could_not_be_read_is_read_a_while_later() -> None:
    core = core_of()
    look(core)
    core.asked(effects.SCAN_NOTES)
    retelling.not_scanned(core.state)
    assert look(core) == core.asked(effects.SCAN_NOTES) == []
    core.wait(retelling.SCAN_AGAIN_MS)
    look(core)
    assert len(core.asked(effects.SCAN_NOTES)) == 1


def test_after_a_split_as_many_as_there_is_room_for_are_asked_for_at_a_time() -> None:
    core = core_of()
    many = [((1, user, ALICE, STREAM), user) for user in range(10, 10 + 2 * retelling.ASKED_MAX)]
    assert len(found(core, *many)) == retelling.ASKED_MAX
    assert look(core) == []
    core.wait(retelling.ASKED_EVERY_MS)
    assert len(look(core)) == retelling.ASKED_MAX


def test_no_more_notes_are_read_than_memory_is_for() -> None:
    core = core_of()
    after: Any = (1, 10, ALICE, STREAM)
    look(core)
    core.asked(effects.SCAN_NOTES)
    rows = [((1, user, ALICE, STREAM), 1) for user in range(10, 10 + retelling.NOTES_MAX)]
    retelling.scanned(core.state, rows, after)
    look(core)
    assert core.asked(effects.SCAN_NOTES) == []
    for _, recipient, sender, stream in [key for key, _ in rows[: retelling.SCAN_NOTES]]:
        note = core.state.notes.found[recipient, sender, stream]
        retelling.taken_off(core.state, note.key, note.number, failed=False)
    look(core)
    assert core.asked(effects.SCAN_NOTES) == [(effects.SCAN_NOTES, after, retelling.SCAN_NOTES)]


class Disk:
    """Notes of 300 pairs of a partition whose primary is away, in key order, and behind them 100 of another one."""

    def __init__(self, core: Core) -> None:
        self.core = core
        core.state.partition_of = self.home
        self.rows = {(1, user, ALICE, STREAM): user for user in range(1_000, 1_400)}
        self.there = {1}
        self.noted = 1
        self.asked = 0

    def home(self, user: int) -> int:
        return user // 1_300

    def run(self, ms: int) -> None:
        for _ in range(ms // retelling.ASKED_EVERY_MS):
            self.core.wait(retelling.ASKED_EVERY_MS)
            retelling.look(self.core.state, self.noted)
            assert len(self.core.state.notes.found) <= retelling.NOTES_MAX
            for effect in self.core.asked():
                self._does(effect)

    def _does(self, effect: tuple[Any, ...]) -> None:
        state = self.core.state
        if effect[0] == effects.SCAN_NOTES:
            after, limit = effect[1:]
            keys = [key for key in self.rows if after is None or key > after][:limit]
            more = keys[-1] if len(keys) == limit else None
            retelling.scanned(state, [(key, self.rows[key]) for key in keys], more)
        elif effect[0] == effects.RETELL:
            self.asked += 1
            if self.home(effect[1]) in self.there:
                retelling.answered(state, *effect[1:])
        elif effect[0] == effects.NOTES_OFF:
            for key, _ in effect[3]:
                del self.rows[key]
            retelling.taken_off(state, effect[1], effect[2], failed=False)


def disk_of_many(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """In memory there is room for 200."""
    monkeypatch.setattr(retelling, "NOTES_MAX", 200)
    return Disk(core_of())


def test_notes_of_a_primary_that_is_away_make_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = disk_of_many(monkeypatch)
    disk.run(60_000)
    assert {disk.home(key[1]) for key in disk.rows} == {0}
    disk.asked = 0
    disk.run(600_000)
    assert disk.asked < 300 * 3 * 600_000 // retelling.READ_AGAIN_MS, (
        "as seldom as if there were room for all"
    )
    disk.there = {0, 1}
    retelling.hurry(disk.core.state, 0)
    disk.run(20_000)
    assert disk.rows == {}


def test_those_that_made_room_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = disk_of_many(monkeypatch)
    disk.run(60_000)
    disk.there = {0, 1}
    disk.run(2 * retelling.READ_AGAIN_MS)
    assert disk.rows == {}


def test_new_notes_do_not_keep_others_from_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = disk_of_many(monkeypatch)
    for disk.noted in range(1, 600):
        disk.run(100)
    assert {disk.home(key[1]) for key in disk.rows} == {0}


def test_who_could_not_be_asked_is_asked_when_there_is_a_way() -> None:
    core = core_of()
    found(core, (NOTE, 5), ((1, CAROL, ALICE, STREAM), 6))
    retelling.hurry(core.state, partition_of(BOB))
    assert look(core) == [(*PAIR, 1)]
    retelling.put_off(core.state, *PAIR)
    core.wait(500)
    assert look(core) == [(*PAIR, 1)]


# ---- the pair's primary ----------------------------------------------------------------------------------


def ask(core: Core, number: int = 3) -> None:
    assert retelling.asked(core.state, OTHER, *PAIR, number)


def test_all_that_the_pair_says_is_owed_and_answered_when_that_is_written() -> None:
    core = core_of(0)
    core.pair(row=[5, [1, 3], [4, 4], 2, 19_999])
    ask(core)
    assert retold(core) == []
    batch = core.batch()
    assert batch is not None
    assert [telling.key for telling, kept in batch.marks if kept] == [PAIR]
    assert core.state.telling[PAIR].delivered.spans == [1, 3]
    assert retold(core) == []
    settling.committed(core.state, batch, failed=False)
    assert retold(core) == [(OTHER, *PAIR, 3)]


def test_the_pair_goes_with_the_receipts_of_a_sender_who_lives_here() -> None:
    core = core_of(0, 1)
    core.pair(row=[5, [1, 3], [], 0, 19_999])
    ask(core)
    core.wait(1_000)
    assert core.batch() is None, "the receipt's row is being read"
    receipts.loaded(core.state, (ALICE, BOB, STREAM), None)
    batch = core.batch()
    assert batch is not None
    assert [owed.sender for owed, _ in batch.owed] == [ALICE]
    settling.committed(core.state, batch, failed=False)
    assert retold(core) == [(OTHER, *PAIR, 3)]


def test_who_asks_while_the_pair_is_written_is_answered_by_the_next_writing() -> None:
    core = core_of(0)
    core.pair(row=[5, [1, 3], [], 0, 19_999])
    ask(core)
    batch = core.batch()
    assert batch is not None
    ask(core, 4)
    settling.committed(core.state, batch, failed=False)
    assert retold(core) == [(OTHER, *PAIR, 3)]
    core.commit()
    assert retold(core) == [(OTHER, *PAIR, 4)]


def test_a_writing_that_fails_answers_nobody_and_the_next_one_does() -> None:
    core = core_of(0)
    core.pair(row=[5, [1, 3], [], 0, 19_999])
    ask(core)
    core.commit(failed=True)
    assert retold(core) == []
    core.commit()
    assert retold(core) == [(OTHER, *PAIR, 3)]


def test_a_pair_that_says_nothing_is_answered_at_once() -> None:
    core = core_of(0)
    ask(core)
    core.loaded(PAIR)
    assert retold(core) == [(OTHER, *PAIR, 3)]
    core.wait(1_000)
    assert core.batch() is None


def test_a_partition_that_goes_answers_nobody() -> None:
    core = core_of(0)
    core.pair(row=[5, [1, 3], [], 0, 19_999])
    ask(core)
    batch = core.batch()
    assert batch is not None
    ask(core, 4)
    dropping.dropped(core.state, {0}, partition_of)
    settling.committed(core.state, batch, failed=False)
    assert retold(core) == []
    assert core.state.notes.askers == {}


def test_who_finds_no_room_is_told_so() -> None:
    core = core_of(0)
    core.state.loads_waiting = core.state.settings.loads_waiting_max
    assert not retelling.asked(core.state, OTHER, *PAIR, 3)
    assert not retelling.has_room(core.state)
    core.state.loads_waiting = 0
    assert retelling.has_room(core.state)


def test_a_sender_hears_of_a_receipt_that_its_primary_lost() -> None:
    """The whole way on one node, which has the note and is the primary of both."""
    core = core_of(0, 1)
    core.pair(row=[5, [1, 3], [], 0, 19_999])
    core.online(ALICE)
    core.asked()
    found(core, (NOTE, 5))
    ask(core, 1)
    core.no_receipts()
    told = [effect[1:] for effect in core.asked(effects.RECEIPT)]
    assert told == [(ALICE, BOB, STREAM, KIND_DELIVERED, 1, 3)]
