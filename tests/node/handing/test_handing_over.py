"""One node hands its plain connections to the next: phones notice nothing but a pause."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
import trio

from node.assembling import Parts
from node.handing import state
from node.handing.freezing import Cargo, Freezing, NotStill
from node.handing.restoring import restore
from node.handing.state import Handed
from node.hub.certificate import make_certificate
from node.hub.tls import ServerTls, load_tls
from node.mail.settings import MailSettings
from node.session import TALKING, Session
from node.wire import errors, verbs
from node.wire.codec import encode
from tests.node.live import GIVE_UP_S, Device, FakeTime, LiveNode, Phone, live_node

ALICE, BOB, CAROL = Device.of(1), Device.of(2), Device.of(3)
DEVICES = (ALICE, BOB, CAROL)
SECONDS_MAX = 5.0


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ServerTls:
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder / "certificate.pem", folder / "key.pem")
    return load_tls(folder / "certificate.pem", folder / "key.pem")


def freezing_of(node: LiveNode) -> Freezing:
    return Freezing(node.running.hub, node.service, Random(3), 30_000)


async def leave(node: LiveNode, freezing: Freezing) -> Cargo:
    """Everything is taken out, and the node ends."""
    cargo = await freezing.take_out()
    node.stop.set()
    with trio.fail_after(GIVE_UP_S):
        await node.ended.wait()
    return cargo


@asynccontextmanager
async def next_node(
    path: Path, cargo: Cargo, time: FakeTime, *phones: Phone, **sections: Any
) -> AsyncIterator[LiveNode]:
    """What was taken out is put into another node; through the bytes that go between processes."""
    handed = state.decode(state.encode(cargo.handed))
    listeners = len(handed.listeners)

    def begin(parts: Parts) -> None:
        assert restore(parts.hub, parts.service, handed, cargo.descriptors[listeners:]) == len(
            handed.sessions
        )

    for one in cargo.sockets:
        one.close()
    async with live_node(path, time=time, begin=begin, **sections) as node:
        for phone in phones:
            phone.node = node
        await node.settle()
        yield node
        node.running.hub.check()


async def test_what_is_in_flight_stays_so_and_nothing_is_lost_repeated_or_overtaken(tmp_path: Path) -> None:
    time = FakeTime(1_000.0)
    async with live_node(tmp_path, devices=DEVICES, time=time) as first:
        alice, bob = await first.login(ALICE), await first.login(BOB)
        await alice.send(*(ALICE.send(BOB, n) for n in (1, 2, 3)))
        assert [(await bob.next())[3] for _ in range(3)] == [1, 2, 3]
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        # what was only in memory is durable now, and told
        assert await alice.next() == ALICE.accepted(BOB, 1, 3, verbs.ONE_COPY)
        # said while nobody listens: a whole frame, and a frame and a half
        await bob.send(BOB.ack(ALICE, 1))
        whole, half = encode(ALICE.send(BOB, 4)), encode(ALICE.send(BOB, 5))
        await alice.send_bytes(whole + half[:20])
        cargo = await leave(first, freezing)
        assert [one.phase for one in cargo.handed.sessions] == [TALKING, TALKING]
        async with next_node(tmp_path, cargo, time, alice, bob) as second:
            assert second.service.statistics()["sessions"] == 2
            frame = await bob.next()
            assert (frame[0], frame[3]) == (verbs.DELIVER, 4), "1 to 3 were handed over before"
            await alice.send_bytes(half[20:])
            assert (await bob.next())[3] == 5
            await bob.send(BOB.ack(ALICE, 2, 5))
            received = [frame for frame in await alice.said() if frame[0] == verbs.ACCEPTED]
            assert received == [ALICE.accepted(BOB, 4, 5, verbs.DELIVERED)]
            await second.pass_s(2)
            assert second.mail.boxes.get(BOB.user) is None or not second.mail.boxes[BOB.user].count
            assert (await second.login(CAROL)).welcome[2] == first.service.logins + 1, "numbers go on"


async def test_what_can_not_be_described_leaves_everybody_where_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first session can be, the second can't: neither has left the hub."""
    async with live_node(tmp_path, devices=DEVICES) as node:
        alice, bob = await node.login(ALICE), await node.login(BOB)
        freezing = freezing_of(node)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        described = freezing._belongings.of

        def describe(session: Session) -> dict[str, Any]:
            found = described(session)
            if seen:
                raise KeyError(session.user)
            seen.append(session)
            return found

        seen: list[Session] = []
        monkeypatch.setattr(freezing._belongings, "of", describe)
        with pytest.raises(KeyError):
            await freezing.take_out()
        await freezing.go_on()
        await alice.send(ALICE.send(BOB, 1))
        assert (await bob.next())[3] == 1
        await node.login(CAROL)
        node.running.hub.check()


