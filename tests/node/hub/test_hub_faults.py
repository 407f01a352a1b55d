"""The handler's exceptions: they end one connection, are told once, and quote nobody."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from node.hub.failures import KINDS_MAX, REPEAT_S, FailureLog
from tests.node.hub.echo import EchoHandler, framed

SECRET = "what a phone wrote"


class Bug(Exception):
    """Quotes what it shouldn't."""

    def __init__(self) -> None:
        super().__init__(SECRET)


class Buggy(EchoHandler):
    """Raises in one place, for connections marked as bad."""

    def __init__(self, place):
        super().__init__()
        self.place = place
        self.raised = 0

    def bug(self, place, connection=None):
        if place == self.place and (connection is None or connection in self.made[:1]):
            self.raised += 1
            raise Bug

    def make(self, fd, address, listener):
        if not self.made:
            self.made.append(None)
            self.bug("make")
            self.made.clear()
        return super().make(fd, address, listener)

    def opened(self, connection):
        super().opened(connection)
        self.bug("opened", connection)

    def frame(self, connection, frame):
        self.bug("received", connection)
        super().frame(connection, frame)

    def closed(self, connection, reason):
        super().closed(connection, reason)
        self.bug("closed", connection)

    def quiet(self, connection):
        self.bug("quiet", connection)
        return super().quiet(connection)

    def bye(self, connection, retry_ms):
        self.bug("bye", connection)
        super().bye(connection, retry_ms)


@pytest.mark.parametrize("place", ["opened", "received", "quiet"])
def test_a_failure_ends_that_connection_only(make_rig, transport, place):
    rig = make_rig(tls=transport, handler=Buggy(place))
    with capture_logs() as logs:
        bad, good = rig.connect(), rig.connect()
        if place == "received":
            bad.send(framed(b"x"))
        elif place == "quiet":
            rig.seconds(rig.handler.patience_s)
        assert bad.rest() == b"failed"
        good.send(framed(b"x"))
        assert good.read(5) == framed(b"x")
    assert rig.ends() == ["failed"]
    assert [type(failure) for failure in rig.handler.failures] == [Bug]
    assert rig.hub.statistics().failures == 1
    assert len(logs) == 1
    assert logs[0]["error"] == "Bug"
    assert "bug" in logs[0]["at"][-1]
    assert SECRET not in str(logs)


def test_make_fails(make_rig):
    rig = make_rig(handler=Buggy("make"))
    with capture_logs() as logs:
        bad = rig.peer()
        assert bad.rest() == b""
        good = rig.connect()
        good.send(framed(b"x"))
        assert good.read(5) == framed(b"x")
    assert rig.hub.statistics().connections == 1
    assert rig.hub.statistics().failures == 1
    assert len(logs) == 1


def test_closed_fails(make_rig):
    rig = make_rig(handler=Buggy("closed"))
    bad, other = rig.connect(), rig.connect()
    with capture_logs() as logs:
        rig.hub.soon(lambda: (bad.connection.close("one"), other.connection.close("two")))
        rig.pump(lambda: len(rig.ends()) == 2)
    assert len(logs) == 1
    for peer in (bad, other):
        assert peer.rest() == b""
        peer.close()
    rig.pump(lambda: rig.hub.statistics().connections == 0)


def test_failed_fails_too(make_rig):
    class Hopeless(Buggy):
        def failed(self, connection, error):
            raise Bug

    rig = make_rig(handler=Hopeless("received"))
    with capture_logs() as logs:
        bad, good = rig.connect(), rig.connect()
        bad.send(framed(b"x"))
        assert bad.rest() == b""
        good.send(framed(b"x"))
        assert good.read(5) == framed(b"x")
    assert rig.ends() == ["failed"]
    assert len(logs) == 2


def test_frames_before_the_bad_one_are_answered(make_rig):
    class Third(EchoHandler):
        def frame(self, connection, frame):
            if frame == framed(b"bad"):
                raise Bug
            super().frame(connection, frame)

    rig = make_rig(handler=Third())
    peer = rig.connect()
    with capture_logs():
        peer.send(framed(b"one") + framed(b"two") + framed(b"bad") + framed(b"lost"))
        assert peer.rest() == framed(b"one") + framed(b"two") + b"failed"


@pytest.mark.parametrize("used", [-1, 6])
def test_a_handler_that_took_more_than_there_was(make_rig, used):
    class Greedy(EchoHandler):
        def received(self, connection, data):
            return used

    rig = make_rig(handler=Greedy())
    peer = rig.connect()
    with capture_logs() as logs:
        peer.send(b"12345")
        assert peer.rest() == b"failed"
    assert logs[0]["error"] == "ValueError"


@pytest.mark.parametrize("place", ["begin_pass", "end_pass"])
def test_a_fault_of_the_node_itself_is_not_hidden(make_rig, place):
    rig = make_rig()

    def fail():
        raise Bug

    setattr(rig.handler, place, fail)
    rig.hub.soon(lambda: None)
    with pytest.raises(Bug):
        rig.turn()


def test_the_same_failure_is_logged_once_a_minute():
    log = FailureLog()

    def fail(number):
        try:
            raise Bug if number % 2 else KeyError(SECRET)
        except (Bug, KeyError) as error:
            return log.log(error, "test", number // 10)

    with capture_logs() as logs:
        outcomes = [fail(number) for number in range(REPEAT_S * 10 + 2)]
    assert sum(outcomes) == len(logs) == 4
    assert [entry["repeated"] for entry in logs] == [0, 0, REPEAT_S * 5 - 1, REPEAT_S * 5 - 1]
    assert SECRET not in str(logs)


def test_failures_told_apart_are_bounded():
    log = FailureLog()
    with capture_logs():
        for number in range(3 * KINDS_MAX):
            log.log(type(f"Bug{number}", (Exception,), {})(), "test", 0)
            assert len(log._seen) <= KINDS_MAX


@pytest.mark.parametrize("place", ["begin_pass", "end_pass"])
def test_a_pass_that_failed_is_passed_over_if_somebody_says_so(rig, monkeypatch, place):
    peer = rig.connect()
    told = []

    def fail():
        raise Bug

    def rescue(error):
        told.append(error)
        monkeypatch.undo()
        return True

    monkeypatch.setattr(rig.handler, place, fail)
    rig.hub.rescue = rescue
    peer.send(framed(b"hello"))
    rig.turn()
    assert [type(error) for error in told] == [Bug]
    assert peer.read(9) == framed(b"hello")


def test_a_pass_that_failed_ends_the_hub_if_nobody_can_help(rig):
    def fail():
        raise Bug

    rig.hub.rescue = lambda error: False
    rig.handler.end_pass = fail
    rig.hub.soon(lambda: None)
    with pytest.raises(Bug):
        rig.turn()
