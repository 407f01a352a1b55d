"""From a number to a session: PIN, registration, login and what it is bound to, and who takes whose place."""

import hashlib
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from node import arrival
from node.accounts.settings import AccountsSettings
from node.hub.certificate import make_certificate
from node.hub.tls import ServerTls, load_tls
from node.mail import effects, expiry
from node.mail.settings import MailSettings
from node.wire import errors, verbs
from tests.node.live import Device, FakeTime, LiveNode, error, live_node

DAVE = Device.of(4)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> ServerTls:
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder / "certificate.pem", folder / "key.pem")
    return load_tls(folder / "certificate.pem", folder / "key.pem")


# ---- PIN, register, login ------------------------------------------------------------------------------


async def test_a_new_number_registers_and_logs_in_on_one_connection(node: LiveNode) -> None:
    phone = await node.greeted()
    assert await phone.register(DAVE) == (verbs.REGISTER, DAVE.user, 1)
    _, epoch, counter, backlog = await phone.login(DAVE)
    assert (epoch, counter, backlog) == (1, 1, 0)
    await phone.send(DAVE.send(DAVE, 1, b"to myself"))
    await phone.expect((verbs.DELIVER, DAVE.user, DAVE.stream, 1, 0, node.mail.now, b"to myself"))


async def test_a_wrong_pin_can_be_tried_again_on_the_connection(node: LiveNode) -> None:
    phone = await node.greeted()
    await phone.send((verbs.PIN, DAVE.user))
    await phone.expect((verbs.PIN, DAVE.user, 60_000, 600_000))
    pin = await node.output.pin(DAVE.user)
    wrong = f"{(int(pin) + 1) % 10**6:06}"
    await phone.send(DAVE.register(wrong))
    assert (await phone.next())[:2] == (verbs.ERROR, errors.PIN_REFUSED)
    await phone.send(DAVE.register(pin))
    await phone.expect((verbs.REGISTER, DAVE.user, 1))


async def test_a_second_pin_at_once_is_refused_with_a_time(node: LiveNode) -> None:
    phone = await node.greeted()
    await phone.send((verbs.PIN, DAVE.user))
    await phone.next()
    await phone.send((verbs.PIN, DAVE.user))
    verb, code, _, retry_ms, about = await phone.next()
    assert (verb, code, about) == (verbs.ERROR, errors.PIN_LIMIT, None)
    assert 0 < retry_ms <= 60_000
    await phone.quiet()


async def test_closed_registration_and_bad_numbers_are_said(tmp_path: Path) -> None:
    async with live_node(tmp_path / "a", accounts=AccountsSettings(open=False)) as node:
        phone = await node.greeted()
        await phone.send((verbs.PIN, DAVE.user))
        await phone.expect(error(errors.REGISTRATION_CLOSED, text="this server registers nobody now"))
    async with live_node(tmp_path / "b") as node:
        phone = await node.greeted()
        await phone.send((verbs.PIN, 1))
        assert (await phone.next())[:2] == (verbs.ERROR, errors.BAD_NUMBER)
        await phone.quiet()


# ---- what a login is bound to --------------------------------------------------------------------------


async def test_unknown_numbers_and_wrong_signatures_get_the_same_answer(
    node: LiveNode, alice: Device
) -> None:
    answers = []
    for forged in (attrs.evolve(DAVE, user=alice.user), DAVE):
        phone = await node.greeted()
        await phone.send(forged.login(phone.nonce))
        answers.append(await phone.refused(errors.UNAUTHORISED))
    assert answers[0] == answers[1]


async def test_a_signature_is_good_for_one_connection(node: LiveNode, alice: Device) -> None:
    one, other = await node.greeted(), await node.greeted()
    await other.send(alice.login(one.nonce))
    await other.refused(errors.UNAUTHORISED)
    await one.login(alice)


async def test_a_nonce_is_good_for_one_try(tmp_path: Path, alice: Device) -> None:
    """Also where the first one was put off and the connection lives on."""
    limits = AccountsSettings(address_logins_burst=1, address_logins_every_s=100)
    async with live_node(tmp_path, devices=(alice,), accounts=limits) as node:
        phone = await node.greeted()
        await phone.send(DAVE.login(phone.nonce))
        await phone.refused(errors.UNAUTHORISED)
        phone = await node.greeted()
        await phone.send(alice.login(phone.nonce))
        assert (await phone.next())[:2] == (verbs.ERROR, errors.RATE_LIMITED)
        await node.pass_s(100)
        await phone.send(alice.login(phone.nonce))
        refusal = await phone.refused(errors.UNEXPECTED)
        assert refusal[2] == "the nonce of this connection is used up: connect again"
        await node.login(alice)


