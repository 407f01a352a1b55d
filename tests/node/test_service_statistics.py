"""The numbers for the operator are the truth."""

import json
from pathlib import Path
from typing import Any

from node.mail.settings import MailSettings
from node.wire import errors, verbs
from tests.node.live import Device, LiveNode, live_node


def mail_of(node: LiveNode) -> dict[str, Any]:
    found: dict[str, Any] = node.running.statistics()["mail"]
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """Without the latencies, which have a test of their own."""
    return {
        name: after[name] - before[name]
        for name in after
        if after[name] != before[name] and not name.endswith("_ms")
    }


async def test_a_node_at_rest_counts_nothing(node: LiveNode) -> None:
    statistics = node.running.statistics()
    assert set(statistics) == {
        "hub", "sessions", "logins", "logins_waiting", "logins_waiting_max", "logins_put_off",
        "frames_dropped", "rate_limited", "mail", "accounts", "store",
    }  # fmt: skip
    nothing = {"buckets": (0,) * 32, "most": 0, "total": 0}
    assert {name: value for name, value in statistics["mail"].items() if value} == {
        "accepted_ms": nothing, "delivery_ms": nothing,
    }  # fmt: skip
    assert statistics["hub"]["connections"] == statistics["sessions"] == statistics["logins"] == 0
    json.dumps(statistics)  # whoever samples them can


