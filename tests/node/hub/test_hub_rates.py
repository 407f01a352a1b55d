"""Not too many a second: the bucket, accepts, and TLS handshakes, by a clock that moves when told."""

from __future__ import annotations

import ssl

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from node.hub.bucket import Bucket
from node.hub.hub import Hub
from node.hub.settings import HubSettings, ListenerSettings
from tests.node.hub.echo import EchoHandler, framed
from tests.node.hub.test_hub_handshake import hello


def spent(bucket, now):
    """How many are there now; all are taken."""
    count = 0
    while now >= bucket.opens_at and count < 100_000:
        bucket.spend(now)
        count += 1
    return count


@given(
    st.integers(1, 10_000),
    st.integers(1, 1_000),
    st.lists(st.floats(0, 3), max_size=20),
    st.floats(0, 1e7),
)
def test_a_bucket_gives_its_burst_and_then_its_rate(per_s, burst, pauses, start):
    bucket = Bucket(per_s, burst)
    now = start
    taken = spent(bucket, now)
    assert taken == burst, "the whole burst at the beginning, and no more"
    for pause in pauses:
        now += pause
        part = spent(bucket, now)
        assert part <= burst
        taken += part
        assert taken <= burst + (now - start) * per_s + 1
        assert now < bucket.opens_at <= now + 1 / per_s * 1.01, "it says when, and that is soon"
    assert spent(bucket, now + burst / per_s + 1) == burst, "full again"


def test_a_bucket_that_opens_opens_at_the_time_it_said():
    bucket = Bucket(3, 1)
    now = 1e6
    for _ in range(1_000):
        assert spent(bucket, now) == 1
        now = bucket.opens_at
    assert now == pytest.approx(1e6 + 1_000 / 3, abs=0.5)
    assert bucket.has_at(4) == pytest.approx(now + 1)


def test_a_bucket_without_a_rate_is_no_limit():
    assert spent(Bucket(0, 0), 0.0) == 100_000


# ---- accepts -----------------------------------------------------------------------------------------------


def test_so_many_accepts_a_second(make_rig):
    rig = make_rig(settings=HubSettings(accepts_per_s_max=10))
    peers = [rig.peer() for _ in range(25)]
    rig.pump(lambda: len(rig.handler.open) == 10)
    passes = rig.hub.statistics().passes
    for _ in range(20):
        rig.turn()
    assert len(rig.handler.open) == 10
    assert rig.hub.statistics().passes <= passes + 1, "the hub spins on a listener it doesn't accept from"
    rig.clock.now += 1.0
    rig.pump(lambda: len(rig.handler.open) == 20)
    for _ in range(5):
        rig.turn()
    assert len(rig.handler.open) == 20
    for peer in peers[:10]:  # the kernel hands them out in order; those there are served all the time
        peer.send(framed(b"x"))
        assert peer.read(5) == framed(b"x")
    rig.clock.now += 0.5
    rig.pump(lambda: len(rig.handler.open) == 25)
    assert rig.hub.statistics().refused == {}


def test_refused_ones_count_too(make_rig):
    rig = make_rig(settings=HubSettings(accepts_per_s_max=4, connections_max=1))
    peers = [rig.peer() for _ in range(8)]
    rig.pump(lambda: len(rig.handler.refused) == 3)
    for _ in range(5):
        rig.turn()
    assert len(rig.handler.refused) == 3
    rig.clock.now += 1.0
    rig.pump(lambda: len(rig.handler.refused) == 7)
    del peers


def test_listeners_that_rest_and_pause_come_back_when_both_are_over(make_rig):
    rig = make_rig(settings=HubSettings(accepts_per_s_max=1, accept_pause_s=2))
    acceptor = rig.hub._acceptor
    rig.peer()
    rig.peer()
    rig.pump(lambda: acceptor.resumes_at is not None)
    acceptor._pause(rig.listener, 2)
    later = rig.hub.listen(ListenerSettings())
    rig.peer(to=later)
    rig.seconds(1)
    rig.pump(lambda: len(rig.handler.open) == 2)
    passes = rig.hub.statistics().passes
    for _ in range(20):
        rig.turn()
    assert rig.hub.statistics().passes <= passes + 1
    rig.seconds(2)
    rig.pump(lambda: len(rig.handler.open) == 3)


