"""TLS handshakes: none of them can hold up the hub, whatever the peer sends or doesn't."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import ssl

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.hub.certificate import make_certificate
from node.hub.connection import HANDSHAKE
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.tls import load_tls
from tests.node.hub.echo import EchoHandler, framed
from tests.node.hub.rig import Rig


@pytest.fixture
def rig(make_rig, server_tls):
    return make_rig(tls=server_tls)


def hello(rig):
    """The first bytes of a real client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def settled(rig):
    return lambda: rig.hub.statistics().connections == 0


def test_the_handler_hears_of_it_after_the_handshake(rig):
    peer = rig.peer()
    peer.send(hello(rig)[:20])
    rig.pump(lambda: rig.handler.made)
    assert not rig.handler.open
    assert rig.hub.statistics().handshaking == 1
    assert list(rig.hub.connections()) == []


def test_the_client_sees_the_certificate_that_logins_are_bound_to(rig, server_tls):
    peer = rig.connect()
    assert hashlib.sha256(peer.sock.getpeercert(True)).digest() == server_tls.certificate_sha256
    assert peer.sock.version() == "TLSv1.3"


def test_a_silent_connection_costs_no_tls_object(rig):
    rig.peer()
    rig.pump(lambda: rig.handler.made)
    assert rig.handler.made[0].tls is rig.listener


@pytest.mark.parametrize("step", [0, 20], ids=["silent", "begun"])
def test_a_handshake_takes_too_long(rig, step):
    peer = rig.peer()
    peer.send(hello(rig)[:step])
    rig.pump(lambda: rig.handler.made)
    rig.turn()
    rig.seconds(rig.settings.handshake_s_max - 1)
    assert rig.hub.statistics().connections == 1
    rig.seconds(1)
    assert rig.hub.statistics().connections == 0
    assert rig.hub.statistics().closed == {"handshake_timeout": 1}
    assert rig.hub.statistics().handshakes_failed == 1
    assert rig.ends() == [], "the handler was never told that it opened"


def test_a_trickled_handshake_has_no_more_time_than_another(rig):
    peer = rig.peer()
    for byte in hello(rig)[: rig.settings.handshake_s_max]:
        peer.send_some(bytes([byte]))
        rig.seconds(1)
    rig.seconds(1)
    assert rig.hub.statistics().closed == {"handshake_timeout": 1}


def test_a_handshake_in_single_bytes(rig):
    peer = rig.peer()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = context.wrap_bio(incoming, outgoing)
    done = False

    def step():
        nonlocal done
        try:
            client.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            pass
        for byte in outgoing.read():
            peer.send(bytes([byte]))
            rig.turn()
        with contextlib.suppress(BlockingIOError):
            incoming.write(peer.sock.recv(65_536))
        return done and rig.handler.open

    rig.pump(step)
    client.write(framed(b"x"))
    peer.send(outgoing.read())
    rig.pump(lambda: rig.handler.made[0].frames)


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        framed(b"plain waystation"),
        bytes(100_000),
        b"\x16\x03\x01\xff\xff" + b"\xff" * 70_000,
        b"\x15\x03\x03\x00\x02\x02\x28",
    ],
    ids=["http", "ssh", "plain", "zeros", "long", "alert"],
)
def test_garbage_ends_that_connection_only(rig, garbage):
    other = rig.connect()
    peer = rig.peer()
    peer.send_some(garbage)
    rig.pump(lambda: rig.hub.statistics().handshakes_failed == 1)
    rig.pump(lambda: rig.hub.statistics().connections == 1)
    assert rig.hub.statistics().closed == {"handshake_failed": 1}
    other.send(framed(b"x"))
    assert other.read(5) == framed(b"x")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 600), value=st.integers(0, 255), cut=st.integers(1, 600))
def test_a_changed_hello(server_tls, position, value, cut):
    rig = Rig(tls=server_tls)
    try:
        other = rig.connect()
        data = bytearray(hello(rig))
        data[position % len(data)] = value
        peer = rig.peer()
        peer.send_some(bytes(data[:cut]))
        rig.turn()
        with contextlib.suppress(ConnectionError):  # the hub may have seen enough
            peer.send_some(bytes(data[cut:]))
        peer.close()
        rig.pump(lambda: rig.hub.statistics().accepted == 2 and rig.hub.statistics().connections == 1)
        other.send(framed(b"x"))
        assert other.read(5) == framed(b"x")
        assert rig.handler.failures == []
    finally:
        rig.close()


@pytest.mark.parametrize("bytes_first", [0, 50, 10_000], ids=["silent", "begun", "answered"])
def test_a_reset_in_the_handshake(rig, bytes_first):
    other = rig.connect()
    peer = rig.peer()
    peer.send(hello(rig)[:bytes_first])
    rig.turn()
    peer.reset()
    rig.pump(lambda: rig.hub.statistics().accepted == 2 and rig.hub.statistics().connections == 1)
    assert rig.hub.statistics().handshaking == 0
    other.send(framed(b"x"))
    assert other.read(5) == framed(b"x")


