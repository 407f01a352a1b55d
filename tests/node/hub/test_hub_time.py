"""Silence, deadlines, and what a hub that came late makes of them."""

from __future__ import annotations

import pytest

from node.hub.settings import HubSettings
from tests.node.hub.echo import QUIET_S, EchoHandler, framed


def test_the_handler_is_asked_after_the_silence_it_named(rig):
    peer = rig.connect()
    rig.seconds(rig.handler.patience_s - 1)
    assert rig.handler.asked == []
    rig.seconds(1)
    assert rig.handler.asked == [peer.connection]
    assert peer.connection.idle_s == rig.handler.patience_s


def test_activity_postpones_the_question(rig):
    peer = rig.connect()
    for _ in range(5):
        rig.seconds(rig.handler.patience_s - 1)
        peer.send(framed(b"here"))
        assert peer.read(8) == framed(b"here")
    assert rig.handler.asked == []
    rig.seconds(rig.handler.patience_s)
    assert rig.handler.asked == [peer.connection]


def test_asked_again_after_the_time_it_answers_with(rig):
    rig.connect()
    rig.seconds(rig.handler.patience_s)
    rig.seconds(QUIET_S - 1)
    assert len(rig.handler.asked) == 1
    rig.seconds(1)
    assert len(rig.handler.asked) == 2


def test_an_answer_ends_the_asking(rig):
    peer = rig.connect()
    rig.seconds(rig.handler.patience_s + 5)
    assert len(rig.handler.asked) == 1
    peer.send(framed(b"pong"))
    peer.read(8)
    rig.seconds(rig.handler.patience_s - 1)
    assert len(rig.handler.asked) == 1
    rig.seconds(1)
    assert len(rig.handler.asked) == 2


def test_a_patience_longer_than_the_wheel(make_rig):
    handler = EchoHandler()
    handler.patience_s = 600
    rig = make_rig(handler=handler)
    rig.connect()
    rig.seconds(599)
    assert handler.asked == []
    rig.seconds(1)
    assert len(handler.asked) == 1


def test_a_deadline_is_not_postponed(make_rig):
    class Login(EchoHandler):
        def opened(self, connection):
            super().opened(connection)
            connection.expect(10, strict=True)

    rig = make_rig(handler=Login())
    peer = rig.connect()
    for second in range(9):
        peer.send(framed(b"%d" % second))
        peer.read(5)
        rig.seconds(1)
    assert rig.handler.asked == []
    rig.seconds(1)
    assert rig.handler.asked == [peer.connection]


def test_a_deadline_ends_when_something_else_is_expected(make_rig):
    class Login(EchoHandler):
        def opened(self, connection):
            super().opened(connection)
            connection.expect(10, strict=True)

        def frame(self, connection, frame):
            connection.expect(100)

    rig = make_rig(handler=Login())
    peer = rig.connect()
    rig.seconds(5)
    peer.send(framed(b"login"))
    rig.pump(lambda: peer.connection.flags == 0)
    rig.seconds(99)
    assert rig.handler.asked == []
    rig.seconds(1)
    assert len(rig.handler.asked) == 1


def test_a_deadline_beyond_the_wheel_is_refused(rig):
    peer = rig.connect()
    with pytest.raises(AssertionError):
        peer.connection.expect(300, strict=True)


def test_the_first_look_if_the_handler_says_nothing(make_rig):
    class Silent(EchoHandler):
        def opened(self, connection):
            connection.opened = True
            self.open.append(connection)

    rig = make_rig(handler=Silent(), settings=HubSettings(first_look_s=7))
    peer = rig.connect()
    peer.send(framed(b"a") * 3)
    peer.read(15)
    rig.seconds(6)
    assert rig.handler.asked == []
    rig.seconds(1)
    assert rig.handler.asked == [peer.connection]


def test_a_half_open_connection_is_closed_by_the_handler(make_rig, transport):
    class Gone(EchoHandler):
        def quiet(self, connection):
            connection.close("silent")
            return 5

    rig = make_rig(tls=transport, handler=Gone())
    peer = rig.connect()
    rig.seconds(rig.handler.patience_s)
    assert rig.ends() == ["silent"]
    assert peer.rest() == b""


def test_closed_in_the_second_of_its_look_it_still_may_linger(make_rig):
    class Closing(EchoHandler):
        def frame(self, connection, frame):
            connection.write(frame)
            connection.close("just now")

    rig = make_rig(handler=Closing())
    peer = rig.connect()
    rig.seconds(rig.handler.patience_s - 1)
    peer.send(framed(b"x") + framed(b"y"))
    rig.clock.now += 1.0
    rig.turn()
    assert rig.ends() == ["just now"]
    assert rig.hub.statistics().connections == 1
    assert peer.rest() == framed(b"x")


def test_many_looks_are_spread_over_passes(make_rig):
    rig = make_rig(settings=HubSettings(looks_per_pass_max=3))
    for _ in range(10):
        rig.connect()
    before = rig.hub.statistics().passes
    for _ in range(rig.handler.patience_s):
        rig.clock.now += 1.0
        rig.hub.turn()
    assert len(set(rig.handler.asked)) == 10
    assert rig.hub.statistics().passes - before >= rig.handler.patience_s + 3


def test_a_hub_that_was_held_up_does_not_blame_its_peers(rig):
    """After a SIGSTOP of minutes everyone looks silent, while what they sent waits in the kernel."""
    peer = rig.connect()
    rig.clock.now += 600.0
    rig.turn()
    rig.turn()
    assert rig.handler.asked == []
    assert rig.hub.statistics().held_up == 1
    peer.send(framed(b"still here"))
    assert peer.read(14) == framed(b"still here")
    rig.seconds(rig.handler.patience_s + 1)
    assert rig.handler.asked == [peer.connection]


def test_the_handler_is_woken_when_it_wants(make_rig):
    class Once(EchoHandler):
        def end_pass(self):
            if self.wake is not None and self.wake <= rig.clock.now:
                self.wake = None

    rig = make_rig(handler=Once())
    passes = rig.handler.passes
    rig.handler.wake = rig.clock.now + 0.010
    rig.turn()
    assert rig.handler.passes == passes
    rig.clock.now += 0.011
    rig.turn()
    assert rig.handler.passes == passes + 1


def test_at_once_is_now_although_time_goes_on_meanwhile(make_rig):
    """The handler works out its time after the hub has looked at the clock."""

    class AtOnce(EchoHandler):
        waiting = False

        def wake_at(self):
            return rig.hub._clock() if self.waiting else None

        def end_pass(self):
            self.waiting = False

    rig = make_rig(handler=AtOnce())
    rig.turn()

    def going_on():
        rig.clock.now += 1e-6
        return rig.clock.now

    rig.hub._clock = going_on
    rig.handler.waiting = True
    rig.turn()
    assert not rig.handler.waiting
