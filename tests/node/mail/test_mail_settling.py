"""What the outcome of a commit means."""

import pytest

from node.mail import acking, effects, numbering
from node.wire.verbs import KIND_DELIVERED, ONE_COPY, TWO_COPIES
from tests.node.mail.core import ALICE, BOB, STREAM, Core


def send(core: Core, *numbers: int) -> None:
    for n in numbers:
        numbering.send(core.state, ALICE, BOB, STREAM, n, 1, b"x")


@pytest.mark.parametrize("copies", [ONE_COPY, TWO_COPIES])
def test_accepted_says_how_many_copies_there_are(copies: int) -> None:
    core = Core()
    core.pair()
    send(core, 1)
    numbering.skip(core.state, ALICE, BOB, STREAM, 2, 1)
    core.commit(copies=copies)
    assert [effect[4:] for effect in core.asked(effects.ACCEPTED)] == [(1, 1, copies), (2, 2, copies)]


def test_after_a_failure_all_from_the_lowest_number_on_is_said_again() -> None:
    core = Core(commit_messages_max=1, busy_retry_ms=70)
    pair = core.pair()
    send(core, 1, 2, 3)
    core.commit(failed=True)
    assert core.asked(effects.BUSY) == [(effects.BUSY, ALICE, BOB, STREAM, 1, 70)]
    assert (pair.high, pair.pending, pair.box.count, core.state.pending) == (0, {}, 0, 0)


def test_after_a_failure_nothing_that_follows_is_taken_first_also_over_what_is_over() -> None:
    core = Core()
    pair = core.pair()
    send(core, 1)
    numbering.skip(core.state, ALICE, BOB, STREAM, 2, 1)
    core.commit(failed=True)
    assert (pair.high, 2 in pair.expired) == (0, True)
    core.asked()
    core.wait(10_000)
    send(core, 3)
    assert pair.pending == {}


def test_while_the_disk_is_in_trouble_senders_are_told_busy() -> None:
    core = Core()
    core.pair()
    send(core, 1)
    core.commit(failed=True)
    core.asked()
    send(core, 1)
    assert [effect[0] for effect in core.asked()] == [effects.BUSY]
    core.wait(1_000)
    send(core, 1)
    core.commit()
    assert [effect[0] for effect in core.asked()] == [effects.ACCEPTED]


def test_an_ack_is_confirmed_when_it_is_written() -> None:
    core = Core()
    core.pair()
    send(core, 1)
    core.commit()
    core.asked()
    acking.ack(core.state, BOB, ALICE, STREAM, 1, 1)
    (question,) = core.asked(effects.FIND)
    acking.found(core.state, question[1], 1, 1, question[4], [(1, 1)])
    core.no_receipts()
    assert core.asked(effects.CONFIRM) == []
    batch = core.commit()
    assert [(n, size) for _, n, size in batch.deletes] == [(1, 1)]
    assert core.asked(effects.CONFIRM) == [(effects.CONFIRM, BOB, ALICE, STREAM, KIND_DELIVERED, 1, 1)]


def test_rows_of_a_pair_never_become_less() -> None:
    core = Core()
    pair = core.pair()
    send(core, 1, 2, 3)
    core.commit()
    acking.ack(core.state, BOB, ALICE, STREAM, 2, 2)
    (question,) = core.asked(effects.FIND)
    acking.found(core.state, pair, 2, 2, question[4], [(2, 1)])
    core.no_receipts()
    core.commit()
    assert pair.row()[0] == 3
    pair.pending[1] = type("Message", (), {"n": 1, "committing": False, "size": 0})()
    assert pair.row()[0] == 3, "an heir has 3, and would keep it"
    pair.pending.clear()
