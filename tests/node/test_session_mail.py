"""Messages from phone to phone through a node: numbers, answers, receipts, and who is told what when."""

from pathlib import Path

import attrs
import pytest

from node.mail.settings import MailSettings
from node.wire import errors, verbs
from tests.node.live import Device, Frame, LiveNode, error, live_node, name_of


def deliver(node: LiveNode, sender: Device, n: int, flags: int = 0, body: bytes = b"") -> Frame:
    """The frame for a message that arrived just now."""
    return (verbs.DELIVER, sender.user, sender.stream, n, flags, node.mail.now, body or b"body %d" % n)


def receipt(kind: int, recipient: Device, sender: Device, first: int, last: int) -> Frame:
    return (verbs.RECEIPT, recipient.user, sender.stream, kind, first, last)


def confirm(kind: int, peer: Device, stream_of: Device, first: int, last: int) -> Frame:
    return (verbs.CONFIRM, peer.user, stream_of.stream, kind, first, last)


# ---- the way of a message ---------------------------------------------------------------------------------


async def test_an_acknowledged_message_is_accepted_as_delivered_and_never_written(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    await sender.send(alice.send(bob, 1))
    await recipient.expect(deliver(node, alice, 1))
    assert await sender.said() == [], "it is neither acknowledged nor on disk"
    await recipient.send(bob.ack(alice, 1))
    await sender.expect(alice.accepted(bob, 1, 1, verbs.DELIVERED))
    await recipient.quiet()  # the ack isn't on disk yet
    await node.pass_s(1)
    await recipient.expect(confirm(verbs.KIND_DELIVERED, alice, alice, 1, 1))
    await sender.quiet()  # no receipt: it knows
    assert node.mail.counts.written == 0


async def test_an_unacknowledged_message_is_written_after_the_sync_delay(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    await sender.send(alice.send(bob, 1))
    await recipient.expect(deliver(node, alice, 1))
    await node.pass_ms(node.mail.settings.sync_delay_ms)
    await sender.expect(alice.accepted(bob, 1, 1, verbs.ONE_COPY))
    await recipient.send(bob.ack(alice, 1))
    await sender.expect(receipt(verbs.KIND_DELIVERED, bob, alice, 1, 1))


async def test_a_message_waits_on_disk_until_its_recipient_has_said_that_it_has_it(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender = await node.login(alice)
    await sender.send(alice.send(bob, 1), alice.send(bob, 2, base=1))
    assert await sender.said() == [alice.accepted(bob, 1, 2, verbs.ONE_COPY)]
    arrived = node.mail.now
    await node.pass_s(100)
    for _ in range(2):  # handed over is not delivered: it comes again
        recipient = await node.login(bob)
        assert recipient.welcome[3] == 2
        for n in (1, 2):
            await recipient.expect((verbs.DELIVER, alice.user, alice.stream, n, 0, arrived, b"body %d" % n))
        await recipient.close()
    recipient = await node.login(bob)
    assert len(await recipient.said()) == 2
    await recipient.send(bob.ack(alice, 1, 2))
    assert await sender.said() == [receipt(verbs.KIND_DELIVERED, bob, alice, n, n) for n in (1, 2)]
    await node.pass_s(1)
    assert await recipient.said() == [confirm(verbs.KIND_DELIVERED, alice, alice, 1, 2)]
    again = await node.login(bob)
    assert again.welcome[3] == 0
    await again.quiet()


async def test_receipts_are_repeated_at_each_login_until_they_are_confirmed(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender = await node.login(alice)
    await sender.send(alice.send(bob, 1), alice.send(bob, 2, base=1))
    await sender.expect(alice.accepted(bob, 1, 2, verbs.ONE_COPY))
    await sender.close()
    recipient = await node.login(bob)
    await recipient.said()
    await recipient.send(bob.ack(alice, 1, 2), (verbs.READ, alice.user, alice.stream, 2))
    await recipient.quiet()
    delivered = receipt(verbs.KIND_DELIVERED, bob, alice, 1, 2)
    read = receipt(verbs.KIND_READ, bob, alice, 1, 2)
    for _ in range(3):
        sender = await node.login(alice)
        assert await sender.said() == [delivered, read]
        await node.pass_s(2)
    await sender.send((verbs.CONFIRM, *delivered[1:]))
    await node.pass_s(2)
    sender = await node.login(alice)
    assert await sender.said() == [read]
    await sender.send((verbs.CONFIRM, *read[1:]))
    await node.pass_s(2)
    assert await (await node.login(alice)).said() == []


async def test_reads_are_told_to_the_sender_and_confirmed_to_the_reader(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    await sender.send(*(alice.send(bob, n, base=1) for n in (1, 2, 3)))
    assert len(await recipient.said()) == 3
    await recipient.send(bob.ack(alice, 1, 3), (verbs.READ, alice.user, alice.stream, 2))
    assert await sender.said() == [
        alice.accepted(bob, 1, 3, verbs.DELIVERED),
        receipt(verbs.KIND_READ, bob, alice, 1, 2),
    ]
    await node.pass_s(1)
    assert await recipient.said() == [
        confirm(verbs.KIND_DELIVERED, alice, alice, 1, 3),
        confirm(verbs.KIND_READ, alice, alice, 1, 2),
    ]
    await recipient.send((verbs.READ, alice.user, alice.stream, 1))  # it has read further before
    assert await recipient.said() == [confirm(verbs.KIND_READ, alice, alice, 1, 1)]
    await sender.quiet()


async def test_acks_and_confirms_of_nothing_are_confirmed_or_ignored(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    """Whatever a phone repeats after a node forgot what it handed over."""
    phone = await node.login(alice)
    await phone.send(
        alice.ack(bob, 7, 9),
        (verbs.READ, bob.user, bob.stream, 9),
        confirm(verbs.KIND_DELIVERED, bob, alice, 1, 2**53 - 1),
        confirm(verbs.KIND_EXPIRED, bob, alice, 5, 5),
        confirm(verbs.KIND_READ, alice, alice, 1, 5),
    )
    await node.pass_s(1)
    assert await phone.said() == [
        confirm(verbs.KIND_READ, bob, bob, 1, 9),
        confirm(verbs.KIND_DELIVERED, bob, bob, 7, 9),
    ]


# ---- numbers --------------------------------------------------------------------------------------------


async def test_a_missing_number_is_asked_for_once(node: LiveNode, alice: Device, bob: Device) -> None:
    sender = await node.login(alice)
    await sender.send(*(alice.send(bob, n, base=1) for n in (1, 3, 4, 5)))
    assert await sender.said() == [
        (verbs.GAP, bob.user, alice.stream, 1),
        alice.accepted(bob, 1, 1, verbs.ONE_COPY),
    ]
    await sender.send(*(alice.send(bob, n, base=2) for n in (2, 3, 4, 5)))
    assert await sender.said() == [alice.accepted(bob, 2, 5, verbs.ONE_COPY)]


async def test_base_says_where_a_forgotten_stream_goes_on(node: LiveNode, alice: Device, bob: Device) -> None:
    sender = await node.login(alice)
    await sender.send(alice.send(bob, 41), alice.send(bob, 42, base=41))
    assert await sender.said() == [alice.accepted(bob, 41, 42, verbs.ONE_COPY)]


async def test_the_same_message_again_is_answered_again_and_delivered_once(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    await sender.send(alice.send(bob, 1), alice.send(bob, 1))
    await recipient.expect(deliver(node, alice, 1))
    await recipient.send(bob.ack(alice, 1))
    assert await sender.said() == [alice.accepted(bob, 1, 1, verbs.DELIVERED)]
    await sender.send(alice.send(bob, 1))
    assert await sender.said() == [alice.accepted(bob, 1, 1, verbs.DELIVERED)]
    await recipient.quiet()


async def test_the_same_number_with_another_body_is_refused(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender = await node.login(alice)
    await sender.send(alice.send(bob, 1, b"one"))
    assert await sender.said() == [alice.accepted(bob, 1, 1, verbs.ONE_COPY)]
    await sender.send(alice.send(bob, 1, b"another"))
    assert await sender.said() == [error(errors.STREAM_REUSED, (bob.user, alice.stream, 1))]


async def test_a_skipped_number_lets_the_later_ones_pass(node: LiveNode, alice: Device, bob: Device) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    await sender.send(alice.send(bob, 1), alice.skip(bob, 2, base=1), alice.send(bob, 3, base=1))
    await recipient.expect(deliver(node, alice, 1), deliver(node, alice, 3))
    await recipient.send(bob.ack(alice, 1), bob.ack(alice, 3))
    assert await sender.said() == [
        alice.accepted(bob, 1, 1, verbs.DELIVERED),
        alice.accepted(bob, 3, 3, verbs.DELIVERED),
    ]
    await node.pass_s(1)  # the pair is written: the skip is safe
    assert await sender.said() == [alice.accepted(bob, 2, 2, verbs.ONE_COPY)]
    await sender.send(alice.skip(bob, 2, base=2))
    assert await sender.said() == [alice.accepted(bob, 2, 2, verbs.ONE_COPY)]


async def test_a_hole_that_is_filled_later_is_delivered_late(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    await sender.send(alice.send(bob, 5))
    await recipient.expect(deliver(node, alice, 5))
    await recipient.send(bob.ack(alice, 5))
    await recipient.quiet()
    await sender.send(alice.send(bob, 4))
    await recipient.expect(deliver(node, alice, 4, flags=1))


async def test_a_stream_that_is_not_the_devices_is_refused_and_the_session_lives(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    phone = await node.login(alice)
    foreign = (verbs.SEND, bob.user, bob.stream, 1, 1, b"x")
    await phone.send(foreign, (verbs.SKIP, bob.user, bob.stream, 2, 1), alice.send(bob, 1))
    assert await phone.said() == [
        error(errors.STREAM_WRONG, (bob.user, bob.stream, 1)),
        error(errors.STREAM_WRONG, (bob.user, bob.stream, 2)),
        alice.accepted(bob, 1, 1, verbs.ONE_COPY),
    ]


async def test_a_recipient_that_cannot_be_a_phone_is_refused_kept_nowhere_and_can_be_given_up(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    nobody = attrs.evolve(bob, user=1)
    phone = await node.login(alice)
    await phone.send(alice.send(nobody, 1), alice.send(nobody, 2), alice.skip(nobody, 1), alice.send(bob, 1))
    assert await phone.said() == [
        error(errors.BAD_NUMBER, (1, alice.stream, 1)),
        error(errors.BAD_NUMBER, (1, alice.stream, 2)),
        alice.accepted(nobody, 1, 1, verbs.ONE_COPY),
        alice.accepted(bob, 1, 1, verbs.ONE_COPY),
    ]
    assert [key[0] for key in node.mail.pairs] == [bob.user]


@pytest.mark.parametrize("verb", ["send", "skip", "ack", "long ack", "confirm"])
async def test_numbers_that_contradict_each_other_are_malformed(
    node: LiveNode, alice: Device, bob: Device, verb: str
) -> None:
    frames = {
        "send": alice.send(bob, 1, base=2),
        "skip": alice.skip(bob, 1, base=2),
        "ack": alice.ack(bob, 2, 1),
        "long ack": alice.ack(bob, 1, 1025),
        "confirm": confirm(verbs.KIND_DELIVERED, bob, alice, 2, 1),
    }
    phone = await node.login(alice)
    await phone.send(alice.ack(bob, 1, 1024), alice.send(bob, 1), frames[verb], (verbs.PING, False, 1))
    frames_of_the_end = await phone.end()
    assert [name_of(frame) for frame in frames_of_the_end] == ["malformed"], "what came before is taken"
    again = await node.login(alice)
    await again.send(alice.send(bob, 1))
    assert await again.said() == [alice.accepted(bob, 1, 1, verbs.ONE_COPY)]
    assert node.mail.counts.duplicates == 1


# ---- windows --------------------------------------------------------------------------------------------


async def test_no_more_than_a_window_is_unacknowledged(tmp_path: Path, alice: Device, bob: Device) -> None:
    mail = MailSettings(window=8, pair_share=8)
    async with live_node(tmp_path, devices=(alice, bob), mail=mail) as node:
        sender = await node.login(alice)
        await sender.send(*(alice.send(bob, n, base=1) for n in range(1, 31)))
        await sender.expect(alice.accepted(bob, 1, 30, verbs.ONE_COPY))
        recipient = await node.login(bob)
        assert recipient.welcome[3] == 30
        got: list[int] = []
        while len(got) < 30:
            numbers = [frame[3] for frame in await recipient.said() if frame[0] == verbs.DELIVER]
            assert len(numbers) <= 8
            assert numbers, "acknowledged, and nothing more comes"
            got += numbers
            await recipient.send(bob.ack(alice, numbers[0], numbers[-1]))
        assert got == list(range(1, 31))


async def test_order_holds_between_what_is_on_disk_and_what_comes_now(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    mail = MailSettings(window=4, pair_share=4)
    async with live_node(tmp_path, devices=(alice, bob), mail=mail) as node:
        sender = await node.login(alice)
        await sender.send(*(alice.send(bob, n, base=1) for n in range(1, 11)))
        await sender.expect(alice.accepted(bob, 1, 10, verbs.ONE_COPY))
        recipient = await node.login(bob)
        await sender.send(*(alice.send(bob, n, base=11) for n in range(11, 15)))
        got: list[int] = []
        while len(got) < 14:
            numbers = [frame[3] for frame in await recipient.said() if frame[0] == verbs.DELIVER]
            assert numbers
            got += numbers
            await recipient.send(bob.ack(alice, numbers[0], numbers[-1]))
        assert got == list(range(1, 15))


# ---- overload, said aloud -------------------------------------------------------------------------------


async def test_who_sends_too_fast_is_told_when_to_go_on_and_can(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    mail = MailSettings(send_rate=10.0, send_burst=16)
    async with live_node(tmp_path, devices=(alice, bob), mail=mail) as node:
        sender = await node.login(alice)
        await sender.send(*(alice.send(bob, n, base=1) for n in range(1, 31)))
        said = await sender.said()
        assert alice.accepted(bob, 1, 16, verbs.ONE_COPY) in said
        (busy,) = [frame for frame in said if frame[0] == verbs.BUSY]
        assert busy[:4] == (verbs.BUSY, bob.user, alice.stream, 17), "once for all that follow it"
        assert busy[4] == 200, "two messages' worth: an eighth of the burst"
        await node.pass_ms(busy[4])
        await sender.send(*(alice.send(bob, n, base=17) for n in (17, 18, 19)))
        said = await sender.said()
        assert alice.accepted(bob, 17, 18, verbs.ONE_COPY) in said
        assert [frame[3] for frame in said if frame[0] == verbs.BUSY] == [19]
        await node.pass_s(10)
        await sender.send(*(alice.send(bob, n, base=19) for n in range(19, 35)))
        assert await sender.said() == [alice.accepted(bob, 19, 34, verbs.ONE_COPY)], (
            "the burst is whole again"
        )
        assert node.running.statistics()["rate_limited"] == 15


async def test_the_pause_of_a_very_slow_rate_fits_the_frame(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    mail = MailSettings(send_rate=0.001, send_burst=800)
    async with live_node(tmp_path, devices=(alice, bob), mail=mail) as node:
        sender = await node.login(alice)
        await sender.send(*(alice.skip(bob, n, base=1) for n in range(1, 802)))
        assert (verbs.BUSY, bob.user, alice.stream, 801, 86_400_000) in await sender.said()


async def test_a_full_mailbox_refuses_one_message_and_the_sender_may_skip_it(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    async with live_node(tmp_path, devices=(alice, bob), mail=MailSettings(mailbox_messages_max=2)) as node:
        sender = await node.login(alice)
        await sender.send(*(alice.send(bob, n, base=1) for n in (1, 2, 3)))
        said = await sender.said()
        assert alice.accepted(bob, 1, 2, verbs.ONE_COPY) in said
        assert error(errors.MAILBOX_FULL, (bob.user, alice.stream, 3), retry_ms=60_000) in said
        await sender.send(alice.skip(bob, 3))
        await node.pass_s(1)
        await sender.expect(alice.accepted(bob, 3, 3, verbs.ONE_COPY))
        recipient = await node.login(bob)
        assert len(await recipient.said()) == 2
        await recipient.send(bob.ack(alice, 1, 2))
        await node.pass_s(2)
        await sender.said()
        await sender.send(alice.send(bob, 4))
        await recipient.said()
        await recipient.send(bob.ack(alice, 4))
        assert alice.accepted(bob, 4, 4, verbs.DELIVERED) in await sender.said()


async def test_a_full_memory_is_said_as_busy_and_passes(tmp_path: Path, alice: Device, bob: Device) -> None:
    mail = MailSettings(pending_bytes_max=65_536, window_bytes=65_536)
    async with live_node(tmp_path, devices=(alice, bob), mail=mail) as node:
        sender = await node.login(alice)
        await node.login(bob)
        big = bytes(40_000)
        await sender.send(*(alice.send(bob, n, big, base=1) for n in (1, 2, 3)))
        assert await sender.said() == [(verbs.BUSY, bob.user, alice.stream, 3, 1_000)]
        await node.pass_ms(10)
        await sender.expect(alice.accepted(bob, 1, 2, verbs.ONE_COPY))
        await sender.send(alice.send(bob, 3, big))
        await node.pass_ms(10)
        await sender.expect(alice.accepted(bob, 3, 3, verbs.ONE_COPY))


async def test_a_commit_that_fails_is_said_as_busy_and_the_message_comes_again(
    node: LiveNode, alice: Device, bob: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.errors import DiskFull

    sender = await node.login(alice)
    group = node.service._tables.group

    class Full:
        """The group, without room."""

        def __getattr__(self, name: str) -> object:
            return getattr(group, name)

        def submit(self, *_: object) -> None:
            raise DiskFull("no room")

    monkeypatch.setattr(node.service._driver._committing, "_group", Full())
    await sender.send(alice.send(bob, 1))
    assert await sender.said() == [(verbs.BUSY, bob.user, alice.stream, 1, 1_000)]
    await sender.send(alice.send(bob, 1))
    assert await sender.said() == [(verbs.BUSY, bob.user, alice.stream, 1, 1_000)]
    monkeypatch.undo()
    await node.pass_s(1)
    await sender.send(alice.send(bob, 1))
    assert await sender.said() == [alice.accepted(bob, 1, 1, verbs.ONE_COPY)]
    assert node.running.statistics()["mail"]["commits_failed"] == 1


async def test_what_was_accepted_is_said_before_what_follows_it(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    """`accepted` waits for more of its kind until the end of a pass; a receipt must not overtake it."""
    sender, recipient = await node.login(alice), await node.login(bob)
    for n in range(1, 4):
        await sender.send(alice.send(bob, n))
        await recipient.said()
        await recipient.send(bob.ack(alice, n), (verbs.READ, alice.user, alice.stream, n))
        await sender.expect(
            alice.accepted(bob, n, n, verbs.DELIVERED), receipt(verbs.KIND_READ, bob, alice, 1, n)
        )