async def test_sessions_and_connections_are_those_there_are(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    phones = [await node.login(alice), await node.login(bob), await node.greeted(), await node.connect()]
    await node.login(alice)
    await node.settle()
    statistics = node.running.statistics()
    assert (statistics["sessions"], statistics["logins"]) == (2, 3)
    assert statistics["hub"]["accepted"] == 5
    assert statistics["hub"]["closed"] == {"superseded": 1}
    for phone in phones:
        await phone.close()
    await node.wait(lambda: node.running.statistics()["hub"]["connections"] == 1)
    assert node.running.statistics()["sessions"] == 1


async def test_a_message_is_counted_on_each_of_its_steps(node: LiveNode, alice: Device, bob: Device) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    before = mail_of(node)
    await sender.send(alice.send(bob, 1), alice.send(bob, 2, base=1))
    await node.settle()
    offered = mail_of(node)
    assert differences(before, offered) == {
        "sends": 2, "taken": 2, "loads": 2, "delivered": 2, "pairs": 1, "boxes": 1, "pending": 2, "pending_bytes": 12,
        "delayed": 2,
    }  # fmt: skip
    await recipient.send(bob.ack(alice, 1))
    await node.settle()
    acked = mail_of(node)
    assert differences(offered, acked) == {
        "acks": 1, "accepted_delivered": 1, "pending": -1, "pending_bytes": -6, "dirty": 1, "marked": 1, "delayed": -1,
    }  # fmt: skip
    await node.pass_ms(10)
    stored = mail_of(node)
    assert differences(acked, stored) == {
        "commits": 1, "written": 1, "accepted_stored": 1, "pending": -1, "pending_bytes": -6, "delayed": -1,
    }  # fmt: skip
    await recipient.send(bob.ack(alice, 2))
    await node.settle()
    receipted = mail_of(node)
    assert differences(stored, receipted) == {
        "acks": 1, "receipts": 1, "dirty_receipts": 1, "receipts_marked": 1,
    }  # fmt: skip
    await node.pass_s(1)
    await sender.send((verbs.CONFIRM, bob.user, alice.stream, verbs.KIND_DELIVERED, 2, 2))
    await node.pass_s(2)
    rest = differences(before, mail_of(node))
    assert {name: rest[name] for name in rest if name not in ("commits", "marked", "receipts_marked")} == {
        "sends": 2, "taken": 2, "loads": 2, "delivered": 2, "acks": 2, "accepted_delivered": 1,
        "accepted_stored": 1, "written": 1, "confirms": 1,
        "pairs": 1, "boxes": 1,
    }, "nothing waits any more"  # fmt: skip


async def test_refusals_are_counted_by_kind(tmp_path: Path, alice: Device, bob: Device) -> None:
    mail = MailSettings(mailbox_messages_max=2, send_burst=8, send_rate=1.0)
    async with live_node(tmp_path, devices=(alice, bob), mail=mail) as node:
        sender = await node.login(alice)
        await sender.send(alice.send(bob, 1), alice.send(bob, 2, base=1))
        await node.settle()
        before = mail_of(node)
        await sender.send(alice.send(bob, 1))  # again
        await sender.send(alice.send(bob, 4))  # base 4: taken, were there room
        await sender.send(alice.send(bob, 9, base=3), alice.send(bob, 10, base=3))  # one gap for both
        await sender.send(alice.send(bob, 2, b"not what it was"))
        await node.settle()
        assert differences(before, mail_of(node)) == {"sends": 5, "duplicates": 1, "refused": 2, "gaps": 1}
        await sender.send(*(alice.send(bob, n, base=1) for n in (1, 2, 3)))
        await node.settle()
        assert node.running.statistics()["rate_limited"] == 2
        assert mail_of(node)["busy"] == 1, "it was told once"


async def test_what_accounts_answer_is_counted(node: LiveNode, alice: Device) -> None:
    phone = await node.greeted()
    await phone.register(Device.of(4))
    await phone.login(Device.of(4))
    forger = await node.greeted()
    await forger.send(Device.of(5).login(forger.nonce))
    await forger.refused(errors.UNAUTHORISED)
    accounts = node.running.statistics()["accounts"]
    assert accounts["answers"] == {"pin_done": 1, "register_done": 1}
    assert (accounts["login"]["logins"], accounts["login"]["failed"]) == (1, 1)
    assert accounts["courier"]["delivered"] == 1


async def test_expired_mail_is_counted(node: LiveNode, alice: Device, bob: Device) -> None:
    sender = await node.login(alice)
    await sender.send(*(alice.send(bob, n, base=1) for n in (1, 2, 3)))
    await node.settle()
    phone = await node.greeted()
    await phone.register(Device.of(2, generation=2))
    await node.settle()
    assert mail_of(node)["expired"] == 3
    assert mail_of(node)["wipes"] == 0


async def test_latencies_are_those_of_the_senders_tick_and_of_the_recipients_ack(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender = await node.login(alice)
    await sender.send(alice.send(bob, 1))
    await node.settle()
    accepted = mail_of(node)["accepted_ms"]
    assert (sum(accepted["buckets"]), sum(mail_of(node)["delivery_ms"]["buckets"])) == (1, 0)
    assert accepted["total"] < 5_000
    await node.pass_s(5)
    recipient = await node.login(bob)
    await node.settle()
    await recipient.send(bob.ack(alice, 1), bob.ack(alice, 1))
    await node.settle()
    mail = mail_of(node)
    assert mail["accepted_ms"] == accepted
    assert sum(mail["delivery_ms"]["buckets"]) == 1, "an ack that is repeated is no delivery"
    assert 5_000 <= mail["delivery_ms"]["total"] < 6_000
    await sender.send(alice.send(bob, 2))
    await node.settle()
    await recipient.send(bob.ack(alice, 2))
    await node.settle()
    mail = mail_of(node)
    assert [sum(mail[name]["buckets"]) for name in ("accepted_ms", "delivery_ms")] == [2, 2]


async def test_what_is_said_besides_messages_is_counted_by_kind(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    sender, recipient = await node.login(alice), await node.login(bob)
    before = mail_of(node)
    await sender.send(alice.skip(bob, 1), (verbs.CONFIRM, bob.user, alice.stream, verbs.KIND_DELIVERED, 1, 1))
    await recipient.send((verbs.READ, alice.user, alice.stream, 1), (verbs.READ, alice.user, alice.stream, 1))
    await node.settle()
    counted = differences(before, mail_of(node))
    assert [counted[name] for name in ("skips", "confirms", "reads")] == [1, 1, 2]
