"""Messages and descriptors between two processes: whole, in order, or an error that says what is wrong."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from admin.upgrade import passing
from admin.upgrade.errors import ChannelLost, HungUp
from admin.upgrade.passing import Channel

MANY = 2 * passing.BATCH + 50


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, other = socket.socketpair()
    made = Channel(one, 10.0), Channel(other, 10.0)
    yield made
    for end in made:
        end.close()


def test_messages_come_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    large = os.urandom(3_000_000)

    def send() -> None:
        ours.send(passing.CARGO, large)
        ours.send(passing.GO)

    sending = threading.Thread(target=send)
    sending.start()
    assert theirs.receive(passing.CARGO) == (passing.CARGO, large)
    assert theirs.receive(passing.GO, passing.FAILED) == (passing.GO, b"")
    sending.join()


def test_more_descriptors_than_the_kernel_takes_at_once(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    reading, writing = os.pipe()
    found: list[int] = []
    receiving = threading.Thread(target=lambda: found.extend(theirs.receive_descriptors(MANY)))
    receiving.start()
    ours.send_descriptors([writing] * (MANY - 1) + [reading])
    receiving.join()
    assert len(set(found)) == MANY
    assert not any(os.get_inheritable(one) for one in found)
    os.write(found[0], b"x")
    assert os.read(found[-1], 1) == b"x"
    for one in (reading, writing, *found):
        os.close(one)


def test_none_is_no_message(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.send_descriptors([])
    assert theirs.receive_descriptors(0) == []


def test_an_end_that_hangs_up_is_told_from_one_that_is_silent(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    ours.patience(0.01)
    with pytest.raises(ChannelLost, match="said nothing in time"):
        ours.receive(passing.GO)
    assert not ours.wait_end()
    theirs.close()
    with pytest.raises(HungUp):
        ours.receive(passing.GO)
    assert ours.wait_end()


def test_descriptors_of_a_batch_that_fails_are_not_kept(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    reading, writing = os.pipe()
    seen: list[Exception] = []

    def receive() -> None:
        try:
            theirs.receive_descriptors(passing.BATCH + 1)
        except ChannelLost as error:
            seen.append(error)

    receiving = threading.Thread(target=receive)
    receiving.start()
    ours.send_descriptors([writing] * passing.BATCH)
    ours.send(b"X")  # instead of the last one
    receiving.join()
    assert "not all connections came" in str(seen[0])
    os.close(writing)
    os.set_blocking(reading, False)
    assert os.read(reading, 1) == b"", "somebody has the other end still"
    os.close(reading)


@pytest.mark.parametrize(
    "said", [passing.GO + b"\0\0\0\0", b"?\0\0\0\0", passing.CARGO + b"\xff\xff\xff\xff"]
)
def test_what_makes_no_sense_is_an_error(ends: tuple[Channel, Channel], said: bytes) -> None:
    ours, theirs = ends
    os.write(theirs.fileno(), said)
    with pytest.raises(ChannelLost, match="makes no sense"):
        ours.receive(passing.CARGO)


def test_more_than_may_be_is_not_sent(ends: tuple[Channel, Channel], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passing, "MESSAGE_BYTES_MAX", 10)
    with pytest.raises(ChannelLost, match="more than may be handed over"):
        ends[0].send(passing.CARGO, b"x" * 11)
