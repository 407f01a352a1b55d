"""How far a wipe has come."""

from node.mail import effects, wipes
from tests.node.mail.core import BOB, Core


def test_a_chunk_after_the_other_until_the_last() -> None:
    core = Core()
    running = wipes.start(core.state, BOB, 2)
    wipes.advance(core.state, running)
    assert core.asked() == [(effects.SCAN_WAITING, BOB, None, wipes.WIPE_PAIRS)]
    wipes.scanned(core.state, BOB, (7, b"s"))
    wipes.advance(core.state, running)
    assert core.asked() == [(effects.SCAN_WAITING, BOB, (7, b"s"), wipes.WIPE_PAIRS)]
    wipes.scanned(core.state, BOB, None)
    wipes.advance(core.state, running)
    assert core.asked() == [(effects.WIPED, BOB, 2)]


def test_after_a_failure_it_begins_again_when_a_pause_is_over() -> None:
    core = Core()
    wipes.advance(core.state, wipes.start(core.state, BOB, 2))
    core.asked()
    wipes.failed(core.state, BOB)
    wipes.resume(core.state)
    assert core.asked() == []
    core.wait(wipes.PAUSE_MS)
    wipes.resume(core.state)
    assert core.asked() == [(effects.SCAN_WAITING, BOB, None, wipes.WIPE_PAIRS)]


def test_a_newer_device_makes_it_begin_again_and_is_the_one_reported() -> None:
    core = Core()
    wipes.advance(core.state, wipes.start(core.state, BOB, 2))
    core.asked()
    wipes.advance(core.state, wipes.start(core.state, BOB, 3))
    assert core.asked() == []  # what is being found was asked for by the first
    running = wipes.scanned(core.state, BOB, None)
    wipes.advance(core.state, running)
    assert core.asked() == [(effects.SCAN_WAITING, BOB, None, wipes.WIPE_PAIRS)]
    wipes.scanned(core.state, BOB, None)
    wipes.advance(core.state, running)
    assert core.asked() == [(effects.WIPED, BOB, 3)]
