"""The public API over real sockets, against the fake node, under asyncio and Trio."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from client.client import Client
from client.driver import Status
from client.errors import (
    AlreadyIterating,
    AlreadyRegistered,
    BadRecipient,
    BodyTooLarge,
    ClientClosed,
    MessageRefused,
    NoConnection,
    NotRegistered,
    OtherNumber,
    OutboxFull,
    PinNotRequested,
    PinRefused,
    StateFull,
    StateInUse,
    StreamEnded,
    Superseded,
)
from client.events import Kind, Receipt
from client.mail import How, Message
from client.records import OUTBOX, StoredMessage, Write
from client.trust import Plain
from node.wire import errors, verbs
from tests.client.fake_node import FakeNode
from tests.client.fake_server import FAST, Serving, on_both, serve

ALICE, BOB = "+15551230001", "+15551230002"


async def register(client: Client, server: Serving, number: str) -> None:
    await client.request_pin(number)
    await client.register(server.node.pins[int(number)])
    await client.wait_online()


async def take(client: Client, count: int, *, ack: bool = True) -> list[Message]:
    taken = list[Message]()
    async for message in client.messages():
        taken.append(message)
        if ack:
            await message.ack()
        if len(taken) == count:
            return taken
    raise AssertionError("unreachable")


async def receipts(client: Client, count: int) -> list[Receipt]:
    taken = list[Receipt]()
    async for receipt in client.receipts():
        taken.append(receipt)
        if sum(len(one.numbers) for one in taken) >= count:
            return taken
    raise AssertionError("unreachable")


def connect(path: Path, name: str, server: Serving, **changes: Any):  # type: ignore[no-untyped-def]
    return Client.open(path / name, server.address, tls=Plain(), settings=attrs.evolve(FAST, **changes))


@on_both
async def test_two_devices_talk(tmp_path: Path) -> None:
    async with (
        serve() as server,
        connect(tmp_path, "a", server) as alice,
        connect(tmp_path, "b", server) as bob,
    ):
        await register(alice, server, ALICE)
        await register(bob, server, BOB)
        assert (alice.number, alice.status) == (15551230001, Status.ONLINE)
        sent = [await alice.send_text(BOB, f"message {n}") for n in range(1, 101)]
        assert [one.number for one in sent] == list(range(1, 101))
        taken = await take(bob, 100)
        assert [message.text for message in taken] == [f"message {n}" for n in range(1, 101)]
        assert {await one.accepted() for one in sent} <= {How.DELIVERED, How.ONE_COPY}
        assert {n for r in await receipts(alice, 100) for n in r.numbers} == set(range(1, 101))
        await taken[-1].mark_read()
        (read,) = await receipts(alice, 100)
        assert (read.kind, read.first, read.last) == (Kind.READ, 1, 100)
        assert alice.unaccepted() == []


@on_both
async def test_a_message_waits_for_a_connection_and_for_the_recipient(tmp_path: Path) -> None:
    node = FakeNode(window=64)
    async with serve(node=node) as server:
        async with connect(tmp_path, "a", server) as alice, connect(tmp_path, "b", server) as bob:
            await register(alice, server, ALICE)
            await register(bob, server, BOB)
        port = int(server.address.partition(":")[2])
    async with connect(tmp_path, "a", server) as alice:  # nobody is listening
        sent = await alice.send_text(BOB, "later")
        while alice.status is not Status.WAITING:
            await alice.status_changed()
        assert isinstance(alice.problem, NoConnection)
        assert sent.how is None
        with pytest.raises(ClientClosed):
            await alice_ends(alice)
    async with serve(node=node, port=port) as server, connect(tmp_path, "a", server) as alice:
        (again,) = alice.unaccepted()
        assert (again.recipient, again.number) == (15551230002, 1)
        assert await again.accepted() is How.ONE_COPY
        async with connect(tmp_path, "b", server) as bob:
            (message,) = await take(bob, 1)
            assert message.text == "later"
            assert bob.backlog == 1


async def alice_ends(alice: Client) -> None:
    raise ClientClosed("as if the app gave up")


@on_both
async def test_what_is_not_acked_is_handed_over_again_to_the_next_process(tmp_path: Path) -> None:
    async with serve() as server, connect(tmp_path, "a", server) as alice:
        async with connect(tmp_path, "b", server) as bob:
            await register(alice, server, ALICE)
            await register(bob, server, BOB)
            for n in range(1, 5):
                await alice.send_text(BOB, str(n))
            held = await take(bob, 2)
            await (await take(bob, 2, ack=False))[0].ack()
            assert [message.text for message in held] == ["1", "2"]
        async with connect(tmp_path, "b", server) as bob:
            (message,) = await take(bob, 1)
            assert message.text == "4"
            await message.ack()
            await message.ack()
        async with connect(tmp_path, "b", server) as bob:
            await bob.wait_online()
            assert bob.statistics()["inbox"] == 0


@on_both
async def test_auto_ack_hands_over_once_at_most(tmp_path: Path) -> None:
    async with serve() as server, connect(tmp_path, "a", server) as alice:
        async with connect(tmp_path, "b", server) as bob:
            await register(alice, server, ALICE)
            await register(bob, server, BOB)
            await alice.send_text(BOB, "1")
            await alice.send_text(BOB, "2")
            async for message in bob.messages(auto_ack=True):
                assert message.text == "1"
                break
        async with connect(tmp_path, "b", server) as bob:
            async for message in bob.messages(auto_ack=True):
                assert message.text == "2"
                break


@on_both
async def test_everything_arrives_though_connections_break(tmp_path: Path) -> None:
    async with (
        serve() as server,
        connect(tmp_path, "a", server) as alice,
        connect(tmp_path, "b", server) as bob,
    ):
        await register(alice, server, ALICE)
        await register(bob, server, BOB)
        texts = [f"message {n}" for n in range(200)]

        async def send() -> None:
            for at, text in enumerate(texts):
                await alice.send_text(BOB, text)
                if at % 40 == 20:
                    await server.drop_all()

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            taken = await take(bob, len(texts))
        assert [message.text for message in taken] == texts
        assert {n for r in await receipts(alice, 200) for n in r.numbers} == set(range(1, 201))
        assert alice.statistics()["connections"] > 2


@on_both
async def test_a_refusal_is_raised_and_the_next_message_goes_on(tmp_path: Path) -> None:
    async with (
        serve() as server,
        connect(tmp_path, "a", server) as alice,
        connect(tmp_path, "b", server) as bob,
    ):
        await register(alice, server, ALICE)
        await register(bob, server, BOB)
        server.node.faults = ["refuse", "busy"]
        refused = await alice.send_text(BOB, "too much")
        good = await alice.send_text(BOB, "good")
        with pytest.raises(MessageRefused) as info:
            await refused.accepted()
        assert (info.value.code, info.value.retry) == (errors.MAILBOX_FULL, 5.0)
        assert "mailbox" in str(info.value)
        await good.accepted()
        (message,) = await take(bob, 1)
        assert (message.text, message.number) == ("good", 2)
        (receipt,) = await receipts(alice, 1)
        assert (receipt.kind, receipt.first) == (Kind.DELIVERED, 2)


@on_both
async def test_a_new_device_ends_the_old_one(tmp_path: Path) -> None:
    async with serve() as server:
        async with connect(tmp_path, "old", server) as old, connect(tmp_path, "new", server) as new:
            await register(old, server, ALICE)
            await register(new, server, ALICE)
            with pytest.raises(Superseded):
                async for _ in old.messages():
                    pass
            assert old.status is Status.STOPPED
            with pytest.raises(Superseded):
                await old.send_text(BOB, "hello")
        async with connect(tmp_path, "old", server) as old:
            sent = await old.send_text(BOB, "from the old device")
            while old.status is not Status.STOPPED:
                await old.status_changed()
            await old.request_pin(ALICE)
            await old.register(server.node.pins[int(ALICE)])
            with pytest.raises(StreamEnded):
                await sent.accepted()
            await old.wait_online()
            again = await old.send_text(BOB, "from the same device, new")
            assert again.number == 1
            assert again.stream != sent.stream
            await again.accepted()


@on_both
async def test_requests_fail_with_their_names(tmp_path: Path) -> None:
    async with serve() as server, connect(tmp_path, "a", server, request_timeout=25.0) as alice:
        with pytest.raises(NotRegistered):
            await alice.send_text(BOB, "hello")
        with pytest.raises(PinNotRequested):
            await alice.register("123456")
        with pytest.raises(BadRecipient):
            await alice.request_pin("5551230001")
        await alice.request_pin(ALICE)
        with pytest.raises(PinRefused):
            await alice.register("000000")
        server.node.drop_after = {verbs.REGISTER}  # the answer is lost, the registration is not
        await alice.request_pin(ALICE)
        await alice.register(server.node.pins[int(ALICE)])
        await alice.wait_online()
        with pytest.raises(AlreadyRegistered):
            await alice.request_pin(ALICE)
        with pytest.raises(OtherNumber):
            await alice.request_pin(BOB, anew=True)
        with pytest.raises(BodyTooLarge):
            await alice.send(BOB, bytes(61_441))


@on_both
async def test_a_request_without_a_server_ends(tmp_path: Path) -> None:
    settings = attrs.evolve(FAST, request_timeout=0.3, answer_timeout=0.2)
    async with Client.open(tmp_path / "a", "127.0.0.1:1", tls=Plain(), settings=settings) as alice:
        with pytest.raises(NoConnection):
            await alice.request_pin(ALICE)
        assert alice.status is not Status.ONLINE


@on_both
async def test_limits_are_named(tmp_path: Path) -> None:
    async with serve() as server:
        async with connect(tmp_path, "a", server) as alice:
            await register(alice, server, ALICE)
        server.auto_flush = False
        changes = {"outbox_max": 3, "in_flight_max": 2, "in_flight_recipient_max": 2}
        async with connect(tmp_path, "a", server, **changes) as alice:
            for n in range(3):
                await alice.send_text(BOB, str(n))
            with pytest.raises(OutboxFull):
                await alice.send_text(BOB, "3")
            assert alice.statistics()["outbox"] == 3


@on_both
async def test_an_inbox_that_nobody_empties_stops_the_node(tmp_path: Path) -> None:
    node = FakeNode(window=4)
    async with (
        serve(node=node) as server,
        connect(tmp_path, "a", server) as alice,
        connect(tmp_path, "b", server, inbox_max=3, handover_max=2) as bob,
    ):
        await register(alice, server, ALICE)
        await register(bob, server, BOB)
        for n in range(20):
            await (await alice.send_text(BOB, str(n))).accepted()
        held = await take(bob, 6, ack=False)  # two were acked to the node; then came a window
        assert bob.statistics()["inbox"] == 6
        waiting = [pair for key, pair in node.memory.pairs.items() if key[0] == int(BOB)]
        assert len(waiting[0].stored) == 18
        for message in held:
            await message.ack()
        texts = [message.text for message in held + await take(bob, 14)]
        assert texts == [str(n) for n in range(20)]


@on_both
async def test_one_loop_and_one_process(tmp_path: Path) -> None:
    async with serve() as server, connect(tmp_path, "a", server) as alice:
        await register(alice, server, ALICE)
        async with anyio.create_task_group() as group:
            group.start_soon(take, alice, 1)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(AlreadyIterating):
                await take(alice, 1)
            await alice.send_text(ALICE, "to myself")
        with pytest.raises(StateInUse):
            async with connect(tmp_path, "a", server):
                pass
    with pytest.raises(ClientClosed):
        await alice.send_text(BOB, "too late")


@on_both
async def test_an_exception_of_the_app_comes_out_as_it_is(tmp_path: Path) -> None:
    async with serve() as server:
        with pytest.raises(ZeroDivisionError):
            async with connect(tmp_path, "a", server) as alice:
                await register(alice, server, ALICE)
                raise ZeroDivisionError
        with anyio.move_on_after(0.05) as scope:
            async with connect(tmp_path, "a", server) as alice:
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        async with connect(tmp_path, "a", server) as alice:
            await alice.wait_online()


@on_both
async def test_a_full_disk_ends_the_block_with_its_name_and_loses_nothing(tmp_path: Path) -> None:
    async with serve() as server:
        with pytest.raises(StateFull):
            async with connect(tmp_path, "a", server) as alice:
                await register(alice, server, ALICE)
                first = await alice.send_text(BOB, "fits")
                connection = alice._driver.state._connection
                (pages,) = connection.execute("PRAGMA page_count").fetchone()
                connection.execute(f"PRAGMA max_page_count={pages}")
                await alice.send(BOB, bytes(60_000))
        assert (
            len([frame for frame in server.heard if frame[0] == verbs.SEND]) == 1
        )  # not sent before it is stored
        async with connect(tmp_path, "a", server) as alice:
            for sent in alice.unaccepted():
                await sent.accepted()
            again = await alice.send(BOB, bytes(60_000))
            assert again.number == first.number + 1
            await again.accepted()


@on_both
async def test_a_cancelled_auto_ack_loses_nothing_in_this_process(tmp_path: Path) -> None:
    async with serve() as server, connect(tmp_path, "a", server) as alice:
        await register(alice, server, ALICE)
        for n in range(5):
            await (await alice.send_text(ALICE, str(n))).accepted()
        texts: list[str] = []
        while len(texts) < 5:
            with anyio.CancelScope() as scope:
                if len(texts) % 2 == 0:
                    scope.cancel()
                async for message in alice.messages(auto_ack=True):
                    texts.append(message.text)
                    break
            if scope.cancelled_caught:
                async for message in alice.messages(auto_ack=True):
                    texts.append(message.text)
                    break
        assert texts == ["0", "1", "2", "3", "4"]
        assert alice.statistics()["inbox"] == 0


@on_both
async def test_waiters_are_let_go_when_the_client_closes(tmp_path: Path) -> None:
    async with serve() as server, anyio.create_task_group() as group:
        server.auto_flush = False
        seen = list[str]()

        async def expect(name: str, call: Callable[[], Awaitable[object]]) -> None:
            with pytest.raises(ClientClosed):
                await call()
            seen.append(name)

        async with connect(tmp_path, "a", server) as alice:
            await alice.request_pin(ALICE)
            await alice.register(server.node.pins[int(ALICE)])
            await alice.wait_online()
            sent = await alice.send_text(BOB, "never accepted")
            group.start_soon(expect, "accepted", sent.accepted)
            group.start_soon(expect, "messages", alice.messages().__anext__)
            group.start_soon(expect, "receipts", alice.receipts().__anext__)
            await anyio.wait_all_tasks_blocked()
        group.start_soon(expect, "send", lambda: alice.send_text(BOB, "too late"))
        group.start_soon(expect, "status", alice.status_changed)
    assert set(seen) == {"accepted", "messages", "receipts", "send", "status"}


@on_both
async def test_a_send_returns_only_when_its_own_commit_is_done(tmp_path: Path) -> None:
    async with serve() as server, connect(tmp_path, "a", server) as alice:
        await register(alice, server, ALICE)
        gate, commit = threading.Semaphore(0), alice._driver.state.commit
        committed: list[set[int]] = []

        def slow_commit(writes: list[Write]) -> None:
            assert gate.acquire(timeout=20)
            commit(writes)
            committed.append({key[1] for table, key, _ in writes if table == OUTBOX})

        alice._driver.state.commit = slow_commit
        returned = list[int]()

        async def send() -> None:
            sent = await alice.send_text(ALICE, "x")
            assert any(sent.number in numbers for numbers in committed)
            returned.append(sent.number)

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()  # the first commit has begun …
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()  # … without the second message
            for _ in range(20):
                gate.release()
        assert returned == [1, 2]
        assert committed[0] == {1}
        for _ in range(100):
            gate.release()


@on_both
async def test_a_cancelled_client_leaves_no_hole_in_its_numbers(tmp_path: Path) -> None:
    async with serve() as server:
        async with connect(tmp_path, "a", server) as alice:
            await register(alice, server, ALICE)
        server.auto_flush = False
        gate = threading.Event()
        with anyio.CancelScope() as scope:
            async with connect(tmp_path, "a", server) as alice, anyio.create_task_group() as group:
                read = alice._driver.state.inbox

                def slow_read(after: int, limit: int) -> list[StoredMessage]:
                    assert gate.wait(20)
                    found: list[StoredMessage] = read(after, limit)
                    return found

                alice._driver.state.inbox = slow_read
                group.start_soon(alice._driver.read_inbox, 0, 1)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(
                    alice.send_text, BOB, "taken by the committing task, which waits for the thread"
                )
                await anyio.wait_all_tasks_blocked()
                group.start_soon(alice.send_text, BOB, "still in the core")
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
                gate.set()
        async with connect(tmp_path, "a", server) as alice:
            assert [sent.number for sent in alice.unaccepted()] == [1, 2]
