"""A descriptor number that is given out again must not receive what was meant for its former owner."""

from __future__ import annotations

import os
import select

import pytest

from tests.node.hub.echo import EchoHandler, framed


class Killer(EchoHandler):
    """A frame `kill` closes everybody else at once."""

    def frame(self, connection, frame):
        super().frame(connection, frame)
        if frame == framed(b"kill"):
            for other in list(self.open):
                if other is not connection:
                    other.close("killed", linger=False)


@pytest.fixture
def killer(make_rig):
    return make_rig(handler=Killer())


def test_an_event_for_a_connection_closed_in_the_same_batch(killer):
    first, second = killer.connect(), killer.connect()
    first.send(framed(b"kill"))  # ready in this order, so in one batch in this order
    newcomer = killer.peer()
    second.send(framed(b"for the dead"))
    fd = second.connection.fd
    before = killer.hub.statistics().passes
    killer.pump(lambda: len(killer.handler.made) == 3)
    assert killer.hub.statistics().passes == before + 1, "all of it was one batch"
    assert killer.handler.made[2].fd != fd, "the number must not be free before the batch is over"
    assert second.connection.frames == []
    assert killer.ends() == ["killed"]
    newcomer.send(framed(b"x"))
    assert newcomer.read(5) == framed(b"x")
    assert killer.handler.made[2].frames == [framed(b"x")]


def test_the_number_is_used_again_afterwards(killer):
    first, second = killer.connect(), killer.connect()
    fd = second.connection.fd
    first.send(framed(b"kill"))
    killer.pump(killer.ends)
    second.close()
    newcomer = killer.peer()
    killer.pump(lambda: len(killer.handler.made) == 3)
    taken = killer.handler.made[2]
    newcomer.send(framed(b"x"))
    assert newcomer.read(5) == framed(b"x")
    assert taken.frames == [framed(b"x")]
    assert second.connection.frames == []
    if taken.fd == fd:
        assert killer.hub._pollset.entries[fd] is taken


def test_a_write_to_a_connection_that_is_gone_goes_nowhere(killer):
    first, second = killer.connect(), killer.connect()
    gone = second.connection
    first.send(framed(b"kill"))
    killer.pump(lambda: gone.fd == -1)
    newcomer = killer.connect()
    gone.write(b"lost")
    gone.close("again")
    assert newcomer.nothing()
    assert gone.outbox is None
    assert killer.ends() == ["killed"]


def test_a_copy_of_the_descriptor_in_another_process_brings_no_events(killer):
    """A process being started has copies of all descriptors for a moment, and they stay in the poll set."""
    first, second = killer.connect(), killer.connect()
    copy = os.dup(second.connection.fd)
    try:
        first.send(framed(b"kill"))
        killer.pump(killer.ends)
        first.read(8)
        second.send(framed(b"to the copy"))
        for _ in range(5):
            killer.turn()
        assert killer.hub.statistics().stale_events == 0
    finally:
        os.close(copy)


def test_a_connection_closed_before_its_own_event(killer):
    first, second = killer.connect(), killer.connect()
    first.send(framed(b"kill"))
    second.send(framed(b"x"))
    killer.pump(killer.ends)
    assert second.connection.frames == []
    second.close()
    killer.pump(lambda: killer.hub.statistics().connections == 1)


def test_closed_in_end_pass_is_announced_in_the_same_pass(make_rig):
    class Late(EchoHandler):
        def end_pass(self):
            for connection in self.open:
                if connection.frames:
                    connection.close("late", linger=False)
                    self.closed_in = self.passes

        def closed(self, connection, reason):
            super().closed(connection, reason)
            assert connection.fd >= 0, "its descriptor must not be gone before"
            assert self.passes == self.closed_in

    rig = make_rig(handler=Late())
    peer = rig.connect()
    peer.send(framed(b"x"))
    rig.pump(rig.ends)
    assert peer.rest() == framed(b"x")
    assert rig.ends() == ["late"]
    assert rig.hub.statistics().failures == 0


def test_an_event_for_a_descriptor_that_nobody_has(make_rig):
    rig = make_rig()
    peer = rig.connect()
    fd = peer.connection.fd
    peer.close()
    rig.pump(rig.ends)
    rig.hub._reader.receive([(fd, select.EPOLLIN)], 0.0)
    assert rig.hub.statistics().stale_events == 1


def test_closing_others_from_closed(make_rig):
    class Chain(EchoHandler):
        def closed(self, connection, reason):
            super().closed(connection, reason)
            if self.open:
                self.open[0].write(b"next")
                self.open[0].close("chain")

    rig = make_rig(handler=Chain())
    peers = [rig.connect() for _ in range(5)]
    peers[0].close()
    rig.pump(lambda: len(rig.ends()) == 5)
    assert rig.ends() == ["eof"] + ["chain"] * 4
    for peer in peers[1:]:
        assert peer.rest() == b"next"