async def test_a_login_over_tls_is_bound_to_the_certificate_that_the_phone_saw(
    tmp_path: Path, alice: Device, tls: ServerTls
) -> None:
    async with live_node(tmp_path, devices=(alice,), tls=tls) as node:
        seen_elsewhere = hashlib.sha256(b"the certificate of somebody in the middle").digest()
        for certificate in (seen_elsewhere, b""):
            phone = await node.connect_tls(certificate)
            await phone.hello()
            await phone.send(alice.login(phone.nonce, certificate))
            await phone.refused(errors.UNAUTHORISED)
        phone = await node.connect_tls()
        await phone.hello()
        await phone.login(alice)
        plain = await node.greeted()
        await plain.send(alice.login(plain.nonce, tls.certificate_sha256))
        await plain.refused(errors.UNAUTHORISED)


async def test_a_conversation_over_tls(tmp_path: Path, alice: Device, bob: Device, tls: ServerTls) -> None:
    async with live_node(tmp_path, devices=(alice, bob), tls=tls) as node:
        phones = {}
        for device in (alice, bob):
            phone = phones[device.user] = await node.connect_tls()
            await phone.hello()
            await phone.login(device)
        body = bytes(60_000)  # several TLS records
        await phones[alice.user].send(*(alice.send(bob, n, body, base=1) for n in (1, 2, 3)))
        for n in (1, 2, 3):
            await phones[bob.user].expect(
                (verbs.DELIVER, alice.user, alice.stream, n, 0, node.mail.now, body)
            )
        await phones[bob.user].send(bob.ack(alice, 1, 3))
        await phones[alice.user].expect(alice.accepted(bob, 1, 3, verbs.DELIVERED))


# ---- who takes whose place -----------------------------------------------------------------------------


async def test_a_new_login_ends_the_former_session(node: LiveNode, alice: Device, bob: Device) -> None:
    first = await node.login(alice)
    second = await node.login(alice)
    assert await first.end() == [error(errors.SUPERSEDED)]
    assert second.welcome[1:3] > first.welcome[1:3], "the session with the higher (epoch, counter) is valid"
    await second.send(alice.send(bob, 1))
    assert await second.said() == [alice.accepted(bob, 1, 1, verbs.ONE_COPY)]
    assert len(node.mail.sessions) == 1


