"""Partitions that go: nothing is left of them, nobody is answered, and what others have stays."""

from typing import Any

from node.mail import acking, dropping, effects, expiry, numbering, presence, settling
from tests.node.mail.core import ALICE, BOB, CAROL, STREAM, Core, partition_of

assert partition_of(ALICE) == partition_of(CAROL) == 1
assert partition_of(BOB) == 0


def drop(core: Core, *partitions: int) -> list[tuple[int, Any]]:
    ended = dropping.dropped(core.state, partitions, partition_of)
    core.state.check()
    return ended


def test_sessions_are_given_back_and_nothing_is_said() -> None:
    core = Core()
    bob, alice = core.online(BOB), core.online(ALICE)
    core.asked()
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    assert drop(core, 0) == [(BOB, bob)]
    assert core.state.sessions == {ALICE: alice}
    assert core.asked() == []
    presence.offline(core.state, BOB, bob)  # its owner closes it


def test_everything_of_the_partition_is_forgotten() -> None:
    core = Core()
    core.pair(ALICE, BOB)
    core.pair(BOB, ALICE)
    core.online(BOB)
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    numbering.send(core.state, BOB, ALICE, STREAM, 1, 1, b"y")
    expiry.wipe(core.state, BOB, 2)
    numbering.send(core.state, ALICE, 4, STREAM, 1, 1, b"waits for its pair")
    drop(core, 0)
    state = core.state
    assert list(state.pairs) == [(ALICE, BOB, STREAM)]
    assert (state.pending, state.pending_bytes, state.held_bytes, state.loading) == (1, 1, 0, {})
    assert (state.wipes, state.owed_scans, list(state.boxes)) == ({}, {}, [ALICE])


def test_what_is_being_written_of_it_is_answered_to_nobody_and_the_rest_is() -> None:
    core = Core()
    core.pair(ALICE, BOB)
    core.pair(BOB, ALICE)
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    numbering.send(core.state, BOB, ALICE, STREAM, 1, 1, b"y")
    batch = core.batch()
    assert batch is not None
    drop(core, 0)
    assert batch.cut == {0}
    settling.committed(core.state, batch, failed=False, copies=2)
    core.state.check()
    assert [effect[1:3] for effect in core.asked()] == [(BOB, ALICE)]


def test_a_failed_commit_gives_the_rest_back_only() -> None:
    core = Core()
    core.pair(ALICE, BOB)
    core.pair(BOB, ALICE)
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    numbering.send(core.state, BOB, ALICE, STREAM, 1, 1, b"y")
    batch = core.batch()
    assert batch is not None
    drop(core, 0)
    settling.committed(core.state, batch, failed=True)
    core.state.check()
    assert [effect[:3] for effect in core.asked()] == [(effects.BUSY, BOB, ALICE)]
    assert core.state.pending == 0


def test_questions_about_a_dropped_pair_are_given_up_when_they_are_answered() -> None:
    core = Core()
    core.pair(row=[2, [2, 2], [], 0, 0])
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"body")
    numbering.send(core.state, ALICE, BOB, STREAM, 3, 1, b"behind")
    (question,) = core.asked(effects.LOOKUP)
    drop(core, 0)
    assert (core.state.abandoned, core.state.held_bytes) == (1, 4)
    dropping.forgotten(core.state, question)
    assert (core.state.abandoned, core.state.held_bytes) == (0, 0)


def test_a_question_that_was_not_carried_out_yet_never_is() -> None:
    core = Core()
    core.pair(row=[2, [2, 2], [], 0, 0])
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"body")
    drop(core, 0)
    assert core.asked() == []
    assert (core.state.abandoned, core.state.held_bytes) == (0, 0)


def test_a_recipient_goes_with_the_partition_of_a_sender_whom_he_has_unwritten_acks_of() -> None:
    """What is gone and what is told of it are written together, or neither."""
    core = Core()
    core.pair(BOB, ALICE, row=[1, [], [], 0, 0], high=1, box=(1, 1))
    core.pair(CAROL, ALICE)
    alice = core.online(ALICE, box=(1, 1))
    acking.ack(core.state, ALICE, BOB, STREAM, 1, 1)
    (question,) = core.asked(effects.FIND)
    acking.found(core.state, question[1], 1, 1, question[4], [(1, 1)])
    assert drop(core, 0) == [(ALICE, alice)]
    assert core.state.pairs == {}
    assert core.state.owed == {}


def test_a_wipe_of_such_a_recipient_begins_again() -> None:
    core = Core()
    core.pair(BOB, ALICE)
    core.online(ALICE)
    numbering.send(core.state, BOB, ALICE, STREAM, 1, 1, b"x")
    expiry.wipe(core.state, ALICE, 2)
    core.asked()
    expiry.waiting(core.state, ALICE, [(BOB, STREAM, [])], None)
    drop(core, 0)
    assert core.asked(effects.SCAN_WAITING) == [(effects.SCAN_WAITING, ALICE, None, 32)]


def test_a_login_that_waits_is_given_back() -> None:
    core = Core()
    handle = object()
    presence.online(core.state, BOB, handle)  # type: ignore[arg-type]
    assert drop(core, 0) == [(BOB, handle)]
    assert core.state.box_loading == {}
