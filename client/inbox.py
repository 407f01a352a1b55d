"""Received messages handed to the app, acked and marked read: the app's side of receiving.

This module must never know of frames or connections.
"""

from client.driver import Driver
from client.errors import AlreadyIterating
from client.handover import Handover
from client.mail import Message
from client.records import StoredMessage
from client.settings import Settings
from client.signals import Notice


class Inbox:
    """Each stored message is handed over once in the life of this object, unless `auto_ack` lost the hand."""

    def __init__(self, driver: Driver, settings: Settings) -> None:
        self._driver = driver
        behind = driver.core.receiving.inbox_count > 0
        self._handover = Handover(driver.read_inbox, settings.handover_max, behind=behind)
        self._acked_already: set[int] = set()
        """Taken from the state for an auto_ack loop that was cancelled before it got them."""
        self._arrived = Notice()
        self._busy = False

    def arrived(self, message: StoredMessage) -> None:
        """A message was committed."""
        self._handover.arrived(message)
        self._arrived.give()

    def wake(self) -> None:
        """Let a waiting loop look whether the client goes on."""
        self._arrived.give()

    async def next(self, *, auto_ack: bool) -> Message:
        """The next message, when there is one.

        Raises:
            LoginRefused, ServerNotTrusted, ClientClosed: there won't be one.
            AlreadyIterating: somebody else is waiting for it.
        """
        if self._busy:
            raise AlreadyIterating("another loop over messages() is waiting")
        self._busy = True
        try:
            while True:
                self._driver.check_open()
                stored = await self._handover.next()
                if stored is not None:
                    return await self._hand(stored, auto_ack=auto_ack)
                self._driver.check_refusal()
                if self._handover.is_empty:
                    await self._arrived.wait()
        finally:
            self._busy = False

    async def mark_read(self, sender: int, stream: bytes, number: int) -> None:
        """Read up to this number."""
        self._driver.check_open()
        self._driver.core.mark_read(sender, stream, number)
        await self._driver.durable()

    async def _hand(self, stored: StoredMessage, *, auto_ack: bool) -> Message:
        acked = stored.id in self._acked_already
        if auto_ack and not acked:
            try:
                await self._ack(stored)
            except BaseException:
                self._acked_already.add(stored.id)
                self._handover.put_back(stored)
                raise
        self._acked_already.discard(stored.id)
        return Message(stored, self._ack, self._mark_read, acked=acked or auto_ack)

    async def _ack(self, stored: StoredMessage) -> None:
        self._driver.check_open()
        self._driver.core.take(stored.id)
        await self._driver.durable()

    async def _mark_read(self, stored: StoredMessage) -> None:
        await self.mark_read(stored.sender, stored.stream, stored.number)