async def test_what_the_former_session_had_in_flight_goes_to_the_new_one(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender, first = await node.login(alice), await node.login(bob)
    await sender.send(alice.send(bob, 1), alice.send(bob, 2, base=1))
    assert [frame[3] for frame in await first.said()] == [1, 2]
    second = await node.login(bob)
    assert second.welcome[3] == 2
    assert [frame[3] for frame in await second.said()] == [1, 2]
    await second.send(bob.ack(alice, 1, 2))
    assert await sender.said() == [alice.accepted(bob, 1, 2, verbs.DELIVERED)]


async def test_nothing_of_mail_comes_before_the_welcome(node: LiveNode, alice: Device, bob: Device) -> None:
    """What is said for the former session in the same pass must not reach the one that isn't welcomed yet."""
    first, second = await node.login(alice), await node.greeted()
    session = next(one for one in node.running.hub.connections() if not one.user)

    def at_once() -> None:
        node.mail.out.append((effects.CONFIRM, alice.user, bob.user, bob.stream, verbs.KIND_DELIVERED, 1, 1))
        node.mail.out.append((effects.DELIVER, alice.user, bob.user, bob.stream, 1, 0, 0, b"x"))
        arrival.login(node.service, session, alice.login(second.nonce))

    node.running.hub.soon(at_once)
    await node.settle()
    assert (await second.next())[0] == verbs.LOGIN
    await second.quiet()
    assert await first.end() == [error(errors.SUPERSEDED)]


async def test_counters_grow_across_restarts(tmp_path: Path, alice: Device) -> None:
    seen = []
    time = FakeTime(1_000.0)
    for _ in range(3):
        async with live_node(tmp_path, devices=() if seen else (alice,), time=time) as node:
            seen += [(await node.login(alice)).welcome[1:3] for _ in range(2)]
        time.now += 1
    assert seen == sorted(set(seen))


async def test_a_new_device_ends_the_old_ones_session_mail_and_key(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    newer = Device.of(2, generation=2)
    sender, old = await node.login(alice), await node.login(bob)
    await sender.send(alice.send(bob, 1))
    await old.expect((verbs.DELIVER, alice.user, alice.stream, 1, 0, node.mail.now, b"body 1"))
    await old.send(bob.ack(alice, 1))
    await sender.expect(alice.accepted(bob, 1, 1, verbs.DELIVERED))
    await node.pass_s(2)
    await old.said()
    await sender.send(alice.send(bob, 2), alice.send(bob, 3, base=2))
    assert len(await old.said()) == 2  # handed over, not acknowledged, not written yet
    phone = await node.greeted()
    assert await phone.register(newer) == (verbs.REGISTER, bob.user, 2)
    assert (await old.end())[-1] == error(errors.SUPERSEDED)
    await node.settle()
    said = await sender.said()
    assert alice.accepted(bob, 2, 3, verbs.ONE_COPY) in said, "taken, though not delivered"
    expired = [frame for frame in said if frame[0] == verbs.RECEIPT]
    assert expired == [(verbs.RECEIPT, bob.user, alice.stream, verbs.KIND_EXPIRED, n, n) for n in (2, 3)], (
        "the sender is told"
    )
    assert (await phone.login(newer))[3] == 0
    await phone.quiet()
    stranger = await node.greeted()
    await stranger.send(bob.login(stranger.nonce))
    await stranger.refused(errors.UNAUTHORISED)
    await sender.send(alice.send(bob, 4))
    await phone.expect((verbs.DELIVER, alice.user, alice.stream, 4, 0, node.mail.now, b"body 4"))
    await phone.send(newer.send(alice, 1))  # its own numbers begin again
    assert (await sender.next())[:4] == (verbs.DELIVER, bob.user, newer.stream, 1)


async def test_mail_on_disk_for_the_old_device_is_expired_and_told_later_too(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender = await node.login(alice)
    await sender.send(*(alice.send(bob, n, base=1) for n in range(1, 101)))
    assert await sender.said() == [alice.accepted(bob, 1, 100, verbs.ONE_COPY)]
    await sender.close()
    phone = await node.greeted()
    assert await phone.register(Device.of(2, generation=2)) == (verbs.REGISTER, bob.user, 2)
    assert (await phone.login(Device.of(2, generation=2)))[3] == 0
    await node.settle()
    sender = await node.login(alice)
    expired = (verbs.RECEIPT, bob.user, alice.stream, verbs.KIND_EXPIRED, 1, 100)
    await sender.expect(expired)
    await sender.send((verbs.CONFIRM, *expired[1:]))
    await node.pass_s(2)
    assert await (await node.login(alice)).said() == []


async def test_the_new_device_waits_until_the_wipe_is_over_also_after_a_crash(
    tmp_path: Path, alice: Device, bob: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = Device.of(2, generation=2)
    async with live_node(tmp_path, devices=(alice, bob)) as node:
        sender = await node.login(alice)
        await sender.send(alice.send(bob, 1))
        await sender.expect(alice.accepted(bob, 1, 1, verbs.ONE_COPY))
        reached: list[bool] = []
        monkeypatch.setattr(expiry, "wipe", lambda *_: reached.append(True))  # it dies before it is done
        phone = await node.greeted()
        async with trio.open_nursery() as asking:
            asking.start_soon(phone.register, newer)  # isn't answered
            await node.wait(lambda: bool(reached))
            asking.cancel_scope.cancel()
        early = await node.greeted()
        await early.send(newer.login(early.nonce))
        verb, code, text, retry_ms, _ = await early.next()
        assert (verb, code) == (verbs.ERROR, errors.OVERLOADED), text
        assert retry_ms > 0
        old = await node.greeted()
        await old.send(bob.login(old.nonce))
        await old.refused(errors.UNAUTHORISED)
    monkeypatch.undo()
    async with live_node(tmp_path) as node:
        while await node.service.accounts.unfinished_wipes():
            await node.settle()
        phone = await node.login(newer)
        assert phone.welcome[3] == 0
        await phone.quiet()
        sender = await node.login(alice)
        await sender.expect((verbs.RECEIPT, bob.user, alice.stream, verbs.KIND_EXPIRED, 1, 1))


async def test_nobody_logs_in_while_mail_is_being_wiped(
    node: LiveNode, bob: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mail asks by itself too: the accounts' answer may be older than a registration."""
    phone = await node.greeted()
    node.mail.wipes[bob.user] = None  # type: ignore[assignment]
    await phone.send(bob.login(phone.nonce))
    await phone.expect(error(errors.OVERLOADED, retry_ms=node.mail.settings.busy_retry_ms))
    del node.mail.wipes[bob.user]
    assert not node.mail.sessions


# ---- unknown recipients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tell", [False, True])
async def test_whether_senders_learn_that_a_number_is_unknown_is_a_setting(
    tmp_path: Path, alice: Device, tell: bool
) -> None:
    async with live_node(tmp_path, devices=(alice,), mail=MailSettings(tell_unknown=tell)) as node:
        sender = await node.login(alice)
        await sender.send(alice.send(DAVE, 1))
        if tell:
            about = (DAVE.user, alice.stream, 1)
            assert await sender.said() == [error(errors.UNKNOWN_RECIPIENT, about)]
        else:
            assert await sender.said() == [alice.accepted(DAVE, 1, 1, verbs.ONE_COPY)]
        phone = await node.greeted()
        assert (await phone.register(DAVE))[0] == verbs.REGISTER
        assert (await phone.login(DAVE))[3] == (0 if tell else 1)
        await sender.send(alice.send(DAVE, 1))
        delivered: Any = (verbs.DELIVER, alice.user, alice.stream, 1, 0)
        if tell:
            assert (await phone.said())[0][:5] == delivered, "the number is known now"
        else:
            assert (await phone.said())[0][:5] == delivered, "it waited for whoever would register"


async def test_a_session_that_vanished_while_it_asked_gets_no_answer(node: LiveNode) -> None:
    phone = await node.greeted()
    await phone.send((verbs.PIN, DAVE.user), (verbs.BYE, 0, 0))
    assert await phone.end() == []
    await phone.close()
    await node.wait(lambda: not node.running.hub.statistics().connections)
