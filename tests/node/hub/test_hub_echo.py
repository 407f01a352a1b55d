"""What goes in comes out, however it is cut; and how connections end."""

from __future__ import annotations

import random
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.hub.listener import open_socket
from node.hub.settings import ListenerSettings
from tests.node.hub.echo import EchoHandler, framed
from tests.node.hub.rig import Rig


def test_a_frame_comes_back(rig):
    peer = rig.connect()
    peer.send(framed(b"hello"))
    assert peer.read(9) == framed(b"hello")


def test_many_connections_each_get_their_own(rig):
    peers = [rig.connect() for _ in range(20)]
    for number, peer in enumerate(peers):
        peer.send(framed(b"to %d" % number))
    for number, peer in enumerate(peers):
        want = framed(b"to %d" % number)
        assert peer.read(len(want)) == want


def test_a_frame_in_single_bytes(rig):
    peer = rig.connect()
    want = framed(b"one by one")
    for position in range(len(want)):
        peer.send(want[position : position + 1])
        rig.turn()
    assert peer.read(len(want)) == want
    assert peer.connection.inbox is None
    assert rig.hub.statistics().bytes_in == len(want)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bodies=st.lists(st.binary(max_size=300), min_size=1, max_size=20),
    cuts=st.lists(st.integers(1, 400), max_size=20),
)
def test_frames_cut_anywhere(bodies, cuts):
    rig = Rig()
    try:
        peer = rig.connect()
        stream = b"".join(map(framed, bodies))
        position = 0
        for cut in cuts:
            peer.send(stream[position : position + cut])
            position += cut
            rig.turn()
        peer.send(stream[position:])
        assert peer.read(len(stream)) == stream
        assert peer.connection.frames == list(map(framed, bodies))
        assert peer.connection.inbox is None
        assert peer.connection.outbox is None
    finally:
        rig.close()


def test_a_frame_larger_than_any_buffer(rig):
    peer = rig.connect()
    frame = framed(random.Random(1).randbytes(900_000))
    sent = 0
    while sent < len(frame):
        sent += peer.send_some(frame[sent:])
        rig.turn()
    assert peer.read(len(frame)) == frame


def test_what_a_pass_queues_is_gathered(make_rig):
    class Counting(EchoHandler):
        def __init__(self):
            super().__init__()
            self.queued = []

        def end_pass(self):
            self.queued += [list(connection.outbox) for connection in self.open if connection.outbox]

    rig = make_rig(handler=Counting())
    peer = rig.connect()
    frames = [framed(b"%d" % number) for number in range(50)]
    peer.send(b"".join(frames))
    assert peer.read(sum(map(len, frames))) == b"".join(frames)
    assert rig.handler.queued == [frames]


def test_a_beginning_that_is_too_long_ends_the_connection(make_rig):
    handler = EchoHandler()
    handler.remainder_max = 100
    rig = make_rig(handler=handler)
    peer, other = rig.connect(), rig.connect()
    peer.send(framed(bytes(90))[:94])
    peer.send(framed(bytes(200))[:104])
    assert peer.rest() == framed(bytes(90))
    assert rig.ends() == ["remainder"]
    other.send(framed(b"x"))
    assert other.read(5) == framed(b"x")


def test_the_peer_closes(rig):
    peer = rig.connect()
    fd = peer.connection.fd
    peer.close()
    rig.pump(rig.ends)
    assert rig.ends() == ["eof"]
    assert peer.connection.fd == -1
    assert rig.hub._pollset.entries[fd] is None
    assert rig.hub.statistics().connections == 0


def test_a_peer_that_shut_its_end_still_gets_its_answer(make_rig):
    rig = make_rig()
    peer = rig.connect()
    peer.send(framed(b"last words"))
    peer.shut()
    assert peer.rest() == framed(b"last words")
    rig.pump(lambda: rig.hub.statistics().connections == 0)
    assert rig.ends() == ["eof"]


