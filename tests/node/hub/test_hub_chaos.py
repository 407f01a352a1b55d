"""Many peers doing anything in any order: nobody gets a byte that isn't an echo of his own, and nothing leaks."""

from __future__ import annotations

import contextlib
import ssl

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from node.hub.settings import HubSettings
from tests.node.hub.echo import framed
from tests.node.hub.rig import Peer, Rig

LIMITS = HubSettings(
    connections_max=6,
    outbox_high_bytes=30_000,
    outbox_low_bytes=10_000,
    outbox_bytes_max=200_000,
    stall_s_max=8,
    events_per_pass_max=3,
    handshake_s_max=5,
)
PEERS_MAX = 8
frames = st.lists(st.integers(0, 3_000).map(lambda size: framed(bytes([size % 251]) * size)), max_size=10)
which = st.integers(0, PEERS_MAX - 1)


class Talker:
    """A peer, with what it has sent and what it has got."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.to_send = b""
        self.sent = bytearray()
        self.got = bytearray()
        self.over = False


class Chaos(RuleBasedStateMachine):
    """Rules are what peers, the handler and time may do."""

    tls = None

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig(tls=self.tls, settings=LIMITS, send_buffer_bytes=4_096)
        self.talkers: list[Talker] = []

    @initialize(count=st.integers(1, 4))
    def begin(self, count):
        for _ in range(count):
            self.come(shy=False)

    @precondition(lambda self: len(self.talkers) < PEERS_MAX)
    @rule(shy=st.booleans())
    def come(self, shy):
        """Over TLS who is shy begins no handshake before it has something to say."""
        talker = Talker(self.rig.peer(receive_buffer=4_096))
        self.talkers.append(talker)
        if self.tls is not None and shy:
            talker.peer.wrap()
        elif self.tls is not None:
            with self.gone(talker):
                talker.peer.handshake()

    def some(self, number):
        return self.talkers[number % len(self.talkers)] if self.talkers else None

    @contextlib.contextmanager
    def gone(self, talker):
        """What a peer sees when the hub has closed its connection."""
        try:
            yield
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            talker.over = True

    @rule(number=which, more=frames)
    def send(self, number, more):
        talker = self.some(number)
        if talker is None or talker.over:
            return
        talker.to_send += b"".join(more)
        with self.gone(talker):
            while talker.to_send:
                count = talker.peer.sock.send(talker.to_send[:1_500])
                talker.sent += talker.to_send[:count]
                talker.to_send = talker.to_send[count:]

    @rule(number=which, count=st.integers(1, 20_000))
    def read(self, number, count):
        talker = self.some(number)
        if talker is None or talker.over:
            return
        with self.gone(talker):
            part = talker.peer.sock.recv(count)
            talker.got += part
            talker.over = not part

    @rule(number=which, how=st.sampled_from(["close", "reset", "shut"]))
    def leave(self, number, how):
        talker = self.some(number)
        if talker is None:
            return
        if how == "shut":
            if self.tls is None:
                with contextlib.suppress(OSError):
                    talker.peer.shut()
            return
        getattr(talker.peer, how)()
        self.talkers.remove(talker)

    @rule(number=which, linger=st.booleans())
    def close(self, number, linger):
        opened = self.rig.handler.open
        if opened:
            opened[number % len(opened)].close("chance", linger=linger)

    @rule(number=which, size=st.integers(1, 100_000))
    def disturb(self, number, size):
        """Closed for overflow, perhaps; else these bytes would be no echo, so the handler says nothing more."""
        opened = self.rig.handler.open
        if opened:
            connection = opened[number % len(opened)]
            connection.close("disturbed")
            connection.write(bytes(size))

    @rule(count=st.integers(1, 10))
    def wait(self, count):
        self.rig.seconds(count)

    @rule()
    def turn(self):
        self.rig.turn()

    @invariant()
    def only_echoes(self):
        for talker in self.talkers:
            said = bytes(talker.sent) + talker.to_send
            refused = b"refused too_many"
            assert said.startswith(talker.got) or (refused.startswith(talker.got) and self.tls is None)

    @invariant()
    def each_end_is_told_once(self):
        handler = self.rig.handler
        ended = [connection for connection, _ in handler.ends]
        assert len(set(ended)) == len(ended)
        assert set(ended) | set(handler.open) == {made for made in handler.made if made.opened}
        assert not set(ended) & set(handler.open)
        assert handler.failures == []

    def teardown(self):
        for talker in self.talkers:
            talker.peer.close()
        self.rig.seconds(LIMITS.handshake_s_max + LIMITS.stall_s_max + LIMITS.linger_s_max + 2)
        self.rig.pump(lambda: self.rig.hub.statistics().connections == 0)
        assert self.rig.handler.open == []
        self.rig.close()


PROFILE = settings(max_examples=40, stateful_step_count=40, deadline=None)


class PlainChaos(Chaos):
    """Over plain TCP."""


def test_plain():
    run_state_machine_as_test(PlainChaos, settings=PROFILE)


def test_tls(server_tls):
    class TlsChaos(Chaos):
        """Over TLS."""

        tls = server_tls

    run_state_machine_as_test(TlsChaos, settings=PROFILE)
