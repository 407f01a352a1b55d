"""After a batch of many messages the next one gathers for a while; after a small one it goes at once."""

import pytest

from node.mail import gathering, numbering, settling, writebehind
from tests.node.mail.core import ALICE, BOB, STREAM, Core


def core() -> Core:
    one = Core()
    one.pair()
    return one


def send(one: Core, first: int, last: int) -> None:
    """For someone who isn't there: to be written at once."""
    for n in range(first, last + 1):
        numbering.send(one.state, ALICE, BOB, STREAM, n, 1, b"x")


def write(one: Core, first: int, last: int, taking_ms: int) -> None:
    send(one, first, last)
    batch = one.batch()
    assert batch is not None
    assert len(batch.messages) == last - first + 1
    one.wait(taking_ms)
    settling.committed(one.state, batch, failed=False)


@pytest.mark.parametrize(("taking_ms", "waits_ms"), [(0, 0), (3, 3), (500, gathering.GATHER_MS_MAX)])
def test_after_many_the_next_waits_for_as_long_as_they_took(taking_ms: int, waits_ms: int) -> None:
    one = core()
    write(one, 1, gathering.MESSAGES, taking_ms)
    send(one, gathering.MESSAGES + 1, gathering.MESSAGES + 1)
    assert writebehind.wake_at(one.state) == one.state.now + waits_ms
    if waits_ms:
        one.wait(waits_ms - 1)
        assert one.batch() is None
        one.wait(1)
    batch = one.batch()
    assert batch is not None
    assert len(batch.messages) == 1


def test_after_few_the_next_goes_at_once() -> None:
    one = core()
    write(one, 1, gathering.MESSAGES - 1, 5)
    send(one, gathering.MESSAGES, gathering.MESSAGES)
    assert writebehind.wake_at(one.state) == one.state.now
    assert one.batch() is not None


def test_what_gathers_goes_in_one_batch() -> None:
    one = core()
    write(one, 1, 10, 6)
    for n in range(11, 17):
        send(one, n, n)
        one.wait(1)
    batch = one.batch()
    assert batch is not None
    assert [message.n for _, message in batch.messages] == list(range(11, 17))