def test_the_peer_resets(rig):
    peer, other = rig.connect(), rig.connect()
    peer.reset()
    rig.pump(rig.ends)
    assert rig.ends()[0] in ("reset", "eof")  # OpenSSL doesn't always tell the two apart
    assert rig.ends() == ["reset"] or rig.listener.settings.tls
    other.send(framed(b"x"))
    assert other.read(5) == framed(b"x")


def test_a_reset_that_shows_when_writing(make_rig):
    rig = make_rig()
    peer = rig.connect()
    connection = peer.connection
    rig.hub.soon(lambda: connection.write(bytes(100)))
    rig.hub.soon(peer.reset)
    rig.pump(rig.ends)
    assert rig.ends() == ["reset"]
    assert rig.hub.statistics().connections == 0


def test_a_last_frame_arrives_although_the_peer_goes_on_sending(make_rig, transport):
    """Closing with unread input would reset the connection, and could destroy the last frame."""

    class Strict(EchoHandler):
        def frame(self, connection, frame):
            connection.write(framed(b"never again"))
            connection.close("broken")

    rig = make_rig(tls=transport, handler=Strict())
    peer = rig.connect()
    peer.send(framed(bytes(100)) * 3_000)
    assert peer.rest() == framed(b"never again")
    assert rig.ends() == ["broken"]
    peer.close()
    rig.pump(lambda: rig.hub.statistics().connections == 0)


def test_nothing_is_handed_over_after_close(make_rig, transport):
    class Once(EchoHandler):
        def frame(self, connection, frame):
            super().frame(connection, frame)
            connection.close("enough")
            connection.write(b"unheard")

    rig = make_rig(tls=transport, handler=Once())
    peer = rig.connect()
    peer.send(framed(b"1"))
    rig.pump(rig.ends)
    peer.send(framed(b"2"))
    assert peer.rest() == framed(b"1")
    assert peer.connection.frames == [framed(b"1")]
    assert rig.ends() == ["enough"]


def test_a_peer_that_stays_after_our_end_is_shut_has_a_bounded_time(rig):
    peer = rig.connect()
    peer.connection.close("over")
    assert peer.rest() == b""
    assert rig.ends() == ["over"]
    rig.seconds(rig.settings.linger_s_max - 1)
    assert rig.hub.statistics().connections == 1
    rig.seconds(2)
    assert rig.hub.statistics().connections == 0
    assert rig.ends() == ["over"]


def test_without_linger_it_is_gone_at_once(rig):
    peer = rig.connect()
    peer.connection.write(framed(b"bye"))
    peer.connection.close(7, linger=False)
    rig.turn()
    assert rig.hub.statistics().connections == 0
    assert rig.ends() == [7]
    assert peer.rest() == framed(b"bye")


def test_tcp_nodelay_is_inherited(make_rig):
    rig = make_rig()
    fd = rig.connect().connection.fd
    ours = socket.socket(fileno=fd)
    try:
        assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    finally:
        ours.detach()


def test_statistics_tell_the_truth(rig):
    first, second = rig.connect(), rig.connect()
    first.send(framed(b"12345678"))
    first.read(12)
    second.send(framed(b"1234") * 10)
    second.read(80)
    first.close()
    rig.pump(rig.ends)
    numbers = rig.hub.statistics()
    assert numbers.accepted == 2
    assert numbers.connections == 1
    assert numbers.closed == {"eof": 1}
    assert numbers.bytes_in == 92
    assert numbers.bytes_out == 92
    assert numbers.refused == {}
    assert numbers.failures == numbers.accept_errors == numbers.stale_events == 0
    assert numbers.handshakes_done == (2 if rig.listener.settings.tls else 0)
    assert numbers.handshaking == 0
    assert sum(numbers.batches.buckets) == numbers.passes
    assert sum(numbers.lag_us.buckets) == numbers.passes


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_address_is_what_limits_count_by(make_rig, host):
    try:
        listening = open_socket(ListenerSettings(host=host))
    except OSError:
        pytest.skip(f"no {host} here")
    rig = make_rig(listening=listening)
    peer = rig.connect()
    assert peer.connection.address == ("127.0.0.1" if host == "127.0.0.1" else "::/64")
