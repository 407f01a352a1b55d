"""What the recipient says."""

from node.mail import acking, effects, numbering, receipts
from node.mail.acking import ACK_AHEAD_MAX
from node.wire.verbs import DELIVERED, KIND_DELIVERED, KIND_READ
from tests.node.mail.core import ALICE, BOB, STREAM, Core


def ack(core: Core, first: int, last: int, stored: list[tuple[int, int]] | None = None) -> None:
    acking.ack(core.state, BOB, ALICE, STREAM, first, last)
    for _, pair, low, high, commits in core.asked(effects.FIND):
        acking.found(core.state, pair, low, high, commits, stored or [])
    core.no_receipts()


def test_acknowledged_in_memory_a_message_is_never_written() -> None:
    core = Core()
    pair = core.pair()
    core.online(BOB)
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    ack(core, 1, 1)
    assert core.asked(effects.ACCEPTED) == [(effects.ACCEPTED, ALICE, BOB, STREAM, 1, 1, DELIVERED)]
    assert core.commit().messages == []
    assert pair.row() == [1, [1, 1], [], 0, pair.day]


def test_only_what_is_named_is_gone() -> None:
    """Never "up to n" over a gap."""
    core = Core()
    pair = core.pair(high=3, box=(3, 3))
    ack(core, 3, 3, [(3, 1)])
    assert [n for n in (1, 2, 3) if n in pair.gone] == [3]
    assert list(pair.doomed) == [3]


def test_a_number_that_nobody_here_knows_is_believed_and_told() -> None:
    """It may have been accepted by a node that isn't reached."""
    core = Core()
    pair = core.pair(row=[1, [1, 1], [], 0, 0])
    core.online(ALICE)
    core.asked()
    ack(core, 2, 2)
    assert 2 in pair.gone
    assert core.asked(effects.RECEIPT) == [(effects.RECEIPT, ALICE, BOB, STREAM, KIND_DELIVERED, 2, 2)]


def test_far_ahead_nobody_is_believed() -> None:
    core = Core()
    pair = core.pair(row=[1, [1, 1], [], 0, 0])
    far = 2 + ACK_AHEAD_MAX
    ack(core, far, far)
    assert far not in pair.gone
    assert core.asked(effects.CONFIRM) == [(effects.CONFIRM, BOB, ALICE, STREAM, KIND_DELIVERED, far, far)]


def test_an_ack_of_what_was_never_sent_leaves_nothing_behind() -> None:
    core = Core()
    core.pair()
    ack(core, 1, 1)
    core.asked()
    core.wait(10_000)
    assert core.batch() is None


def test_a_read_mark_is_owed_and_confirmed_when_it_is_written() -> None:
    core = Core()
    pair = core.pair(row=[3, [1, 3], [], 0, 0])
    acking.read(core.state, BOB, ALICE, STREAM, 2)
    core.no_receipts()
    owed = receipts.find(core.state, ALICE, BOB, STREAM)
    assert owed is not None
    assert (pair.read, owed.read) == (2, 2)
    core.commit()
    assert core.asked(effects.CONFIRM) == [(effects.CONFIRM, BOB, ALICE, STREAM, KIND_READ, 1, 2)]