def test_a_reset_before_the_socket_is_wrapped(rig):
    """The peer has reset by the time its first bytes are looked at: `wrap_socket` of the standard class raises."""
    peers = [rig.peer() for _ in range(3)]
    rig.pump(lambda: len(rig.handler.made) == 3)
    for peer in peers:
        peer.send_some(hello(rig))
        peer.reset()
    rig.pump(settled(rig))
    assert rig.hub.statistics().closed == {"handshake_failed": 3}


def test_an_older_tls_is_refused(rig):
    peer = rig.peer()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    peer.wrap(context)
    with pytest.raises(ssl.SSLError):
        for _ in peer._tries():
            with peer._blocked():
                peer.sock.do_handshake()
    assert rig.hub.statistics().handshakes_failed == 1


def test_so_many_steps_a_pass(make_rig, server_tls):
    limits = HubSettings(handshakes_per_pass_max=2, accepts_per_pass_max=100)
    rig = make_rig(tls=server_tls, settings=limits)
    first = hello(rig)
    for _ in range(9):
        rig.peer().send(first)
    begun = []
    rig.handler.end_pass = lambda: begun.append(
        sum(made.tls is not rig.listener for made in rig.handler.made)
    )
    rig.pump(lambda: begun and begun[-1] == 9)
    assert max(after - before for before, after in itertools.pairwise([0, *begun])) == 2


def test_newcomers_wait_while_too_many_handshakes_do(make_rig, server_tls):
    rig = make_rig(
        tls=server_tls,
        settings=HubSettings(handshakes_per_pass_max=1, handshake_queue_max=3, accepts_per_pass_max=2),
    )
    waiting = []
    rig.handler.end_pass = lambda: waiting.append(rig.hub.statistics().handshakes_waiting)
    first = hello(rig)
    peers = [rig.peer() for _ in range(40)]
    for peer in peers:
        peer.send(first)

    def all_accepted():
        rig.clock.now += 1.0
        return rig.hub.statistics().accepted == 40

    rig.pump(all_accepted)
    assert max(waiting) <= 3 + 2, "the queue is bounded by its limit and one pass's accepts"


def test_no_step_for_one_that_has_no_time_left(make_rig, server_tls):
    rig = make_rig(tls=server_tls, settings=HubSettings(handshakes_per_pass_max=1))
    peers = [rig.peer() for _ in range(4)]
    rig.pump(lambda: len(rig.handler.made) == 4)
    for peer in peers:
        peer.send(hello(rig))
    rig.handler.end_pass = lambda: rig.hub._stopping.cut_off()
    rig.pump(settled(rig))
    assert rig.hub.statistics().handshakes_failed == 0
    assert rig.hub.statistics().closed == {"stopping": 4}


def test_a_step_left_over_by_a_full_pass_is_not_forgotten(server_tls):
    """Its event comes only once; another connection's large input may have used up the pass."""
    now = 0.0

    class Slow(EchoHandler):
        def frame(self, connection, frame):
            nonlocal now
            now += 1.0

    rig = Rig(handler=Slow())
    try:
        rig.hub._clock = rig.hub._reader._clock = lambda: now
        rig.hub._next_tick_at = float("inf")
        encrypted = rig.hub.listen(ListenerSettings(tls=server_tls))
        large, shy = rig.connect(), rig.peer(to=encrypted)
        rig.pump(lambda: len(rig.handler.made) == 2)
        large.send(framed(bytes(5_000)))
        shy.send(hello(rig))
        rig.pump(lambda: rig.handler.made[1].tls is not encrypted)
    finally:
        rig.close()


def test_a_handshake_that_has_to_write(make_rig, tmp_path):
    """A certificate larger than the socket takes at once."""
    names = tuple(f"host{number}.example.org" for number in range(1_500))
    make_certificate(tmp_path / "c.pem", tmp_path / "k.pem", names)
    rig = make_rig(tls=load_tls(tmp_path / "c.pem", tmp_path / "k.pem"), send_buffer_bytes=4_096)
    peer = rig.peer(receive_buffer=4_096)
    peer.wrap()
    with peer._blocked():
        peer.sock.do_handshake()
    rig.pump(lambda: rig.handler.made)
    for _ in range(5):
        rig.turn()
    assert rig.handler.made[0].flags & HANDSHAKE
    for _ in peer._tries():
        with peer._blocked():
            peer.sock.do_handshake()
            break
    rig.pump(lambda: rig.handler.open)
    peer.send(framed(b"x"))
    assert peer.read(5) == framed(b"x")


def test_writes_before_the_end_of_the_handshake_wait_for_it(make_rig, server_tls):
    rig = make_rig(tls=server_tls)
    peer = rig.peer()
    rig.pump(lambda: rig.handler.made)
    rig.handler.made[0].write(b"early")
    rig.turn()
    peer.handshake()
    assert peer.read(5) == b"early"


def test_data_right_behind_the_handshake(rig):
    """The client's last handshake message and its first frame arrive together."""
    peer = rig.peer()
    peer.wrap()
    for _ in range(3):
        rig.turn()
        with peer._blocked():
            peer.sock.do_handshake()
            break
    peer.send(framed(b"at once"))
    assert peer.read(11) == framed(b"at once")
