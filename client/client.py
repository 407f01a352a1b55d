"""The public API: one device, on anyio, from asyncio or Trio.

    async with Client.open("alice.state", "chat.example:7443") as client:
        await client.request_pin("+15551230001")
        await client.register(input("PIN: "))
        sent = await client.send_text("+15551230002", "hello")
        print(await sent.accepted())
        async for message in client.messages():
            print(message.sender, message.text)
            await message.ack()

What is promised, over crashes of the app too, is in docs/client.md. This module must never know how it is kept.
"""

import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from client.driver import Driver, Status
from client.errors import ClientError, NoConnection, ServerNotTrusted, request_refused
from client.events import (
    Accepted,
    Arrived,
    Event,
    News,
    Online,
    PinSent,
    Receipt,
    Refused,
    Registered,
    RequestFailed,
    Stopped,
)
from client.identity import Identity
from client.inbox import Inbox
from client.mail import Message, Sent
from client.numbers import parse_number
from client.outbox import Outbox
from client.settings import Settings
from client.state import State
from client.trust import Authority, Server, Trust
from node.wire.limits import KEY_SIZE, STREAM_SIZE

_DEFAULT = Settings()

T = TypeVar("T")


class Client:
    """One device: its connection, its outbox and its inbox. Made by `Client.open`.

    Methods may be called from any task of the event loop that opened it, but not from other threads. All of them
    raise ClientClosed after the block has ended.
    """

    def __init__(self, state: State, server: Server, trust: Trust, settings: Settings) -> None:
        self._settings = settings
        self._driver = Driver(state, server, trust, settings, Random(), self._on_event)
        self._inbox = Inbox(self._driver, settings)
        self._outbox = Outbox(self._driver)
        self._answer: PinSent | Registered | RequestFailed | None = None
        self.backlog = 0
        """Messages that waited on the node at the last login."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        state_path: str | os.PathLike[str],
        server: str,
        *,
        tls: Trust | None = None,
        settings: Settings = _DEFAULT,
    ) -> AsyncIterator["Client"]:
        """Open the device's state, and connect and log in as long as the block runs, if it is registered.

        Leaving the block commits what waits, says goodbye, and closes; that takes `Settings.close_timeout` at most.
        Cancelling it is safe at any time: what was confirmed to the caller is on disk.

        Args:
            state_path: the device's file; made if it isn't there. One process at a time.
            server: "host:port".
            tls: how the server is known (`client.trust`); by default an authority that the system trusts.

        Raises:
            StateError: the file can't be used; also later, out of the block, when the disk fails.
            BadServer: the address isn't host:port.
        """
        address = Server.parse(server)
        state = await run_sync(State.open, state_path)
        try:
            client = cls(state, address, Authority() if tls is None else tls, settings)
            driver = client._driver
            body_failure: Exception | None = None
            failures: list[Exception] = []
            try:
                async with anyio.create_task_group() as group:
                    for task in (driver.keep_house, driver.keep_connected, driver.keep_young):
                        group.start_soon(_guard, task, failures, group.cancel_scope)
                    try:
                        yield client
                    except Exception as error:  # noqa: BLE001 - raised below, so that it isn't in a group
                        body_failure = error
                    else:
                        client._outbox.finish_told()
                    await driver.close()
                    group.cancel_scope.cancel()
            finally:
                driver.shut()
                client._outbox.close()
                client._inbox.wake()
                driver.flush()
        finally:
            state.close()
        for failure in failures:
            raise failure
        if body_failure is not None:
            raise body_failure

    # ---- registering ---------------------------------------------------------------------------------

    @property
    def number(self) -> int | None:
        """The registered number, without its plus sign; None before registration."""
        identity = self._driver.core.login.identity
        return None if identity is None else identity.user

    @property
    def pin_requested(self) -> bool:
        """Whether `register` may be called: a PIN was asked for, perhaps by an earlier process."""
        return self._driver.core.login.candidate is not None

    async def request_pin(self, number: str | int, *, anew: bool = False) -> PinSent:
        """Have a PIN sent to the number. Its device becomes this one when `register` succeeds.

        Args:
            anew: give up this device's present registration first. What is unaccepted then fails with StreamEnded.

        Returns:
            After how many seconds another may be asked for, and for how many this one is good.

        Raises:
            AlreadyRegistered, OtherNumber, RequestPending, BadRecipient: nothing was asked.
            BadNumber, PinLimit, RegistrationClosed, RequestRefused: the server said no.
            NoConnection, ServerNotTrusted: it could not be asked.
        """
        user = parse_number(number)
        candidate = Identity(user, secrets.token_bytes(KEY_SIZE), secrets.token_bytes(STREAM_SIZE))
        begin = partial(self._driver.core.request_pin, self._driver.now(), candidate, anew=anew)
        answer = await self._ask(begin)
        assert isinstance(answer, PinSent)
        return answer

    async def register(self, pin: str) -> None:
        """Register this device with the PIN. Login follows by itself; another device of the number is signed out.

        If the answer is lost, it is found out on the next connection, whether the registration had succeeded.

        Raises:
            PinNotRequested, AlreadyRegistered, RequestPending: nothing was asked.
            PinRefused, PinLimit, RegistrationClosed, RequestRefused: the server said no.
            NoConnection, ServerNotTrusted: it could not be asked.
        """
        answer = await self._ask(partial(self._driver.core.register, self._driver.now(), pin.strip()))
        assert isinstance(answer, Registered)

    # ---- sending -------------------------------------------------------------------------------------

    async def send(self, recipient: str | int, body: bytes) -> Sent:
        """Put a message in the outbox. It is on this disk, with its number, when this returns, and is sent, and sent
        again after any break, until the node accepts or refuses it.

        Cancelled while waiting for the disk, the message may be sent or not; `unaccepted()` tells.

        Raises:
            NotRegistered, LoginRefused, BadRecipient, BodyTooLarge, OutboxFull, TooManyRecipients: not taken.
        """
        return await self._outbox.send(parse_number(recipient), bytes(body))

    async def send_text(self, recipient: str | int, text: str) -> Sent:
        """`send` with the text as UTF-8."""
        return await self.send(recipient, text.encode())

    def unaccepted(self) -> list[Sent]:
        """The messages in the outbox, oldest first for each recipient; also those of an earlier process."""
        return self._outbox.unaccepted()

    # ---- receiving -----------------------------------------------------------------------------------

    def messages(self, *, auto_ack: bool = False) -> AsyncIterator[Message]:
        """What the app hasn't acked, in the order of arrival; then what arrives, for ever.

        Args:
            auto_ack: ack each message before it is handed over, so that it is handed over once at most. Otherwise
                the app calls `await message.ack()` when it is done, and what it hasn't acked when it dies is
                handed over again to the next process.

        Raises, from the iteration:
            LoginRefused, ServerNotTrusted: the stored messages are through, and no more will come by themselves.
            AlreadyIterating: another task is waiting in such a loop.
        """
        return _Loop(partial(self._inbox.next, auto_ack=auto_ack))

    async def mark_read(self, sender: str | int, stream: bytes, number: int) -> None:
        """The user has read this sender's messages of this stream up to this number. Safe when it returns."""
        await self._inbox.mark_read(parse_number(sender), stream, number)

    def receipts(self) -> AsyncIterator[Receipt]:
        """What became of messages sent: delivered, read, expired, refused. Kept until the loop comes back for more.

        Raises, from the iteration:
            LoginRefused, ServerNotTrusted: no more will come by themselves.
            AlreadyIterating: another task is waiting in such a loop.
        """
        return _Loop(self._outbox.next_receipt)

    # ---- the connection ------------------------------------------------------------------------------

    @property
    def status(self) -> Status:
        """The connection, as a user would want to see it."""
        return self._driver.status

    @property
    def problem(self) -> ClientError | None:
        """Why there is no connection, where it is known."""
        return self._driver.problem

    @property
    def fingerprint(self) -> bytes | None:
        """SHA-256 of the server's certificate, as last seen; None before that and on plain TCP."""
        return self._driver.fingerprint

    @property
    def trusted_on_first_use(self) -> bool:
        """Whether this process saw the server for the first time and took its certificate for good."""
        return self._driver.first_use

    async def status_changed(self) -> None:
        """Until status or problem change."""
        self._driver.check_open()
        await self._driver.changed.wait()

    async def wait_online(self) -> None:
        """Until logged in.

        Raises:
            LoginRefused, ServerNotTrusted: that won't be, by itself.
        """
        self._driver.check_open()
        while self._driver.status is not Status.ONLINE:
            self._driver.check_open()
            self._driver.check_refusal()
            await self._driver.changed.wait()

    def reconnect(self) -> None:
        """Try now, without waiting out the backoff, and also after a LoginRefused or ServerNotTrusted."""
        self._driver.check_open()
        self._driver.core.login.reconnect()
        self._driver.hurry()

    def statistics(self) -> dict[str, int]:
        """Counters since the client was opened, and gauges of what waits."""
        core, driver = self._driver.core, self._driver
        sending, receiving = core.sending, core.receiving
        return {
            "outbox": sending.outbox_count,
            "outbox_bytes": sending.outbox_bytes,
            "in_flight": sending.flight.count,
            "in_flight_bytes": sending.flight.size,
            "inbox": receiving.inbox_count,
            "sent": sending.sent,
            "sent_again": sending.sent_again,
            "accepted": sending.accepted,
            "refused": sending.refused,
            "gaps": sending.gaps,
            "busies": sending.busies,
            "unanswered": sending.unanswered,
            "unsure": sending.unsure,
            "received": receiving.stored,
            "duplicates": receiving.duplicates,
            "senders_forgotten": receiving.forgotten,
            "frames_ignored": core.ignored + sending.stray + receiving.ignored,
            "frames_waiting": driver.frames_waiting,
            "connections": driver.connections,
            "moves": driver.moving.moves,
            "commits": driver.commits,
            "rows": driver.rows,
        }

    # ---- inside --------------------------------------------------------------------------------------

    async def _ask(self, begin: Callable[[], None]) -> PinSent | Registered:
        """Put a request to the server and wait for its answer."""
        driver = self._driver
        driver.check_open()
        begin()
        self._answer = None
        driver.hurry()
        try:
            with anyio.fail_after(self._settings.request_timeout):
                while (answer := self._answered()) is None:
                    await driver.changed.wait()
                    driver.check_open()
                    if isinstance(driver.refusal, ServerNotTrusted):
                        raise driver.refusal
        except TimeoutError:
            raise NoConnection(
                f"{driver.server} didn't answer: {driver.problem or 'no reason is known'}"
            ) from None
        finally:
            if self._answered() is None:
                driver.core.login.cancel_request()
                driver.wake()
        if isinstance(answer, RequestFailed):
            raise request_refused(answer.code, answer.retry)
        return answer

    def _answered(self) -> PinSent | Registered | RequestFailed | None:
        return self._answer

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Arrived):
            self._inbox.arrived(event.message)
        elif isinstance(event, Accepted | Refused):
            self._outbox.settle(event)
        elif isinstance(event, News):
            self._outbox.wake()
        elif isinstance(event, PinSent | Registered | RequestFailed):
            self._answer = event
            self._driver.changed.give()
        elif isinstance(event, Online):
            self.backlog = event.backlog
        elif isinstance(event, Stopped):
            self._inbox.wake()
            self._outbox.wake()


class _Loop(AsyncIterator[T]):
    """An `async for` over a function that waits for the next."""

    def __init__(self, next_: Callable[[], Awaitable[T]]) -> None:
        self._next = next_

    def __aiter__(self) -> "_Loop[T]":
        return self

    async def __anext__(self) -> T:
        return await self._next()


async def _guard(
    task: Callable[[], Awaitable[None]], failures: list[Exception], scope: anyio.CancelScope
) -> None:
    """Run a task of ours; its failure ends the block, and is raised out of it as it is, not in a group."""
    try:
        await task()
    except Exception as error:  # noqa: BLE001 - kept, and raised by `open`
        failures.append(error)
        scope.cancel()
