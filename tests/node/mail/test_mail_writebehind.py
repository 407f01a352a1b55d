"""What is due is written, one batch at a time."""

from node.mail import effects, numbering, writebehind
from tests.node.mail.core import ALICE, BOB, STREAM, Core


def send(core: Core, *numbers: int) -> None:
    for n in numbers:
        numbering.send(core.state, ALICE, BOB, STREAM, n, 1, b"x")


def test_for_somebody_who_is_there_it_waits_for_the_ack() -> None:
    core = Core(sync_delay_ms=10)
    core.pair()
    core.online(BOB)
    send(core, 1)
    assert core.batch() is None
    assert writebehind.wake_at(core.state) == core.state.now + 10
    core.wait(10)
    batch = core.batch()
    assert batch is not None
    assert [message.n for _, message in batch.messages] == [1]


def test_while_one_batch_is_written_the_next_one_gathers() -> None:
    core = Core()
    core.pair()
    send(core, 1)
    assert core.batch() is not None
    send(core, 2)
    assert core.batch() is None
    assert writebehind.wake_at(core.state) is None


def test_what_is_urgent_takes_what_waits_along() -> None:
    core = Core(sync_delay_ms=1_000, window=1, pair_share=1)
    core.pair()
    handle = core.online(BOB)
    send(core, 1)
    from node.mail import presence

    presence.offline(core.state, BOB, handle)
    send(core, 2)
    batch = core.batch()
    assert batch is not None
    assert sorted(message.n for _, message in batch.messages) == [1, 2]


def test_a_commit_goes_before_all_else_that_was_asked_for() -> None:
    core = Core()
    core.pair()
    send(core, 1)
    core.state.out.append((effects.AGED, (BOB, ALICE, STREAM), []))
    writebehind.collect(core.state)
    assert [effect[0] for effect in core.asked()] == [effects.COMMIT, effects.AGED]


def test_a_day_that_the_clock_took_back_stays_in_the_row() -> None:
    core = Core()
    pair = core.pair(row=[1, [1, 1], [], 0, 10**6])
    writebehind.mark(core.state, pair)
    assert pair.day == 10**6
