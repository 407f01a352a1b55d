"""Who may not, and who may and misbehaves: they get nothing, are counted, and nobody else notices."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import cbor2
import pytest
import structlog
import trio
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replication.zeromq import words
from replication.zeromq.boundedlog import EVENTS_MAX, MINUTE_S, PER_MINUTE, BoundedLog
from replication.zeromq.keys import make_keys
from replication.zeromq.members import Member
from replication.zeromq.settings import GREETING_BYTES_MAX, GROUPS_MAX
from replication.zeromq.sockets import make_context
from replication.zeromq.zap import DOMAIN, Authorised, Gatekeeper
from tests.replication.zeromq.cluster import GIVE_UP_S, Cluster, cluster_of, node_on, until
from tests.replication.zeromq.raw import RawPeer


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """Two nodes that talk, and a third that is a member and never started: tests play it."""
    a, b, c = node_on(), node_on(), node_on()
    async with cluster_of(a, b, c) as made:
        await made.start(a, b)
        for node in (a, b):
            node.links.open("mail")
        await made.connected("mail", [a, b])
        await made.connected(None, [a, b])
        yield made
        await undisturbed(made)


async def undisturbed(cluster: Cluster) -> None:
    """The two that talk have noticed nothing."""
    a, b, _ = cluster.nodes
    for sender, reader in ((a, b), (b, a)):
        for group in (None, "mail"):
            before = len(reader.notes.of(group, sender.id))
            assert sender.links.send(reader.id, group, [99])
            await until(lambda r=reader, s=sender, g=group, n=before: len(r.notes.of(g, s.id)) == n + 1)
            assert sender.notes.count("disconnected", reader.id, group) == 0


# ---- those who may not ------------------------------------------------------------------------------


async def test_a_strangers_key_is_refused_and_counted(cluster: Cluster) -> None:
    a = cluster.nodes[0]
    with RawPeer(a, make_keys()) as stranger:
        stranger.hello()
        await until(lambda: a.links.statistics().refused == 1)
        assert a.links.statistics().admitted == 2, "the peer's two links"
        assert not stranger.socket.receive_nowait()
        assert a.notes.of(None) == []


async def test_a_peer_without_encryption_is_refused_and_counted(cluster: Cluster) -> None:
    a = cluster.nodes[0]
    with RawPeer(a, None) as plain:
        plain.hello()
        await until(lambda: a.links.statistics().failed_handshakes >= 1)
    with RawPeer(a, None, plain_username=b"admin", plain_password=b"admin") as plain:
        plain.hello()
        await until(lambda: a.links.statistics().failed_handshakes >= 2)
    assert a.notes.of(None) == []
    assert a.links.statistics().admitted == 2


async def test_a_peer_that_takes_us_for_another_is_refused(cluster: Cluster) -> None:
    a, _, c = cluster.nodes
    with RawPeer(a, c.keys, curve_serverkey=make_keys().public.encode()) as wrong:
        wrong.hello()
        await until(lambda: a.links.statistics().failed_handshakes >= 1)
    assert a.notes.of(None) == []


@pytest.mark.parametrize(
    "first", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, b"\0" * 70, bytes(range(256))]
)
async def test_what_is_no_zeromq_is_hung_up_on(cluster: Cluster, first: bytes) -> None:
    a = cluster.nodes[0]
    address = a.member.address
    opened = [await trio.open_tcp_stream(address.host, address.port) for _ in range(20)]
    for stream in opened:
        if first:
            await stream.send_all(first)
    await undisturbed(cluster)
    for stream in opened:
        with trio.fail_after(GIVE_UP_S):  # what says nothing is hung up on after handshake_ms_max
            try:
                while await stream.receive_some(1_000):
                    pass
            except trio.BrokenResourceError:
                pass
        await stream.aclose()


async def test_a_member_under_a_wrong_key_gets_nothing() -> None:
    """The configuration of one node has another key for its peer than the peer has."""
    a, b = node_on(), node_on()
    mistaken = Member(b.id, make_keys().public, b.member.address)
    async with cluster_of(a, b) as cluster:
        await a.start(cluster.nursery, [a.member, mistaken])
        await b.start(cluster.nursery, [a.member, b.member])
        await until(lambda: a.link(b, None).ended == "handshake failed")
        await until(lambda: b.link(a, None).ended == "not admitted")
        assert not a.links.is_connected(b.id, None)
        assert not b.links.is_connected(a.id, None)
        assert a.links.statistics().refused > 0
        assert a.notes.events == b.notes.events == []


async def test_a_key_may_be_taken_out_and_put_back(cluster: Cluster) -> None:
    a, b, _ = cluster.nodes
    a.links.authorise([])
    assert b.links.send(a.id, "mail", [1, "taken out"])
    await until(lambda: a.links.statistics().strangers >= 1)
    assert a.notes.of("mail") == [], "also over the connection that was there"
    await until(lambda: b.link(a, "mail").ended == "silent")
    await until(lambda: b.link(a, None).ended == "not admitted")
    a.links.authorise([b.keys.public])
    await cluster.connected("mail", [a, b])
    await cluster.connected(None, [a, b])
    assert b.links.send(a.id, "mail", [1, "put back"])
    await until(lambda: a.notes.of("mail") == [[1, "put back"]])
    a.notes.events.clear()
    b.notes.events.clear()


async def test_the_gatekeeper_admits_by_key_in_its_domain_only() -> None:
    keys, other = make_keys(), make_keys()
    authorised = Authorised([keys.public])
    gatekeeper = Gatekeeper(make_context(), authorised, BoundedLog())
    replies: list[tuple[bytes, str]] = []

    class Reply:
        def send_multipart(self, frames: list[Any]) -> None:
            replies.append((frames[2], frames[4].decode()))

    gatekeeper.zap_socket = Reply()  # type: ignore[assignment]
    key = zmq.utils.z85.decode(keys.public.encode())
    wrong = zmq.utils.z85.decode(other.public.encode())
    for mechanism, domain, credentials in (
        (b"CURVE", DOMAIN.encode(), [key]),
        (b"CURVE", b"elsewhere", [key]),
        (b"CURVE", DOMAIN.encode(), [wrong]),
        (b"CURVE", DOMAIN.encode(), [b"short"]),
        (b"CURVE", DOMAIN.encode(), []),
        (b"CURVE", DOMAIN.encode(), [key, key]),
        (b"NULL", DOMAIN.encode(), []),
        (b"PLAIN", DOMAIN.encode(), [b"admin", b"admin"]),
        (b"GSSAPI", DOMAIN.encode(), [b"admin"]),
    ):
        await gatekeeper.handle_zap_message([b"1.0", b"7", domain, b"10.0.0.9", b"", mechanism, *credentials])
    await gatekeeper.handle_zap_message([b"2.0", b"7", b"", b"", b"", b"NULL"])
    assert replies == [(b"200", keys.public), *[(b"400", "")] * 9]
    assert (authorised.admitted, authorised.refused) == (1, 6)
    gatekeeper.zap_socket = None  # type: ignore[assignment]
    gatekeeper.context.term()


def test_what_strangers_make_us_log_is_bounded() -> None:
    now = [0.0]
    log = BoundedLog(lambda: now[0])
    with structlog.testing.capture_logs() as said:
        for _ in range(10_000):
            log.warn("peer_refused", why="key")
        log.warn("handshake_failed")
        assert len(said) == PER_MINUTE + 1
        now[0] += MINUTE_S
        assert log.warn("peer_refused", why="key")
    assert said[-1]["unsaid_before"] == 10_000 - PER_MINUTE
    with pytest.raises(AssertionError):
        for number in range(EVENTS_MAX + 1):
            log.note(f"event {number}")


# ---- members who misbehave --------------------------------------------------------------------------

NONSENSE = (
    b"",
    b"\xff" * 50,
    cbor2.dumps([0, "no list"]),
    cbor2.dumps([0, [1]]) + b"more",
    cbor2.dumps([-1]),
    cbor2.dumps([words.PING]),
    cbor2.dumps([words.PING, "x"]),
    cbor2.dumps([words.WELCOME, 1, b"12345678"]),
    cbor2.dumps([words.OFFER]),
    cbor2.dumps([words.OFFER, [["mail"]]]),
    cbor2.dumps([words.OFFER, [["mail", 0]]]),
    cbor2.dumps([words.OFFER, [["mail", "/etc/passwd"]]]),
    cbor2.dumps([words.OFFER, [["x" * 300, 7]]]),
    cbor2.dumps([words.OFFER, [[str(n), 7] for n in range(GROUPS_MAX + 1)]]),
    cbor2.dumps([words.HELLO]),
    cbor2.dumps([words.HELLO, "1"]),
)


async def test_nonsense_resets_the_link_that_it_came_on(cluster: Cluster) -> None:
    a, _, c = cluster.nodes
    for attempt, nonsense in enumerate(NONSENSE, 1):
        with RawPeer(a, c.keys) as peer:
            await peer.welcome(attempt)
            assert peer.socket.send_nowait(nonsense)
            assert (await peer.answer())[0] == words.RESET
            peer.say(words.MESSAGES, [1, "after it"])
            assert (await peer.answer())[0] == words.RESET, "it isn't listened to any more"
            assert a.link(c, None).malformed == attempt
            peer.hello(attempt)
            assert (await peer.answer())[0] in (words.WELCOME, words.RESET)
    assert a.notes.of(None) == []


async def test_more_than_one_frame_is_nonsense(cluster: Cluster) -> None:
    a, _, c = cluster.nodes
    with RawPeer(a, c.keys, "mail") as peer:
        await peer.welcome()
        peer.socket.raw.send_multipart([words.say(words.MESSAGES, [1]), b"another"])
        assert (await peer.answer())[0] == words.RESET
    assert a.link(c, "mail").malformed == 1
    assert a.notes.of("mail") == []


def test_any_bytes_of_a_member_reset_its_link_or_mean_something() -> None:
    @given(st.lists(st.binary(max_size=60) | st.sampled_from(NONSENSE), min_size=1, max_size=8))
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def run(said: list[bytes]) -> None:
        trio.run(told, said)

    async def told(said: list[bytes]) -> None:
        a, c = node_on(), node_on()
        async with cluster_of(a, c) as cluster:
            await cluster.start(a)
            with RawPeer(a, c.keys) as peer:
                await peer.welcome()
                for data in said:
                    assert peer.socket.send_nowait(data)
                answers = 0
                while answers < 200:  # whatever was made of it, a greeting on a new connection is
                    answers += 1
                    peer.hello(attempt=1_000)
                    if (await peer.answer())[0] == words.WELCOME:
                        break
                peer.say(words.MESSAGES, [1, "sense"])
                await until(lambda: [1, "sense"] in a.notes.of(None))

    run()


async def test_who_has_not_greeted_is_not_listened_to(cluster: Cluster) -> None:
    a, _, c = cluster.nodes
    with RawPeer(a, c.keys, "mail") as peer:
        for message in ([1, "early"], [1, bytes(GREETING_BYTES_MAX)]):
            peer.say(words.MESSAGES, message)
            assert (await peer.answer())[0] == words.RESET
        peer.say(words.PING, 7)
        assert (await peer.answer())[0] == words.RESET
        await peer.welcome()
        peer.say(words.MESSAGES, [1, "now"])
        peer.say(words.PING, 7)
        assert await peer.answer() == [words.PONG, 7]
    assert a.notes.of("mail", c.id) == [[1, "now"]]
    assert a.link(c, "mail").ungreeted == 3


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"to": b"somebody"}, "look at the members"),
        ({"group": "accounts"}, "another group"),
        ({"group": None}, "another group"),
        ({"version": 99}, "speaks 1"),
        ({"instance": b"short"}, "no sense"),
        ({"attempt": -1}, "no sense"),
        ({"most": 1 << 40}, "configure the same"),
    ],
)
async def test_a_greeting_that_does_not_fit_is_refused_with_the_reason(
    cluster: Cluster, changed: dict[str, Any], reason: str
) -> None:
    a, _, c = cluster.nodes
    with RawPeer(a, c.keys, "mail") as peer:
        peer.hello(**changed)
        kind, text = await peer.answer()
        assert kind == words.REFUSED
        assert reason in text
        peer.say(words.MESSAGES, [1])
        assert (await peer.answer())[0] == words.RESET
    assert a.notes.of("mail") == []


async def test_a_late_greeting_does_not_replace_a_newer_connection(cluster: Cluster) -> None:
    a, _, c = cluster.nodes
    with RawPeer(a, c.keys) as older, RawPeer(a, c.keys) as newer:
        await newer.welcome(attempt=2)
        older.hello(attempt=1)
        assert (await older.answer())[0] == words.RESET
        newer.say(words.MESSAGES, [1, "newer"])
        await until(lambda: a.notes.of(None, c.id) == [[1, "newer"]])
        older.hello(attempt=3)
        assert (await older.answer())[0] == words.WELCOME
        newer.say(words.MESSAGES, [1, "no longer"])
        assert (await newer.answer())[0] == words.RESET
        older.hello(attempt=1, instance=b"newlife.")
        assert (await older.answer())[0] == words.WELCOME, "another process counts anew"
    assert a.notes.of(None, c.id) == [[1, "newer"]]


async def test_what_a_peer_calls_itself_counts_for_nothing() -> None:
    """A ZeroMQ routing id is what the peer says; the key is what it has."""
    a, b, c = node_on(), node_on(), node_on()
    async with cluster_of(a, b, c) as cluster:
        await cluster.start(a)
        with RawPeer(a, b.keys, routing_id=b"the same") as first:
            await first.welcome()
            first.say(words.MESSAGES, [1, "b"])
            await until(lambda: a.notes.of(None, b.id) == [[1, "b"]])
        second = None
        with trio.fail_after(GIVE_UP_S):
            while second is None:  # until ZeroMQ has noticed that the first has gone
                with RawPeer(a, c.keys, routing_id=b"the same") as attempt:
                    attempt.say(words.MESSAGES, [1, "as b"])
                    with trio.move_on_after(0.5):
                        second = await attempt.answer()
        assert second[0] == words.RESET, "it hasn't greeted, whoever had that id before"
        assert a.notes.messages == [(b.id, None, [1, "b"])]


async def test_a_member_that_floods_is_bounded(cluster: Cluster) -> None:
    """It fills what it may fill, then it waits; what others send passes."""
    a, _, c = cluster.nodes
    a.links.hold("mail")
    accepted = 0
    batch = words.say(words.MESSAGES, [1, bytes(1_000_000)])
    with RawPeer(a, c.keys, "mail", sndhwm=1) as flooder:
        flooder.hello()
        quiet = 0
        with trio.fail_after(GIVE_UP_S):
            while quiet < 30:
                if flooder.socket.send_nowait(batch):
                    accepted += 1
                    quiet = 0
                else:
                    quiet += 1
                    await trio.sleep(0.005)
        assert accepted < 60, "megabytes: a few batches, and what the kernel buffers"
        a.links.release("mail")
        for number in range(200):
            while not flooder.socket.send_nowait(batch):  # noqa: ASYNC110
                await trio.sleep(0.001)
            if number % 20 == 0:
                await undisturbed(cluster)
        await until(lambda: len(a.notes.of("mail", c.id)) == accepted + 200)


async def test_a_message_over_the_limit_ends_its_connection_only(cluster: Cluster) -> None:
    a, _, c = cluster.nodes
    with RawPeer(a, c.keys) as peer:
        await peer.welcome()
        events = peer.socket.raw.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        peer.socket.raw.send(bytes(a.settings.message_bytes_max + 100_000))
        await until(lambda: events.poll(0))
        peer.socket.raw.disable_monitor()
        events.close()
    assert a.notes.of(None, c.id) == []
