"""Receipts of senders whose primary is another node: told until they are durable there, marked until they are told."""

from typing import Any

import attrs
import pytest

from node.mail import dropping, effects, healing, loading, receipts, rounds, settling, telling, writebehind
from node.mail.pair import Pair
from node.mail.state import Batch, Telling
from node.wire.verbs import KIND_DELIVERED, KIND_EXPIRED, KIND_READ
from tests.node.mail.core import ALICE, BOB, STREAM, Core, partition_of

OTHER = b"node-two"
PAIR = (BOB, ALICE, STREAM)
HOME = partition_of(ALICE)


def core_of(*served: int) -> Core:
    """A node of several, that serves these partitions. Bob lives in 0, Alice in 1."""
    core = Core()
    core.state.partition_of = partition_of
    core.state.served = set(served)
    return core


def acked(core: Core, first: int, last: int, kind: int = KIND_DELIVERED) -> Pair:
    """Alice is to hear of it."""
    pair = core.pair()
    pair.gone.add_range(first, last)
    pair.climb()
    receipts.owe(core.state, pair, kind, first, last)
    writebehind.mark(core.state, pair)
    return pair


def tells(core: Core) -> list[tuple[Any, ...]]:
    telling.ask(core.state)
    return [effect[1:] for effect in core.asked(effects.TELL)]


def told(core: Core, delivered: tuple[int, ...] = (), expired: tuple[int, ...] = (), read: int = 0) -> None:
    telling.told(core.state, ALICE, BOB, STREAM, delivered, expired, read)
    core.state.check()


def hear(core: Core, delivered: tuple[int, ...] = (), expired: tuple[int, ...] = (), read: int = 0) -> None:
    telling.heard(core.state, OTHER, ALICE, BOB, STREAM, delivered, expired, read)
    core.no_receipts()


def being_written(delivered: tuple[int, ...]) -> tuple[Core, Batch]:
    """What was heard is on its way to the disk."""
    core = core_of(1)
    hear(core, delivered)
    core.wait(1_000)
    batch = core.batch()
    assert batch is not None
    return core, batch


def answers(core: Core) -> list[tuple[Any, ...]]:
    return [effect[1:] for effect in core.asked(effects.TOLD)]


def marks(core: Core) -> list[bool]:
    """What is written of marks within a second."""
    core.wait(1_000)
    batch = core.batch()
    if batch is None:
        return []
    settling.committed(core.state, batch, failed=False)
    core.state.check()
    return [kept for _, kept in batch.marks]


# ---- at the pair's primary -------------------------------------------------------------------------------


def test_a_node_alone_tells_nobody() -> None:
    core = Core()
    acked(core, 1, 1)
    assert core.state.telling == {}
    assert core.asked(effects.LOAD_OWED) == [(effects.LOAD_OWED, ALICE, BOB, STREAM)]


def test_a_sender_who_lives_here_is_owed_here() -> None:
    core = core_of(0, 1)
    acked(core, 1, 1)
    assert core.state.telling == {}
    assert core.asked(effects.LOAD_OWED)


def test_what_was_added_in_one_pass_is_told_at_once_and_whole() -> None:
    core = core_of(0)
    acked(core, 1, 2)
    acked(core, 3, 3)
    receipts.owe(core.state, core.pair(), KIND_EXPIRED, 5, 5)
    receipts.owe(core.state, core.pair(), KIND_READ, 1, 2)
    assert core.asked(effects.LOAD_OWED) == []
    assert tells(core) == [(ALICE, BOB, STREAM, (1, 3), (5, 5), 2)]
    assert tells(core) == []


def test_it_is_told_again_until_it_is_answered() -> None:
    core = core_of(0)
    acked(core, 1, 3)
    tells(core)
    core.wait(rounds.AGAIN_MS)
    assert tells(core) == [(ALICE, BOB, STREAM, (1, 3), (), 0)]
    told(core, (1, 2))
    core.wait(rounds.AGAIN_MS)
    assert tells(core) == [(ALICE, BOB, STREAM, (3, 3), (), 0)]
    told(core, (3, 3))
    core.wait(rounds.AGAIN_MS)
    assert tells(core) == []
    assert core.state.telling == {}


