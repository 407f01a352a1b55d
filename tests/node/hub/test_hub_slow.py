"""Peers that read slowly or not at all cost bounded memory and bounded time."""

from __future__ import annotations

import random
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.hub.connection import BLOCKED, PAUSED, Backlog
from node.hub.settings import HubSettings
from tests.node.hub.echo import framed

SMALL = HubSettings(outbox_high_bytes=50_000, outbox_low_bytes=40_000, outbox_bytes_max=3_000_000)


def noise(count: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(count)


def block(rig, peer, count=2_000_000):
    """Write more than the kernel takes while the peer doesn't read."""
    data = noise(count)
    peer.connection.write(data)
    rig.turn()
    assert peer.connection.flags & BLOCKED
    assert 0 < peer.connection.queued_bytes <= count
    return data


@pytest.fixture
def slow(make_rig, transport):
    return make_rig(tls=transport, settings=SMALL, send_buffer_bytes=4_096)


def test_a_slow_reader_gets_everything_in_order(slow):
    peer = slow.connect(receive_buffer=4_096)
    want = bytearray(block(slow, peer))
    got = bytearray()
    for number in range(40):
        more = noise(random.Random(number).randint(1, 30_000), number)
        peer.connection.write(more)
        want += more
        got += peer.read(20_000)
    got += peer.read(len(want) - len(got))
    assert got == want
    assert peer.connection.outbox is None
    assert not peer.connection.flags & (BLOCKED | PAUSED)
    numbers = slow.hub.statistics()
    assert numbers.blocked_writers == 0
    assert numbers.writes_blocked >= 1
    assert numbers.bytes_out == len(want)


def test_write_interest_only_while_blocked(slow):
    peer = slow.connect(receive_buffer=4_096)
    data = block(slow, peer)
    peer.read(len(data))
    slow.turn()
    passes = slow.hub.statistics().passes
    for _ in range(10):
        slow.turn()
    assert slow.hub.statistics().passes == passes, "an idle socket woke the hub"


def test_who_sends_and_never_reads_is_not_read_from(slow):
    peer = slow.connect(receive_buffer=4_096, send_buffer=4_096)
    frame = framed(noise(996))
    stream = frame * 20_000
    sent = 0
    limit = SMALL.outbox_high_bytes + SMALL.read_bytes_max

    def feed():
        nonlocal sent
        sent += peer.send_some(stream[sent:])
        assert peer.connection.queued_bytes <= limit
        return peer.connection.flags & PAUSED

    slow.pump(feed)
    queued, taken = peer.connection.queued_bytes, len(peer.connection.frames)
    for _ in range(50):
        feed()
        slow.turn()
    assert peer.connection.queued_bytes <= queued
    assert len(peer.connection.frames) == taken
    assert slow.hub.statistics().pauses == 1
    assert sent < len(stream)
    whole = sent // len(frame) * len(frame)
    assert peer.read(whole) == stream[:whole]
    end = whole + 20 * len(frame)  # beyond what TLS may have begun to send
    peer.send(stream[sent:end])
    assert peer.read(end - whole) == stream[whole:end]
    assert not peer.connection.flags & (PAUSED | BLOCKED)


def test_it_is_read_from_again_before_everything_is_taken(slow):
    peer = slow.connect(receive_buffer=4_096)
    data = block(slow, peer)
    peer.send(framed(b"later"))
    slow.pump(lambda: peer.connection.flags & PAUSED)
    read = 0
    while not peer.connection.frames:
        read += len(peer.read(1_000))
        slow.turn()
        waiting = peer.connection.queued_bytes
        assert waiting or peer.connection.frames, "only then it was read from"
        assert not peer.connection.frames or waiting <= SMALL.outbox_low_bytes + 9
    assert peer.connection.flags & BLOCKED
    assert peer.read(len(data) - read) == data[read:]
    assert peer.read(9) == framed(b"later")


def test_a_blocked_peer_that_shut_its_end_gets_the_rest(slow):
    peer = slow.connect(receive_buffer=4_096)
    data = block(slow, peer, 1_000_000)
    while peer.connection.queued_bytes > SMALL.outbox_high_bytes:
        data = data[len(peer.read(1_000)) :]
        slow.turn()
    if slow.listener.settings.tls is None:
        peer.shut()
        slow.pump(slow.ends)
        assert slow.ends() == ["eof"]
    assert peer.read(len(data)) == data


def test_who_takes_nothing_is_closed(slow):
    peer = slow.connect(receive_buffer=4_096)
    block(slow, peer)
    slow.seconds(SMALL.stall_s_max - 1)
    assert slow.ends() == []
    slow.seconds(2)
    assert slow.ends() == ["stalled"]
    assert slow.hub.statistics().connections == 0
    assert slow.hub.statistics().blocked_writers == 0


def test_who_takes_a_little_now_and_then_is_not(slow):
    peer = slow.connect(receive_buffer=4_096)
    block(slow, peer)
    for _ in range(4):
        slow.seconds(SMALL.stall_s_max - 2)
        before = peer.connection.queued_bytes
        while peer.connection.queued_bytes == before:
            peer.read(4_096)
    assert slow.ends() == []


def test_the_longest_without_progress_is_found_first(make_rig):
    rig = make_rig(settings=SMALL, send_buffer_bytes=4_096)
    first, second = rig.connect(receive_buffer=4_096), rig.connect(receive_buffer=4_096)
    block(rig, first)
    block(rig, second)
    rig.seconds(SMALL.stall_s_max - 2)
    before = first.connection.queued_bytes
    while first.connection.queued_bytes == before:
        first.read(4_096)
    rig.seconds(3)
    assert [connection for connection, _ in rig.handler.ends] == [second.connection]


def test_more_than_the_most_is_queued(slow):
    peer = slow.connect(receive_buffer=4_096)
    block(slow, peer)
    peer.connection.write(bytes(SMALL.outbox_bytes_max))
    slow.turn()
    assert slow.ends() == ["overflow"]
    assert slow.hub.statistics().connections == 0


def test_a_paused_peer_that_resets(slow):
    peer = slow.connect(receive_buffer=4_096)
    block(slow, peer)
    peer.send(framed(b"let me be paused"))
    slow.pump(lambda: peer.connection.flags & PAUSED)
    peer.reset()
    slow.pump(slow.ends)
    assert slow.ends() == ["reset"]
    assert slow.hub.statistics().connections == 0


def test_what_is_queued_at_a_close_still_goes_out(slow):
    peer = slow.connect(receive_buffer=4_096)
    data = block(slow, peer)
    peer.connection.close("done")
    slow.turn()
    assert slow.ends() == ["done"]
    assert peer.rest() == data
    peer.close()
    slow.pump(lambda: slow.hub.statistics().connections == 0)


def test_but_only_for_so_long(slow):
    peer = slow.connect(receive_buffer=4_096)
    block(slow, peer)
    peer.connection.close("done")
    slow.turn()
    slow.seconds(SMALL.linger_s_max - 1)
    assert slow.hub.statistics().connections == 1
    slow.seconds(2)
    assert slow.hub.statistics().connections == 0
    assert slow.ends() == ["done"]


class Knot:
    """A TLS socket that says for a while what OpenSSL says during a key update: reading must write first, or
    writing must read first."""

    def __init__(self, tls, reads=0, writes=0):
        self.tls = tls
        self.reads = reads
        self.writes = writes
        self.refused = []

    def read(self, count, buffer):
        if self.reads:
            self.reads -= 1
            raise ssl.SSLWantWriteError
        return self.tls.read(count, buffer)

    def write(self, data):
        if self.refused:
            assert bytes(data) == self.refused[-1], "other bytes than those refused"
        if self.writes:
            self.writes -= 1
            self.refused.append(bytes(data))
            raise ssl.SSLWantReadError
        self.refused.clear()
        return self.tls.write(data)

    def close(self):
        self.tls.close()


def test_a_read_that_has_to_write_first(make_rig, server_tls):
    rig = make_rig(tls=server_tls)
    peer = rig.connect()
    peer.connection.tls = Knot(peer.connection.tls, reads=3)
    peer.send(framed(b"hello"))
    assert peer.read(9) == framed(b"hello")
    peer.send(framed(b"again"))
    assert peer.read(9) == framed(b"again")
    assert peer.connection.flags == 0


def test_a_write_that_has_to_read_first(make_rig, server_tls):
    rig = make_rig(tls=server_tls)
    peer = rig.connect()
    peer.connection.tls = Knot(peer.connection.tls, writes=4)
    frames = [framed(b"%d" % number * 3) for number in range(6)]
    for frame in frames:
        peer.send(frame)
        rig.turn()
    peer.send(frames[0])
    assert peer.read(len(b"".join(frames))) == b"".join(frames)
    assert peer.read(len(frames[0])) == frames[0]
    assert peer.connection.flags == 0


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=20),
    takes=st.lists(st.integers(0, 25), max_size=200),
    piece_max=st.integers(1, 40),
)
def test_a_backlog_hands_out_its_bytes_once_and_in_order(chunks, takes, piece_max):
    backlog = Backlog(chunks[0], 0)
    waiting = list(chunks[1:])
    out = bytearray()
    piece = b""
    for take in takes + [piece_max] * 2_000:
        if waiting and take % 2:
            backlog.append(waiting.pop(0))
        begun = piece
        piece = backlog.next_piece(piece_max)
        assert len(piece) <= piece_max
        if begun:
            assert piece == begun, "the piece under way must not change"
        count = min(take, len(piece))
        out += piece[:count]
        backlog.wrote(count)
        piece = piece[count:]
        assert backlog.size == sum(map(len, chunks)) - len(out) - sum(map(len, waiting))
        if not backlog.size and not waiting:
            break
        if not backlog.size:
            backlog.append(waiting.pop(0))
    assert out == b"".join(chunks)
