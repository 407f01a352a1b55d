"""What a node keeps of a phone that is logged in and says nothing."""

import tracemalloc
from pathlib import Path

from node.accounts.settings import AccountsSettings
from node.session import Session
from node.settings import SessionSettings
from tests.node.live import Device, Phone, live_node

PHONES = 150
BYTES_MAX = 1_000
"""Measured in a process of its own (`waystation bench connections`), all told: below 400."""
OURS = [tracemalloc.Filter(True, f"*/{package}/*") for package in ("node", "store", "replication")]


def crowd(count: int) -> list[Device]:
    """Devices that share a key: making keys isn't what is measured."""
    secret = Device.of(1).secret
    return [Device(15_551_000_000 + n, secret, n.to_bytes(8, "big")) for n in range(count)]


async def test_an_idle_session_costs_less_than_a_kilobyte(tmp_path: Path) -> None:
    devices = crowd(PHONES + 10)
    session = SessionSettings(logins_per_s_max=0)  # time stands still
    async with live_node(tmp_path, devices=devices, accounts=AccountsSettings(), session=session) as node:
        phones: list[Phone] = [await node.login(device) for device in devices[:10]]  # what is needed once
        tracemalloc.start()
        try:
            before = tracemalloc.take_snapshot().filter_traces(OURS)
            phones += [await node.login(device) for device in devices[10:]]
            after = tracemalloc.take_snapshot().filter_traces(OURS)
        finally:
            tracemalloc.stop()
        grown = sum(difference.size_diff for difference in after.compare_to(before, "filename"))
        assert len(node.mail.sessions) == PHONES + 10
        assert 0 < grown / PHONES < BYTES_MAX


async def test_nothing_is_kept_of_an_idle_session_but_the_session(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    async with live_node(tmp_path, devices=(alice, bob)) as node:
        await node.login(alice)
        assert (node.mail.boxes, node.mail.owed, node.mail.owed_scans, node.mail.pairs) == ({}, {}, {}, {})
        (session,) = node.mail.sessions.values()
        assert isinstance(session, Session)
        assert not hasattr(session, "__dict__")
        assert (session.inbox, session.outbox, session.nonce) == (None, None, b"")


async def test_what_a_user_who_left_was_owed_leaves_memory_too(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    async with live_node(tmp_path, devices=(alice, bob)) as node:
        sender = await node.login(alice)
        await sender.send(alice.send(bob, 1))
        await node.settle()
        recipient = await node.login(bob)
        await recipient.said()
        await recipient.send(bob.ack(alice, 1))
        assert len(await sender.said()) == 2  # accepted, and the receipt, which is never confirmed
        assert node.mail.owed
        await node.pass_s(2)
        assert node.mail.owed == {}, "it is on disk, and told at the next login"
        await sender.close()
        await recipient.close()
        assert node.mail.boxes.keys() <= {bob.user}, "held by the pair, which the cache keeps"