def test_a_stop_while_listeners_rest(make_rig):
    rig = make_rig(settings=HubSettings(accepts_per_s_max=1))
    rig.connect()
    waiting = rig.peer()
    rig.pump(lambda: rig.hub._acceptor.resumes_at is not None)
    rig.hub._bring(rig.hub._stopping.begin)
    assert waiting.rest() == b"refused stopping"
    rig.seconds(5)


async def test_a_hub_without_accepts_left_sleeps_until_there_are(nursery, autojump_clock):
    """Under Trio, whose clock jumps: it wakes for the accepts by itself, and not for anything else."""

    class Counting(EchoHandler):
        def opened(self, connection):
            super().opened(connection)
            if len(self.open) == 25:
                all_open.set()

    all_open = trio.Event()
    hub = Hub(HubSettings(accepts_per_s_max=10), Counting(), trio.current_time)
    listener = hub.listen(ListenerSettings())
    await nursery.start(hub.run)
    streams = [await trio.open_tcp_stream(*listener.address) for _ in range(25)]
    began = trio.current_time()
    await all_open.wait()
    assert 1.3 <= trio.current_time() - began <= 1.7
    assert hub.statistics().passes < 200
    for stream in streams:
        await trio.aclose_forcefully(stream)


# ---- handshakes --------------------------------------------------------------------------------------------


def waiting_hellos(rig, count):
    """Peers that have sent their first bytes."""
    first = hello(rig)
    peers = [rig.peer() for _ in range(count)]
    rig.pump(lambda: len(rig.handler.made) >= count)
    for peer in peers:
        peer.send(first)
    return peers


def answered(rig):
    return sum(made.tls is not rig.listener and made.tls.cipher() is not None for made in rig.handler.made)


def test_so_many_handshakes_a_second(make_rig, server_tls):
    rig = make_rig(tls=server_tls, settings=HubSettings(handshakes_per_s_max=30))  # 3 at once
    waiting_hellos(rig, 9)
    rig.pump(lambda: rig.hub.statistics().handshakes_waiting == 6 and answered(rig) == 3)
    passes = rig.hub.statistics().passes
    for _ in range(20):
        rig.turn()
    assert answered(rig) == 3
    assert rig.hub.statistics().passes == passes, "the hub spins on a queue it may not touch"
    assert rig.hub._handshakes.wake_at() == pytest.approx(rig.clock.now, abs=0.05)
    rig.clock.now += 0.1
    rig.pump(lambda: answered(rig) == 6)
    rig.turn()
    assert answered(rig) == 6
    for _ in range(3):
        rig.clock.now = rig.hub._handshakes.wake_at()
        rig.turn()
    assert answered(rig) == 9
    assert rig.hub._handshakes.wake_at() is None


def test_a_handshake_that_was_answered_is_finished_although_others_wait(make_rig, server_tls):
    rig = make_rig(tls=server_tls, settings=HubSettings(handshakes_per_s_max=10))  # 1 at once
    first = rig.peer()
    first.wrap()
    with pytest.raises(ssl.SSLWantReadError):
        first.sock.do_handshake()
    rig.pump(lambda: answered(rig) == 1)
    waiting_hellos(rig, 4)
    rig.pump(lambda: rig.hub.statistics().handshakes_waiting == 4)
    first.sock.do_handshake()
    rig.pump(lambda: len(rig.handler.open) == 1)
    first.send(framed(b"x"))
    assert first.read(5) == framed(b"x")
    assert rig.hub.statistics().handshakes_waiting == 4


def test_the_beginning_of_a_hello_takes_nobodys_place(make_rig, server_tls):
    rig = make_rig(tls=server_tls, settings=HubSettings(handshakes_per_s_max=10))  # 1 at once
    first = hello(rig)
    for _ in range(5):
        rig.peer().send(first[:20])
    rig.pump(lambda: len(rig.handler.made) == 5)
    rig.connect()
    assert rig.hub.statistics().handshakes_done == 1
