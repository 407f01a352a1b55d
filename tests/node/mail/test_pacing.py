"""The sync delay is drawn out while messages are written in vain, and only then."""

import pytest

from node.mail import acking, numbering, pacing, settling
from tests.node.mail.core import ALICE, BOB, STREAM, Core


def core(**settings: int) -> Core:
    one = Core(**{"sync_delay_ms": 10, "sync_delay_ms_max": 40} | settings)
    one.pair()
    one.online(BOB)
    return one


def send(one: Core, n: int) -> None:
    numbering.send(one.state, ALICE, BOB, STREAM, n, 1, b"x")


def ack(one: Core, n: int) -> None:
    acking.ack(one.state, BOB, ALICE, STREAM, n, n)


def write(one: Core, n: int, *, in_vain: bool) -> None:
    """A message whose delay ends."""
    send(one, n)
    one.wait(pacing.delay_ms(one.state))
    batch = one.batch()
    assert batch is not None
    assert batch.messages
    if in_vain:
        ack(one, n)
    settling.committed(one.state, batch, failed=False)
    if not in_vain:
        ack(one, n)


def test_what_is_written_in_vain_draws_it_out_up_to_a_bound() -> None:
    one = core()
    for n in range(1, 6):
        write(one, n, in_vain=True)
    assert pacing.delay_ms(one.state) == 15
    for n in range(6, 60):
        write(one, n, in_vain=True)
    assert pacing.delay_ms(one.state) == 40


def test_it_is_drawn_out_unless_that_is_turned_off() -> None:
    one = Core()
    one.pair()
    one.online(BOB)
    before = pacing.delay_ms(one.state)
    write(one, 1, in_vain=True)
    assert pacing.delay_ms(one.state) == before + 1


@pytest.mark.parametrize(
    "settings", [{"sync_delay_ms_max": 10}, {"sync_delay_ms_max": 0}, {"sync_delay_ms": 0}]
)
def test_it_can_be_left_as_it_is(settings: dict[str, int]) -> None:
    one = core(**settings)
    before = pacing.delay_ms(one.state)
    for n in range(1, 10):
        write(one, n, in_vain=True)
    assert pacing.delay_ms(one.state) == before == one.state.settings.sync_delay_ms


def test_who_answers_much_later_is_not_waited_for() -> None:
    one = core()
    for n in range(1, 31):
        write(one, n, in_vain=True)
    for n in range(31, 31 + 4 * 30):
        write(one, n, in_vain=False)
    assert pacing.delay_ms(one.state) == 10


def test_who_answers_in_time_draws_it_in() -> None:
    one = core()
    write(one, 1, in_vain=True)
    assert pacing.delay_ms(one.state) == 11
    for n in range(2, 53):
        send(one, n)
        ack(one, n)
    assert pacing.delay_ms(one.state) == 10
    assert one.state.drawn_ms == 0


def test_it_ends_with_the_load() -> None:
    one = core(sync_delay_ms_max=100)
    for n in range(1, 91):
        write(one, n, in_vain=True)
    drawn = pacing.delay_ms(one.state) - 10
    assert drawn > 20
    one.wait(pacing.HALVED_MS)
    assert pacing.delay_ms(one.state) - 10 == pytest.approx(drawn / 2, abs=1)
    one.wait(10 * pacing.HALVED_MS)
    assert pacing.delay_ms(one.state) == 10
    assert one.state.drawn_ms == 0


def test_a_clock_that_is_set_back_does_not_keep_it() -> None:
    one = core(sync_delay_ms_max=100)
    for n in range(1, 51):
        write(one, n, in_vain=True)
    one.state.now -= 3_600_000
    pacing.delay_ms(one.state)
    one.wait(10 * pacing.HALVED_MS)
    assert pacing.delay_ms(one.state) == 10


def test_a_lower_bound_holds_at_once() -> None:
    one = core()
    for n in range(1, 31):
        write(one, n, in_vain=True)
    one.state.settings = Core(sync_delay_ms=10, sync_delay_ms_max=20).state.settings
    assert pacing.delay_ms(one.state) == 20
