"""One wake-up for all sockets of a node: nobody who has something is forgotten, whoever looks, and nobody starves."""

from __future__ import annotations

import select
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing
import zmq

from replication.zeromq.adapter import Socket
from replication.zeromq.lookout import Lookout
from tests.replication.zeromq.cluster import GIVE_UP_S, cluster_of, node_on, until


class Reader:
    """Reads what is there, but at most so many messages at a time; 0: nothing."""

    def __init__(self) -> None:
        self.got: list[tuple[Any, bytes]] = []
        self.most = 1_000
        self.calls = 0
        self.failure: Exception | None = None
        self.before: Any = lambda: None

    def attend(self, subject: Any, ends_at: float) -> bool:
        self.calls += 1
        name, socket = subject
        self.before()
        for _ in range(self.most):
            frames = socket.next_nowait()
            if frames is None:
                return False
            self.got.append((name, frames[-1].bytes))
            if self.failure is not None:
                failure, self.failure = self.failure, None
                raise failure
        return True

    def numbers(self, name: Any) -> list[int]:
        return [int(data) for subject, data in self.got if subject == name]


class Place:
    """Pairs of sockets, the far ones looked after."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.lookout = Lookout()
        self.lookout.open()
        self.fd = self.lookout.lend()
        self.reader = Reader()
        self.made: list[Socket] = []

    def pair(self, name: Any) -> tuple[Socket, Socket]:
        near, far = (Socket(self.context.socket(zmq.PAIR)) for _ in range(2))
        self.made += [near, far]
        far.raw.bind(f"inproc://{name}")
        near.raw.connect(f"inproc://{name}")
        self.lookout.add(far, self.reader, (name, far))
        return near, far

    def is_readable(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))

    def look(self) -> None:
        """Until nobody asks to be looked at."""
        until_s = time.monotonic() + GIVE_UP_S
        while self.is_readable():
            assert time.monotonic() < until_s, "it never comes to rest"
            self.lookout.look()

    def close(self) -> None:
        for socket in self.made:
            self.lookout.remove(socket)
            socket.close()
        self.lookout.close()
        self.context.term()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    one = Place()
    yield one
    one.close()


def say(socket: Socket, *numbers: int) -> None:
    for number in numbers:
        assert socket.send_nowait(str(number).encode())


async def test_one_look_sees_to_all_that_have_something(place: Place) -> None:
    sockets = [place.pair(name)[0] for name in "abc"]
    place.look()
    for socket in sockets:
        say(socket, 1, 2)
    assert place.is_readable()
    place.lookout.look()
    assert [place.reader.numbers(name) for name in "abc"] == [[1, 2]] * 3
    place.look()
    calls = place.reader.calls
    assert not place.is_readable()
    place.lookout.look()
    assert place.reader.calls == calls


async def test_what_was_there_before_it_was_added_is_seen(place: Place) -> None:
    near, far = place.pair("a")
    place.lookout.remove(far)
    say(near, 1)
    far.events()  # eats what its descriptor would tell
    place.lookout.add(far, place.reader, ("a", far))
    place.look()
    assert place.reader.numbers("a") == [1]


async def test_who_isnt_finished_goes_on_without_being_told(place: Place) -> None:
    near, _ = place.pair("a")
    place.reader.most = 2
    say(near, *range(7))
    place.look()
    assert place.reader.numbers("a") == list(range(7))
    assert place.reader.calls >= 4


async def test_who_has_much_keeps_nobody_waiting(place: Place) -> None:
    much, little = place.pair("much")[0], place.pair("little")[0]
    place.look()
    place.reader.most = 1
    say(much, *range(50))
    say(little, 1)
    place.lookout.look()
    assert place.reader.numbers("little") == [1]
    assert place.reader.numbers("much") == [0]


async def test_a_send_that_eats_the_edge_marks_the_socket(place: Place) -> None:
    near, far = place.pair("a")
    place.look()
    say(near, 1)
    say(far, 9)  # an operation of its own, in which it may hear of the message
    place.look()
    assert place.reader.numbers("a") == [1]


async def test_one_that_isnt_marked_by_its_sends_is_seen_to_when_something_comes(place: Place) -> None:
    near, far = place.pair("a")
    place.lookout.remove(far)
    place.lookout.add(far, place.reader, ("a", far), marked=False)
    place.look()
    calls = place.reader.calls
    say(far, 9)
    assert not place.is_readable()
    assert place.reader.calls == calls
    say(near, 1)
    place.look()
    assert place.reader.numbers("a") == [1]


async def test_a_mark_that_is_made_while_it_is_seen_to_is_kept(place: Place) -> None:
    near, far = place.pair("a")
    place.look()
    said: list[int] = []

    def meanwhile() -> None:
        if not said:
            said.append(1)
            far.nudge()

    place.reader.before = meanwhile
    say(near, 1)
    place.lookout.look()
    calls = place.reader.calls
    place.look()
    assert place.reader.calls == calls + 1


async def test_after_a_failure_the_rest_is_still_seen_to(place: Place) -> None:
    near, other = place.pair("a")[0], place.pair("b")[0]
    place.look()
    say(near, 1, 2)
    say(other, 3)
    place.reader.failure = ValueError("bug")
    with pytest.raises(ValueError, match="bug"):
        place.lookout.look()
    place.look()
    assert place.reader.numbers("a") == [1, 2]
    assert place.reader.numbers("b") == [3]


async def test_one_that_was_removed_is_no_longer_seen_to(place: Place) -> None:
    near, far = place.pair("a")
    place.look()
    say(near, 1)
    place.lookout.remove(far)
    place.lookout.remove(far)
    place.look()
    assert not place.reader.got


async def test_links_that_are_lent_are_read_by_who_has_them_and_else_by_themselves() -> None:
    async with cluster_of(node_on(), node_on()) as cluster:
        a, b = cluster.nodes
        await cluster.start()
        await cluster.connected()
        a.links.send(b.id, None, [7, 1])
        await until(lambda: [7, 1] in b.notes.of(None))

        fd = b.links.lookout.lend()
        await trio.testing.wait_all_tasks_blocked(0.05)  # the task of the links waits for it no longer
        a.links.send(b.id, None, [7, 2])
        await trio.lowlevel.wait_readable(fd)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert [7, 2] not in b.notes.of(None)
        with trio.fail_after(GIVE_UP_S):
            while [7, 2] not in b.notes.of(None):
                await trio.lowlevel.wait_readable(fd)
                b.links.look()

        b.links.lookout.take_back()
        a.links.send(b.id, None, [7, 3])
        await until(lambda: [7, 3] in b.notes.of(None))
        assert [one for one in b.notes.of(None) if one[0] == 7] == [[7, 1], [7, 2], [7, 3]]
