"""A node from its start to its end: what survives, what is said at a stop, what can't be started."""

import os
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from node.hub.settings import HubSettings, ListenerSettings
from node.mail.settings import MailSettings
from node.running import NodeSettings, run_node
from node.wire import errors, verbs
from node.wire.codec import decode_server
from node.wire.errors import REGISTRY
from store.errors import DirectoryInUse, DiskFull
from store.limits import StoreSettings
from store.writes import Write
from tests.node.live import ADDRESS, Device, FakeTime, live_node


async def test_a_graceful_stop_says_bye_to_everybody_and_when_to_come_again(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    async with live_node(tmp_path, devices=(alice, bob), hub=HubSettings(bye_retry_ms_max=5_000)) as node:
        phones = [await node.login(alice), await node.login(bob), await node.greeted(), await node.connect()]
        await node.turn()
        node.stop.set()
        retries = set()
        for phone in phones:
            (bye,) = await phone.end()
            assert bye[:2] == (verbs.BYE, errors.SHUTTING_DOWN)
            assert 0 <= bye[2] <= 5_000
            retries.add(bye[2])
        assert len(retries) > 1, "they are not to come back all at once"
        await node.finish()
        with pytest.raises(OSError, match=r"failed$"):
            await trio.open_tcp_stream(ADDRESS, node.ports["plain"])


async def test_who_waits_to_be_accepted_at_a_stop_is_told_why(tmp_path: Path) -> None:
    async with live_node(tmp_path) as node:
        for reason, code in (
            ("stopping", errors.SHUTTING_DOWN),
            ("too_many", errors.TOO_MANY_CONNECTIONS),
            ("address_full", errors.TOO_MANY_CONNECTIONS),
        ):
            frames: list[tuple[object, ...]] = []
            decode_server(node.service.refusal(reason), 4096, frames)
            (frame,) = frames
            assert frame[:2] == (verbs.ERROR, code)
            assert REGISTRY[code].retry
            assert frame[3] > 0


@pytest.mark.parametrize("committer", ["inline", "thread"])
async def test_a_stop_writes_what_was_taken_and_what_was_acknowledged(
    tmp_path: Path, alice: Device, bob: Device, committer: str
) -> None:
    time = FakeTime(1_000.0)
    mail = MailSettings(sync_delay_ms=10_000, flush_delay_ms=60_000)
    with capture_logs() as logs:
        async with live_node(
            tmp_path, devices=(alice, bob), mail=mail, time=time, committer=committer
        ) as node:
            sender, recipient = await node.login(alice), await node.login(bob)
            await sender.send(*(alice.send(bob, n, base=1) for n in (1, 2, 3)))
            assert len(await recipient.said()) == 3
            await recipient.send(bob.ack(alice, 1, 2), (verbs.READ, alice.user, alice.stream, 1))
            await sender.expect(alice.accepted(bob, 1, 2, verbs.DELIVERED))
            assert node.mail.counts.commits == 0, "nothing is on disk"
            await node.finish()
    assert [entry for entry in logs if entry["log_level"] not in ("info", "debug")] == []
    async with live_node(tmp_path, time=time) as node:
        recipient = await node.login(bob)
        assert recipient.welcome[3] == 1
        assert [frame[3] for frame in await recipient.said()] == [3]
        sender = await node.login(alice)
        assert await sender.said() == [(verbs.RECEIPT, bob.user, alice.stream, verbs.KIND_READ, 1, 1)], (
            "the sender of 1 and 2 knows that they were delivered"
        )
        await sender.send(*(alice.send(bob, n, base=1) for n in (1, 2, 3)))  # as after a lost answer
        assert await sender.said() == [
            alice.accepted(bob, 1, 2, verbs.DELIVERED),
            alice.accepted(bob, 3, 3, verbs.ONE_COPY),
        ]
        await recipient.quiet()


async def test_a_stop_that_cannot_write_ends_all_the_same_and_says_so(
    tmp_path: Path, alice: Device, bob: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = FakeTime(1_000.0)
    monkeypatch.setattr("node.alone.FINISH_S", 0.1)
    with capture_logs() as logs:
        async with live_node(tmp_path, devices=(alice, bob), time=time) as node:
            sender, recipient = await node.login(alice), await node.login(bob)
            await sender.send(alice.send(bob, 1))
            assert len(await recipient.said()) == 1
            await recipient.send(bob.ack(alice, 1))
            await sender.expect(alice.accepted(bob, 1, 1, verbs.DELIVERED))
            monkeypatch.setattr("node.mail.rows.MailTables.writes", refuse_to_write)
            await node.finish()
    monkeypatch.undo()
    assert logs[-1]["event"].startswith("not everything could be written at the end")
    assert logs[-1]["log_level"] == "error"
    async with live_node(tmp_path, time=time) as node:
        sender, recipient = await node.login(alice), await node.login(bob)
        await recipient.send(bob.ack(alice, 1))  # not confirmed, so it comes again; nothing is known of it
        await node.settle()
        await recipient.said()
        await sender.send(alice.send(bob, 1))
        assert len(await recipient.said()) == 1  # once more, which the client recognises
        await recipient.send(bob.ack(alice, 1))
        await sender.expect(alice.accepted(bob, 1, 1, verbs.DELIVERED))


def refuse_to_write(*_: object) -> list[Write]:
    raise DiskFull("no room")


async def test_what_was_accepted_survives_an_end_without_a_word(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    async with live_node(tmp_path, devices=(alice, bob)) as node:
        sender = await node.login(alice)
        await sender.send(alice.send(bob, 1))
        await sender.expect(alice.accepted(bob, 1, 1, verbs.ONE_COPY))
    async with live_node(tmp_path) as node:
        recipient = await node.login(bob)
        assert [frame[3] for frame in await recipient.said()] == [1]


async def test_a_second_node_on_the_directory_is_refused_and_the_first_goes_on(
    tmp_path: Path, alice: Device
) -> None:
    async with live_node(tmp_path, devices=(alice,)) as node:
        settings = NodeSettings(data=tmp_path, listeners=(ListenerSettings(ADDRESS, 0),))
        with pytest.raises(DirectoryInUse):
            await run_node(settings, lambda _: None, trio.Event())
        await (await node.login(alice)).quiet()


async def test_an_address_that_is_taken_is_named_and_nothing_is_left_open(
    tmp_path: Path, alice: Device
) -> None:
    async with live_node(tmp_path / "one", devices=(alice,)) as node:
        before = len(os.listdir("/proc/self/fd"))
        taken = ListenerSettings(ADDRESS, node.ports["plain"])
        settings = NodeSettings(
            data=tmp_path / "two", listeners=(taken,), store=StoreSettings(map_bytes=1024**2)
        )
        with pytest.raises(OSError, match=f"can't listen on {ADDRESS}:{node.ports['plain']}"):
            await run_node(settings, lambda _: None, trio.Event())
        assert len(os.listdir("/proc/self/fd")) == before
        await (await node.login(alice)).quiet()


async def test_a_store_that_fails_for_good_ends_the_node(tmp_path: Path, alice: Device, bob: Device) -> None:
    """It must not go on promising what it can't keep."""
    from store.errors import StoreFatal

    class Failed(StoreFatal):
        remedy = "none"

    with pytest.RaisesGroup(Failed, flatten_subgroups=True):
        async with live_node(tmp_path, devices=(alice, bob)) as node:

            def fail() -> None:
                raise Failed("the disk is gone")

            node.running.hub.soon(fail)
            await trio.sleep_forever()