def test_it_is_told_at_once_where_a_link_is_new() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    tells(core)
    core.wait(rounds.AGAIN_MS)
    assert len(tells(core)) == 1
    telling.hurry(core.state, HOME)
    core.wait(1)
    assert len(tells(core)) == 1
    core.wait(rounds.AGAIN_MS)
    assert len(tells(core)) == 1, "and soon again"


def test_who_does_not_answer_is_told_ever_more_rarely_and_who_answers_in_part_as_often_as_at_first() -> None:
    core = core_of(0)
    acked(core, 1, 3)
    tells(core)
    waits = []
    for _ in range(rounds.ROUNDS + 1):
        waited = 0
        while not tells(core):
            core.wait(1_000)
            waited += 1
        waits.append(waited)
    assert waits == [3, 6, 12, 24, 48, 96, 96]
    told(core, (1, 1))
    core.wait(rounds.AGAIN_MS)
    assert len(tells(core)) == 1


def test_only_who_lives_where_something_is_new_is_told_at_once() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    tells(core)
    telling.hurry(core.state, HOME + 1)
    assert tells(core) == []
    telling.hurry(core.state, HOME)
    assert len(tells(core)) == 1


def test_what_found_no_room_is_told_again_soon_and_after_silence_as_at_first() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    tells(core)
    for _ in range(3):
        core.wait(rounds.AGAIN_MS << rounds.ROUNDS)
        tells(core)
    telling.put_off(core.state, ALICE, BOB, STREAM)
    core.wait(rounds.SOON_MS - 1)
    assert tells(core) == []
    core.wait(1)
    assert len(tells(core)) == 1
    core.wait(rounds.AGAIN_MS)
    assert len(tells(core)) == 1
    told(core, (1, 1))
    telling.put_off(core.state, ALICE, BOB, STREAM)
    assert core.state.telling == {}, "nobody waits for it"


