"""Handing over: in order, within the window, and marked where a later one went before."""

from node.mail import acking, delivery, effects, numbering
from tests.node.mail.core import ALICE, BOB, CAROL, STREAM, Core


def send(core: Core, *numbers: int, sender: int = ALICE) -> None:
    for n in numbers:
        numbering.send(core.state, sender, BOB, STREAM, n, 1, b"x")


def handed(core: Core) -> list[tuple[int, int, int]]:
    """(sender, n, flags)"""
    return [(effect[2], effect[4], effect[5]) for effect in core.asked(effects.DELIVER)]


def nothing_on_disk(core: Core) -> None:
    for _, user, handle, _, _ in core.asked(effects.SCAN):
        delivery.scanned(core.state, user, handle, [], None)


def test_the_window_is_kept_and_goes_on_with_acks() -> None:
    core = Core(window=2, pair_share=2)
    core.pair()
    core.online(BOB)
    nothing_on_disk(core)
    send(core, 1, 2, 3)
    assert handed(core) == [(ALICE, 1, 0), (ALICE, 2, 0)]
    acking.ack(core.state, BOB, ALICE, STREAM, 1, 1)
    assert handed(core) == [(ALICE, 3, 0)]


def test_one_stuck_pair_does_not_block_the_mailbox() -> None:
    core = Core(window=4, pair_share=1)
    core.pair(ALICE)
    core.pair(CAROL)
    core.online(BOB)
    nothing_on_disk(core)
    send(core, 1, 2)
    send(core, 1, sender=CAROL)
    assert handed(core) == [(ALICE, 1, 0), (CAROL, 1, 0)]


def test_what_is_on_disk_comes_before_what_is_in_memory() -> None:
    core = Core()
    pair = core.pair(high=1, box=(1, 1))
    handle = core.online(BOB, box=(1, 1))
    send(core, 2)
    core.asked(effects.SCAN)
    delivery.scanned(core.state, BOB, handle, [(ALICE, STREAM)], None)
    (question,) = core.asked(effects.FETCH)
    assert handed(core) == []
    delivery.fetched(core.state, pair, handle, question[3], [(1, core.state.now, b"on disk")], complete=True)
    assert handed(core) == [(ALICE, 1, 0), (ALICE, 2, 0)]


def test_a_hole_that_is_filled_late_says_so() -> None:
    core = Core()
    core.pair(row=[2, [2, 2], [], 0, 0])
    core.online(BOB)
    nothing_on_disk(core)
    send(core, 1)
    (question,) = core.asked(effects.LOOKUP)
    numbering.looked_up(core.state, question[1], 1, b"x", question[4], None)
    for effect in core.asked(effects.FETCH):
        delivery.fetched(core.state, effect[1], effect[2], effect[3], [], complete=True)
    assert handed(core) == [(ALICE, 1, delivery.LATE)]


def test_what_is_too_old_is_not_handed_over_whether_or_not_the_sweep_was_here() -> None:
    core = Core()
    pair = core.pair(high=1, box=(1, 1))
    handle = core.online(BOB, box=(1, 1))
    core.asked(effects.SCAN)
    delivery.scanned(core.state, BOB, handle, [(ALICE, STREAM)], None)
    (question,) = core.asked(effects.FETCH)
    delivery.fetched(core.state, pair, handle, question[3], [(1, 0, b"ancient")], complete=True)
    assert handed(core) == []
    assert core.asked(effects.AGED) == [(effects.AGED, (BOB, ALICE, STREAM), [(1, 7)])]