async def test_what_waits_beyond_the_window_comes_afterwards_in_order(tmp_path: Path) -> None:
    time = FakeTime(1_000.0)
    mail = MailSettings(window=4, pair_share=4)
    async with live_node(tmp_path, devices=DEVICES, time=time, mail=mail) as first:
        alice, bob = await first.login(ALICE), await first.login(BOB)
        await alice.send(*(ALICE.send(BOB, n) for n in range(1, 10)))
        got = [(await bob.next())[3] for _ in range(4)]
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        async with next_node(tmp_path, cargo, time, alice, bob):
            await bob.send(BOB.ack(ALICE, 1, 4))
            while len(got) < 9:
                frame = await bob.next()
                if frame[0] == verbs.DELIVER:
                    got.append(frame[3])
                    await bob.send(BOB.ack(ALICE, frame[3]))
            assert got == list(range(1, 10))


async def test_a_sender_who_was_told_to_go_back_is_held_to_it(tmp_path: Path) -> None:
    """Or a later number would overtake the one that it goes back to."""
    time = FakeTime(1_000.0)
    async with live_node(tmp_path, devices=DEVICES, time=time) as first:
        alice, bob = await first.login(ALICE), await first.login(BOB)
        await alice.send(ALICE.send(BOB, 1), ALICE.send(BOB, 3, base=2))
        assert (await bob.next())[3] == 1
        assert verbs.GAP in [frame[0] for frame in await alice.said()]
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        (gap,) = next(one for one in cargo.handed.sessions if one.user == ALICE.user).gaps
        assert (gap.recipient, gap.n) == (BOB.user, 3)
        async with next_node(tmp_path, cargo, time, alice, bob) as second:
            assert second.mail.pairs[BOB.user, ALICE.user, ALICE.stream].gapped == 3
            await alice.send(ALICE.send(BOB, 4, base=2))
            assert [frame for frame in await alice.said() if frame[0] == verbs.GAP] == [], "told already"
            await alice.send(*(ALICE.send(BOB, n, base=2) for n in (2, 3, 4)))
            assert [(await bob.next())[3] for _ in range(3)] == [2, 3, 4]


async def test_what_is_in_flight_beyond_a_smaller_window_is_handed_over_again(tmp_path: Path) -> None:
    time = FakeTime(1_000.0)
    async with live_node(tmp_path, devices=DEVICES, time=time) as first:
        alice, bob = await first.login(ALICE), await first.login(BOB)
        await alice.send(*(ALICE.send(BOB, n) for n in range(1, 5)))
        assert [(await bob.next())[3] for _ in range(4)] == [1, 2, 3, 4]
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        smaller = MailSettings(window=2, pair_share=2)
        async with next_node(tmp_path, cargo, time, alice, bob, mail=smaller) as second:
            assert second.mail.boxes[BOB.user].inflight == 2
            await bob.send(BOB.ack(ALICE, 1, 2))
            assert [(await bob.next())[3] for _ in range(2)] == [3, 4]


async def test_who_has_not_logged_in_goes_on_where_he_was(tmp_path: Path) -> None:
    time = FakeTime(1_000.0)
    async with live_node(tmp_path, devices=DEVICES, time=time) as first:
        silent, greeted = await first.connect(), await first.greeted()
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        async with next_node(tmp_path, cargo, time, silent, greeted) as second:
            await silent.hello()
            await silent.login(BOB)
            await greeted.login(ALICE)
            await greeted.send(ALICE.send(BOB, 1))
            assert (await silent.next())[3] == 1
            late = await second.connect()
            await second.pass_s(60)
            await late.refused(errors.TIMEOUT)


async def test_a_deadline_goes_on_where_it_was(tmp_path: Path) -> None:
    time = FakeTime(1_000.0)
    async with live_node(tmp_path, devices=DEVICES, time=time) as first:
        slow = await first.greeted()
        limit = first.service.settings.login_s
        await first.pass_s(limit - 5)
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        assert 1 <= cargo.handed.sessions[0].left_s <= 6
        async with next_node(tmp_path, cargo, time, slow) as second:
            await second.pass_s(8)
            await slow.refused(errors.TIMEOUT)


async def test_a_phone_that_reads_nothing_gets_the_rest_from_the_next_node(tmp_path: Path) -> None:
    time = FakeTime(1_000.0)
    body = os.urandom(60_000)
    async with live_node(tmp_path, devices=DEVICES, time=time) as first:
        alice, bob = await first.login(ALICE), await first.login(BOB)
        for n in range(1, 33):
            await alice.send(ALICE.send(BOB, n, body))
            await first.settle()
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        assert any(one.outbox for one in cargo.handed.sessions), "the kernel took all of it: send more"
        async with next_node(tmp_path, cargo, time, alice, bob):
            got = []
            while len(got) < 32:
                frame = await bob.next()
                assert frame[0] == verbs.DELIVER
                assert frame[6] == body
                got.append(frame[3])
                await bob.send(BOB.ack(ALICE, frame[3]))
            assert got == list(range(1, 33))