def test_what_found_no_room_waits_no_longer_since_something_else_is_answered() -> None:
    """It was never said: nobody who is there can answer it."""
    core = core_of(0)
    acked(core, 1, 2)
    tells(core)
    acked(core, 3, 3)
    tells(core)
    telling.put_off(core.state, ALICE, BOB, STREAM)
    core.wait(rounds.SOON_MS // 2)
    told(core, (1, 2))
    core.wait(rounds.SOON_MS // 2)
    assert tells(core) == [(ALICE, BOB, STREAM, (3, 3), (), 0)]


def test_many_that_are_due_at_once_are_told_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "AGAIN_MAX", 2)
    core = core_of(0)
    senders = (1, 3, 5, 7, 9)
    for sender in senders:
        pair = core.pair(sender)
        receipts.owe(core.state, pair, KIND_DELIVERED, 1, 1)
    assert len(tells(core)) == len(senders), "what is new is told at once"
    telling.hurry(core.state, HOME)
    assert len(tells(core)) == 2
    assert tells(core) == [], "however often it is asked"
    waits = []
    for _ in range(3):
        core.wait(telling.AGAIN_EVERY_MS)
        waits.append(len(tells(core)))
    assert waits == [2, 1, 0]


def test_nothing_waits_for_an_answer_that_nobody_owes_any_more() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    tells(core)
    dropping.dropped(core.state, {0}, partition_of)
    telling.hurry(core.state, HOME)
    assert core.state.tell_rounds.due(core.state.now, 9) == []


def test_a_pair_that_is_written_before_it_is_told_gets_a_mark_which_goes_when_it_is() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    tells(core)
    assert marks(core) == [True]
    told(core, (1, 1))
    assert core.state.telling, "the mark is still there"
    assert marks(core) == [False]
    assert core.state.telling == {}


def test_a_pair_that_was_told_before_it_is_written_needs_no_mark() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    tells(core)
    told(core, (1, 1))
    assert marks(core) == []


def test_a_mark_that_could_not_be_written_is_written_with_the_pair_again() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    core.commit(failed=True)
    core.wait(2_000)
    assert marks(core) == [True]


def test_a_mark_stays_while_more_is_to_be_told() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    assert marks(core) == [True]
    told(core, (1, 1))
    acked(core, 2, 2)
    assert marks(core) == [], "it stands for what came since"
    told(core, (2, 2))
    assert marks(core) == [False]


def test_a_mark_that_could_not_be_deleted_is_deleted_later() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    marks(core)
    told(core, (1, 1))
    core.commit(failed=True)
    core.wait(2_000)
    assert marks(core) == [False]
    assert core.state.telling == {}


def test_what_is_acknowledged_while_the_mark_goes_gets_one_of_its_own() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    marks(core)
    told(core, (1, 1))
    core.wait(1_000)
    batch = core.batch()
    assert batch is not None
    acked(core, 2, 2)
    settling.committed(core.state, batch, failed=False)
    assert marks(core) == [True]


def test_too_many_leave_their_marks_alone_and_are_looked_for_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(telling, "TELLINGS_MAX", 4)
    core = core_of(0)
    acked(core, 1, 1)
    tells(core)
    marks(core)
    for sender in (3, 5, 7, 9):
        core.state.telling[BOB, sender, STREAM] = Telling(BOB, sender, STREAM, 0, 1)
    telling.of(core.state, core.pair(11))
    assert PAIR not in core.state.telling
    assert core.state.tell_later == {0}
    core.state.telling.clear()
    telling.ask(core.state)
    assert core.asked(effects.SCAN_UNTOLD) == [(effects.SCAN_UNTOLD, 0, None, healing.UNTOLD_PAIRS)]


# ---- who serves the pair next ------------------------------------------------------------------------------


def heal(core: Core, row: list[Any]) -> None:
    healing.begin(core.state, 0)
    core.asked(effects.SCAN_UNTOLD)
    healing.found(core.state, 0, [PAIR], None, {PAIR})
    for effect in core.asked(effects.LOAD):
        loading.loaded(core.state, effect[1:], row, 0, None, 0, known=True)
    core.no_receipts()


def test_all_that_a_marked_pair_says_is_told() -> None:
    core = core_of(0)
    heal(core, [9, [1, 4], [5, 7], 3, 0])
    assert tells(core) == [(ALICE, BOB, STREAM, (1, 4), (5, 7), 3)]
    assert marks(core) == [], "it is there"
    told(core, (1, 4), (5, 7), 3)
    assert marks(core) == [False]
    assert core.state.healing == {}


def test_a_mark_of_a_sender_who_lives_here_by_now_goes_with_the_receipts() -> None:
    core = core_of(0, 1)
    heal(core, [4, [1, 4], [], 0, 0])
    batch = core.commit()
    assert [(owed.row(), kept) for owed, kept in batch.owed] == [([[1, 4], [], 0], True)]
    assert [kept for _, kept in batch.marks] == [False]
    assert core.state.telling == {}


def test_a_mark_of_a_pair_that_says_nothing_goes() -> None:
    core = core_of(0)
    heal(core, [4, [], [1, 4], 0, 0, [1, 4]])
    assert tells(core) == []
    assert marks(core) == [False]


def test_what_was_dropped_is_found_by_its_mark() -> None:
    core = core_of(0)
    acked(core, 1, 1)
    core.wait(1_000)
    batch = core.batch()
    assert batch is not None
    assert dropping.dropped(core.state, {0}, partition_of) == []
    assert core.state.telling == {}
    assert batch.marks == []


# ---- at the sender's primary -------------------------------------------------------------------------------


def test_who_told_is_answered_when_it_is_durable() -> None:
    core = core_of(1)
    hear(core, (1, 3), (), 2)
    assert answers(core) == []
    core.commit(failed=True)
    assert answers(core) == []
    core.wait(2_000)
    core.commit()
    assert answers(core) == [(OTHER, ALICE, BOB, STREAM, (1, 3), (), 2)]


def test_who_told_is_answered_when_the_client_has_confirmed_and_nothing_is_written() -> None:
    core = core_of(1)
    core.online(ALICE)
    hear(core, (1, 3))
    assert [effect[4:] for effect in core.asked(effects.RECEIPT)] == [(KIND_DELIVERED, 1, 3)]
    receipts.confirm(core.state, ALICE, BOB, STREAM, KIND_DELIVERED, 1, 3)
    assert answers(core) == [(OTHER, ALICE, BOB, STREAM, (1, 3), (), 0)]
    core.wait(1_000)
    assert core.batch() is None


def test_what_is_known_already_is_answered_at_once_and_not_said_again() -> None:
    core = core_of(1)
    hear(core, (1, 3))
    core.commit()
    answers(core)
    core.online(ALICE)
    core.asked(effects.RECEIPT)
    key = (ALICE, BOB, STREAM)
    telling.heard(core.state, OTHER, *key, (1, 3), (), 0)
    for effect in core.asked(effects.LOAD_OWED):
        receipts.loaded(core.state, effect[1:], [[1, 3], [], 0])
    assert answers(core) == [(OTHER, ALICE, BOB, STREAM, (1, 3), (), 0)]
    assert core.asked(effects.RECEIPT) == []


def test_who_finds_no_room_is_told_so_and_there_is_room_again_when_half_is_free() -> None:
    core = core_of(1)
    core.state.settings = attrs.evolve(core.state.settings, loads_waiting_max=2)
    key = (ALICE, BOB, STREAM)
    assert telling.heard(core.state, OTHER, ALICE, BOB + 2, STREAM, (1, 1), (), 0)
    assert telling.has_room(core.state)
    assert telling.heard(core.state, OTHER, ALICE, BOB + 4, STREAM, (1, 1), (), 0)
    assert not telling.has_room(core.state)
    assert not telling.heard(core.state, OTHER, *key, (1, 1), (), 0)
    assert core.state.counts.tells_put_off == 1
    core.no_receipts()
    assert telling.has_room(core.state)
    assert telling.heard(core.state, OTHER, *key, (1, 1), (), 0)


def test_who_tells_twice_before_it_is_durable_is_answered_once() -> None:
    core = core_of(1)
    hear(core, (1, 2))
    hear(core, (1, 4))
    core.commit()
    assert answers(core) == [(OTHER, ALICE, BOB, STREAM, (1, 4), (), 0)]


def test_what_is_told_while_it_is_written_waits_for_the_next_writing() -> None:
    core, batch = being_written((1, 2))
    hear(core, (3, 4))
    settling.committed(core.state, batch, failed=False)
    assert answers(core) == [(OTHER, ALICE, BOB, STREAM, (1, 2), (), 0)]
    core.commit()
    assert answers(core) == [(OTHER, ALICE, BOB, STREAM, (3, 4), (), 0)]


def test_who_tells_what_is_being_written_is_answered_when_it_is() -> None:
    core, batch = being_written((1, 2))
    telling.heard(core.state, b"third", ALICE, BOB, STREAM, (1, 1), (), 0)
    settling.committed(core.state, batch, failed=False)
    assert [answer[:1] + answer[4:] for answer in answers(core)] == [
        (b"third", (1, 1), (), 0),
        (OTHER, (1, 2), (), 0),
    ]


def test_who_tells_what_could_not_be_written_is_answered_when_it_is() -> None:
    core, batch = being_written((1, 2))
    telling.heard(core.state, b"third", ALICE, BOB, STREAM, (1, 1), (), 0)
    settling.committed(core.state, batch, failed=True)
    assert answers(core) == []
    core.wait(2_000)
    core.commit()
    assert sorted(answer[0] for answer in answers(core)) == sorted((OTHER, b"third"))


def test_a_former_devices_receipts_are_taken_for_told() -> None:
    core = core_of(1)
    core.online(ALICE, stream=b"another.")
    hear(core, (1, 3))
    assert answers(core) == [(OTHER, ALICE, BOB, STREAM, (1, 3), (), 0)]
    assert core.asked(effects.RECEIPT) == []


def test_nobody_is_answered_for_a_partition_that_was_dropped() -> None:
    core = core_of(1)
    hear(core, (1, 3))
    core.wait(1_000)
    batch = core.batch()
    assert batch is not None
    dropping.dropped(core.state, {1}, partition_of)
    settling.committed(core.state, batch, failed=False)
    assert answers(core) == []


# ---- both partitions here, and one goes ----------------------------------------------------------------------


def test_receipts_lost_with_their_partition_in_the_commit_of_their_pair_are_told_again() -> None:
    core = core_of(0, 1)
    acked(core, 1, 2)
    core.no_receipts()
    core.wait(1_000)
    batch = core.batch()
    assert batch is not None
    assert core.state.served is not None
    core.state.served.discard(1)
    dropping.dropped(core.state, {1}, partition_of)
    assert batch.untold == [PAIR]
    assert core.state.disturbed == {0}, "its mailbox went, too, and senders may wait for that"
    settling.committed(core.state, batch, failed=False)
    healing.again(core.state, batch.untold)
    for effect in core.asked(effects.LOAD):
        loading.loaded(core.state, effect[1:], [2, [1, 2], [], 0, 0], 0, None, 0, known=True)
    assert tells(core) == [(ALICE, BOB, STREAM, (1, 2), (), 0)]
    assert marks(core) == [True]
