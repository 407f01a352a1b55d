"""A ZeroMQ socket on Trio: a cancellation loses nothing, nobody sleeps through his event, closing wakes all."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import trio
import zmq

from replication.zeromq.adapter import Socket
from tests.replication.zeromq.cluster import GIVE_UP_S, until


class Pairs:
    """Makes connected sockets, over TCP so that another thread is between them."""

    def __init__(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._made: list[Socket] = []

    def __call__(
        self, kinds: tuple[int, int] = (zmq.PUSH, zmq.PULL), hwm: int = 1_000
    ) -> tuple[Socket, Socket]:
        near, far = (self._context.socket(kind) for kind in kinds)
        for raw in (near, far):
            raw.setsockopt(zmq.LINGER, 0)
            raw.setsockopt(zmq.SNDHWM, hwm)
            raw.setsockopt(zmq.RCVHWM, hwm)
            self._made.append(Socket(raw))
        far.bind("tcp://127.0.0.1:*")
        near.connect(bytes(far.getsockopt(zmq.LAST_ENDPOINT)).decode())
        return self._made[-2], self._made[-1]

    def close(self) -> None:
        for socket in self._made:
            socket.close()
        self._context.term()


@pytest.fixture
async def pair() -> AsyncIterator[Pairs]:
    pairs = Pairs()
    yield pairs
    pairs.close()


def number(frames: list[zmq.Frame]) -> int:
    return int(frames[0].bytes)


@pytest.mark.parametrize("seed", range(5))
async def test_cancellation_at_any_await_loses_no_message(pair: Pairs, seed: int) -> None:
    sender, receiver = pair()
    chance = random.Random(seed)
    total = 3_000
    got: list[int] = []
    cancelled = 0

    async def send_all() -> None:
        for n in range(total):
            await sender.send(str(n).encode())
            if chance.random() < 0.05:
                await trio.sleep(0.0002)

    async def cancel_soon(scope: trio.CancelScope, steps: int) -> None:
        for _ in range(steps):
            await trio.lowlevel.checkpoint()
        scope.cancel()

    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_all)
            while len(got) < total:
                with trio.CancelScope() as scope:
                    nursery.start_soon(cancel_soon, scope, chance.randrange(6))
                    got += [number(frames) for frames in await receiver.receive(chance.randrange(1, 8))]
                cancelled += scope.cancelled_caught
    assert got == list(range(total))
    assert cancelled > 20, "the test cancels something"


async def test_a_cancelled_send_sent_nothing(pair: Pairs) -> None:
    sender, receiver = pair(hwm=2)
    sent = 0
    with trio.fail_after(GIVE_UP_S):
        while True:  # until it is full, twice over, for the other side and the kernel take some
            with trio.move_on_after(0.3) as scope:
                await sender.send(b"%d" % sent + bytes(100_000))
                sent += 1
            if scope.cancelled_caught:
                break
        got = []
        while len(got) < sent:
            got += [int(frames[0].bytes.rstrip(b"\0")) for frames in await receiver.receive()]
        assert got == list(range(sent))
        await sender.send(b"last")
        (frames,) = await receiver.receive()
        assert frames[0].bytes == b"last"


async def test_many_wait_for_one_socket_and_one_of_them_for_something_else(
    pair: Pairs,
) -> None:
    """Each operation may eat the edge that another task waits for: nobody must sleep on."""
    near, far = pair((zmq.DEALER, zmq.DEALER), hwm=4)
    total = 400
    got: list[int] = []
    echoed: list[int] = []

    async def receive_some() -> None:
        while len(got) < total:
            with trio.move_on_after(0.05):
                for frames in await far.receive(1):
                    got.append(number(frames))
                    await far.send(frames[0].bytes)

    async def take_echo() -> None:
        while len(echoed) < total:
            with trio.move_on_after(0.05):
                echoed.extend(number(frames) for frames in await near.receive(2))

    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(receive_some)
                nursery.start_soon(take_echo)
            for n in range(total):
                await near.send(str(n).encode())
    assert sorted(got) == sorted(echoed) == list(range(total))


async def test_a_send_eats_the_edge_and_the_reader_wakes_all_the_same(
    pair: Pairs,
) -> None:
    """The reader's message is there; before Trio looks at descriptors, another task's operation swallows the news."""
    near, far = pair((zmq.DEALER, zmq.DEALER))
    await near.send(b"hello")
    assert [frames[0].bytes for frames in await far.receive()] == [b"hello"]
    for round_ in range(50):
        got: list[bytes] = []

        async def read(into: list[bytes] = got) -> None:
            into += [frames[0].bytes for frames in await far.receive()]

        with trio.fail_after(GIVE_UP_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await until(lambda: far._scope is not None)
                near.send_nowait(b"%d" % round_)
                while not far.events() & zmq.POLLIN:  # eats the edge, without Trio having a turn
                    pass
                assert far.send_nowait(b"away")  # an operation: it looks at EVENTS, and wakes the reader
                # Should the descriptor be readable all the same, nothing would have been shown; it isn't:
                assert not _readable(far)
        assert got == [b"%d" % round_]
        near.receive_nowait()


async def test_a_receive_eats_the_edge_and_the_sender_wakes_all_the_same(pair: Pairs) -> None:
    near, far = pair((zmq.DEALER, zmq.DEALER), hwm=1)
    done = trio.Event()

    async def send_on() -> None:
        await near.send(b"on")
        done.set()

    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            await near.send(bytes(1_000_000))
            full = 0
            while full < 20:  # the kernel takes some, too, now and then
                full = 0 if near.send_nowait(bytes(1_000_000)) else full + 1
                await trio.sleep(0.005)
            nursery.start_soon(send_on)
            await until(lambda: near._scope is not None)
            while not near.events() & zmq.POLLOUT:  # eats the edge, without Trio having a turn
                far.receive_nowait()
            near.receive_nowait()
            assert not _readable(near)
            await done.wait()


def _readable(socket: Socket) -> bool:
    poller = zmq.Poller()
    poller.register(socket.fd, zmq.POLLIN)
    return bool(poller.poll(0))


async def test_when_the_watching_task_goes_another_takes_over(pair: Pairs) -> None:
    sender, receiver = pair()
    got: list[int] = []

    async def read() -> None:
        got.extend(number(frames) for frames in await receiver.receive())

    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            first = trio.CancelScope()

            async def watch() -> None:
                with first:
                    await receiver.receive()

            nursery.start_soon(watch)
            await until(lambda: receiver._scope is not None)
            nursery.start_soon(read)
            await until(lambda: len(receiver._waiting) == 2)
            first.cancel()
            await until(lambda: len(receiver._waiting) == 1 and receiver._scope is not None)
            await sender.send(b"7")
    assert got == [7]


async def test_closing_wakes_everyone_who_waits(pair: Pairs) -> None:
    near, far = pair(hwm=1)
    ended = 0

    async def receive() -> None:
        nonlocal ended
        with pytest.raises(trio.ClosedResourceError):
            await far.receive()
        ended += 1

    async def send() -> None:
        nonlocal ended
        with pytest.raises(trio.ClosedResourceError):
            while True:
                await near.send(bytes(1_000_000))
        ended += 1

    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            other, blocked = pair(hwm=1)  # nobody reads here
            near, unread = other, blocked
            for _ in range(3):
                nursery.start_soon(receive)
                nursery.start_soon(send)
            await until(lambda: len(far._waiting) == 3 and len(near._waiting) == 3)
            far.close()
            near.close()
    assert ended == 6
    unread.close()
    for operation in (lambda: near.send_nowait(b""), far.receive_nowait):
        with pytest.raises(trio.ClosedResourceError):
            operation()
    near.close()  # twice is once


async def test_a_nudge_brings_everyone_back(pair: Pairs) -> None:
    _, receiver = pair()
    back = 0

    async def wait() -> None:
        nonlocal back
        assert not await receiver.wait(zmq.POLLIN) & zmq.POLLIN
        back += 1

    with trio.fail_after(GIVE_UP_S):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wait)
            await until(lambda: len(receiver._waiting) == 3)
            receiver.nudge()
    assert back == 3


async def test_a_drain_is_bounded_in_messages_and_bytes(pair: Pairs) -> None:
    sender, receiver = pair()
    for n in range(20):
        await sender.send(b"%02d" % n + bytes(998))
    await receiver.wait(zmq.POLLIN)
    got: list[int] = []

    def drain(messages: int, size: int) -> int:
        some = receiver.receive_nowait(messages, size)
        got.extend(int(frames[0].bytes[:2]) for frames in some)
        return len(some)

    with trio.fail_after(GIVE_UP_S):
        while len(got) < 20:
            assert drain(3, 1_000_000) <= 3
            assert drain(100, 2_500) <= 3, "it stops after the message with which the limit is reached"
            await trio.sleep(0.001)
    assert got == list(range(20))


async def test_messages_of_several_frames_come_whole(pair: Pairs) -> None:
    sender, receiver = pair()
    sender.raw.send_multipart([b"a", b"bb", b""])
    sender.raw.send_multipart([b"c"])
    got: list[list[bytes]] = []
    with trio.fail_after(GIVE_UP_S):
        while len(got) < 2:
            got += [[frame.bytes for frame in frames] for frames in await receiver.receive()]
    assert got == [[b"a", b"bb", b""], [b"c"]]
