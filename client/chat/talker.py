"""The device behind the conversation: registers, sends what is typed, shows what comes, keeps the marks.

This module must never know how anything is shown or typed.
"""

import anyio
from anyio.abc import TaskGroup

from client.chat.conversation import Conversation, Mark
from client.chat.typing import HELP, Choose, Command, Mistake, Nothing, Say, understand
from client.client import Client
from client.driver import Status
from client.errors import ClientError, LoginRefused, MessageRefused, PinLimit
from client.mail import How, Sent
from client.numbers import show_number
from client.signals import Notice
from client.trust import show_fingerprint


class Talker:
    """number: who we are. quit: set when the person wants to leave."""

    def __init__(self, client: Client, number: int, conversation: Conversation) -> None:
        self.conversation = conversation
        self.quit = anyio.Event()
        self.failed = False
        """Whether something was refused or could not be done."""
        self.shown = 0
        """Messages received and shown."""
        self.moved = Notice()
        """Given when a message is shown or one of ours is settled."""
        self._client, self._number = client, number
        self._awaits_pin = False
        self._following = 0
        """Messages of ours that are neither accepted nor refused."""
        self._told_first_use = False

    @property
    def awaits_pin(self) -> bool:
        """Whether the next line is a PIN."""
        return self._awaits_pin

    # ---- tasks ---------------------------------------------------------------------------------------

    def start(self, group: TaskGroup) -> None:
        """Start what runs beside the typing."""
        for task in (self._watch_status, self._show_messages, self._show_receipts):
            group.start_soon(task)
        self._group = group
        for sent in self._client.unaccepted():
            self._follow(sent, "(from before)")

    async def begin(self) -> None:
        """Register if need be: ask for a PIN, which the next line typed is taken for."""
        if self._client.number is None:
            await self._request_pin(anew=False)

    async def typed(self, line: str) -> None:
        """Do what the line says."""
        if self._awaits_pin and not line.strip().startswith("/"):
            if line.strip():
                await self._register(line.strip())
            return
        match understand(line):
            case Say(to, text):
                await self._say(to, text)
            case Choose(to):
                self.conversation.peer = to
                self.conversation.notice(f"to {show_number(to)} from now on")
            case Command("help"):
                for help_line in HELP:
                    self.conversation.notice(help_line)
            case Command("status"):
                self._tell_status()
            case Command("register"):
                await self._request_pin(anew=True)
            case Command("quit"):
                self.quit.set()
            case Mistake(text):
                self.conversation.notice(text)
            case Nothing() | Command():
                pass

    def fail(self, why: str) -> None:
        """Say what could not be done; it counts when the program ends."""
        self.failed = True
        self.conversation.notice(why)

    async def wait_settled(self, quiet: float) -> None:
        """Until the node has all that was typed, and what waited there is shown; `quiet` seconds without any of it
        being enough of the latter."""
        await self._client.wait_online()
        while self._following:
            await self.moved.wait()
        while self.shown < self._client.backlog:
            with anyio.move_on_after(quiet) as scope:
                await self.moved.wait()
            if scope.cancelled_caught:
                break

    # ---- inside --------------------------------------------------------------------------------------

    async def _request_pin(self, *, anew: bool) -> None:
        try:
            sent = await self._client.request_pin(self._number, anew=anew)
        except ClientError as error:
            self._fail(error)
            if isinstance(error, PinLimit) and self._client.pin_requested:
                self._awaits_pin = True
                self.conversation.notice("a PIN that came before may still be good: type it here")
            elif self._client.number is None:
                self.quit.set()
            return
        minutes = max(1, round(sent.valid / 60))
        self._awaits_pin = True
        self.conversation.notice(
            f"a PIN was sent to {show_number(self._number)} (the node's log, unless it has an SMS gateway); "
            f"type it here within {minutes} min"
        )

    async def _register(self, pin: str) -> None:
        try:
            await self._client.register(pin)
        except ClientError as error:
            self._fail(error)
            return
        self._awaits_pin = False
        self.conversation.notice(f"this is {show_number(self._number)} now")

    async def _say(self, to: int | None, text: str) -> None:
        recipient = to or self.conversation.peer
        if recipient is None:
            self.conversation.notice("to whom? /to +15551230002, or begin the line with the number")
            return
        self.conversation.peer = recipient
        try:
            self._follow(await self._client.send_text(recipient, text), text)
        except ClientError as error:
            self._fail(error)

    def _follow(self, sent: Sent, text: str) -> None:
        entry = self.conversation.sent(sent.recipient, sent.stream, sent.number, text)

        async def follow() -> None:
            try:
                how = await sent.accepted()
                mark = Mark.DELIVERED if how is How.DELIVERED else Mark.ACCEPTED
                self.conversation.raise_mark(entry, mark)
            except MessageRefused as error:
                self.conversation.raise_mark(entry, Mark.REFUSED)
                self._fail(error)
            self._following -= 1
            self.moved.give()

        self._following += 1
        self._group.start_soon(follow)

    async def _show_messages(self) -> None:
        while True:
            try:
                async for message in self._client.messages():
                    self.conversation.received(message.sender, message.text, late=message.late)
                    await message.ack()
                    await message.mark_read()
                    self.shown += 1
                    self.moved.give()
            except ClientError as error:
                self._explain(error)
            await self._client.status_changed()

    async def _show_receipts(self) -> None:
        while True:
            try:
                async for receipt in self._client.receipts():
                    self.conversation.receipt(receipt)
            except ClientError:
                pass  # the loop over messages says it
            await self._client.status_changed()

    async def _watch_status(self) -> None:
        while True:
            self._set_status()
            await self._client.status_changed()

    def _set_status(self) -> None:
        client = self._client
        text = f"{show_number(self._number)}  {client.status.value}"
        if client.problem is not None and client.status is not Status.ONLINE:
            text += f": {client.problem.args[0] if client.problem.args else client.problem}"
        if client.trusted_on_first_use and not self._told_first_use and client.fingerprint is not None:
            self._told_first_use = True
            self.conversation.notice(
                "the server was seen for the first time and is trusted from now on; its certificate's SHA-256 is "
                f"{show_fingerprint(client.fingerprint)}"
            )
        if text != self.conversation.status:
            self.conversation.set_status(text)

    def _tell_status(self) -> None:
        counts = self._client.statistics()
        self.conversation.notice(
            f"{self._client.status.value}; {counts['outbox']} not accepted yet; {counts['received']} received, "
            f"{counts['connections']} connections"
        )

    def _explain(self, error: ClientError) -> None:
        self._fail(error)
        if isinstance(error, LoginRefused):
            self.conversation.notice("/register registers this device again; /quit leaves")

    def _fail(self, error: ClientError) -> None:
        self.fail(str(error))