async def test_tls_is_sent_away_and_plain_stays(tmp_path: Path, tls: ServerTls) -> None:
    time = FakeTime(1_000.0)
    async with live_node(tmp_path, devices=DEVICES, time=time, tls=tls) as first:
        encrypted, plain = await first.connect_tls(), await first.greeted()
        await encrypted.hello()
        freezing = freezing_of(first)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(freezing.send_encrypted_away)
            (bye,) = await encrypted.end()
            assert bye[:2] == (verbs.BYE, errors.SHUTTING_DOWN)
            assert 0 <= bye[2] <= 30_000
            await encrypted.stream.aclose()
        assert freezing.sent_away == 1
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        assert len(cargo.handed.sessions) == 1
        async with next_node(tmp_path, cargo, time, plain):
            await plain.login(ALICE)


async def test_a_node_that_does_not_come_to_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be written: nothing is handed over, and nobody was dropped."""
    async with live_node(tmp_path, devices=DEVICES) as node:
        alice, bob = await node.login(ALICE), await node.login(BOB)
        freezing = freezing_of(node)
        with monkeypatch.context() as patched:
            patched.setattr("node.mail.quiescing.is_quiet", lambda state: False)
            with pytest.raises(NotStill):
                await freezing.hold(0.0, 0.0)
        await alice.send(ALICE.send(BOB, 1))
        with trio.move_on_after(0.05):
            await bob.next()
            raise AssertionError("it is held")
        await freezing.go_on()
        assert (await bob.next())[3] == 1
        await node.connect()
        await (await node.greeted()).login(CAROL)
        node.running.hub.check()


async def test_who_connects_meanwhile_waits_and_is_served_afterwards(tmp_path: Path) -> None:
    async with live_node(tmp_path, devices=DEVICES) as node:
        freezing = freezing_of(node)
        await freezing.send_encrypted_away()
        await node.greeted()
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        before = node.running.hub.counters.accepted
        waiting = await node.connect()
        await waiting.send((verbs.HELLO, 1, 1, (), "raw"))
        await node.settle()
        assert node.running.hub.counters.accepted == before
        await freezing.go_on()
        assert (await waiting.next())[0] == verbs.HELLO


async def test_a_phone_that_hangs_up_while_it_is_held_is_not_handed_over(tmp_path: Path) -> None:
    async with live_node(tmp_path, devices=DEVICES) as node:
        gone, there = await node.login(ALICE), await node.login(BOB)
        freezing = freezing_of(node)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        sock = gone.stream.socket  # type: ignore[attr-defined]
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        sock.close()  # a reset
        await node.wait(lambda: node.running.hub.counters.connections == 1)
        cargo = await leave(node, freezing)
        assert [one.user for one in cargo.handed.sessions] == [BOB.user]
        for fd in cargo.descriptors:
            os.close(fd)
        for one in cargo.sockets:
            one.detach()
        await there.stream.aclose()


async def test_a_login_that_is_faster_than_the_session_that_came_over_wins(tmp_path: Path) -> None:
    time = FakeTime(1_000.0)
    async with live_node(tmp_path, devices=DEVICES, time=time) as first:
        old = await first.login(ALICE)
        freezing = freezing_of(first)
        await freezing.hold(SECONDS_MAX, SECONDS_MAX)
        cargo = await leave(first, freezing)
        parked: list[Callable[[], None]] = []

        def begin(parts: Parts) -> None:
            soon = parts.hub.soon
            parts.hub.soon = parked.append  # type: ignore[method-assign]
            restore(parts.hub, parts.service, cargo.handed, cargo.descriptors[1:])
            parts.hub.soon = soon  # type: ignore[method-assign]

        for one in cargo.sockets:
            one.close()
        async with live_node(tmp_path, time=time, begin=begin) as second:
            new = await second.login(ALICE)
            old.node = second
            for one in parked:
                second.running.hub.soon(one)
            await old.refused(errors.SUPERSEDED)
            await new.quiet()


def test_a_reader_passes_over_what_it_does_not_know_and_refuses_what_makes_no_sense() -> None:
    handed = Handed(logins=7)
    assert state.decode(state.encode(handed)) == handed
    more = msgspec.msgpack.encode({"logins": 7, "later": [1], "listeners": [], "sessions": []})
    assert state.decode(more) == handed
    with pytest.raises(msgspec.ValidationError):
        state.decode(msgspec.msgpack.encode({"logins": "seven"}))
