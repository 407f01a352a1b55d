"""Messages sent, and what became of them: the app's side of sending.

This module must never know of frames or connections.
"""

from time import time

from client.driver import Driver
from client.errors import AlreadyIterating, ClientClosed, ClientError, message_refused
from client.events import Accepted, Receipt, Refused
from client.mail import How, Sent
from client.signals import Notice


class Outbox:
    """A `Sent` is kept here until it is settled, so that two askers of one message get the same."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._sent: dict[tuple[int, bytes, int], Sent] = {}
        self._told: Receipt | None = None
        self._news = Notice()
        self._busy = False

    # ---- for the app ---------------------------------------------------------------------------------

    async def send(self, recipient: int, body: bytes) -> Sent:
        """Put a message in the outbox; it is on disk when this returns.

        Raises: see `Client.send`.
        """
        self._driver.check_open()
        sent = self._sent_of(recipient, self._driver.core.send(recipient, body, time()))
        self._driver.wanted()
        await self._driver.durable()
        return sent

    def unaccepted(self) -> list[Sent]:
        """What is neither accepted nor refused."""
        return [
            self._sent_of(recipient, number) for recipient, number in self._driver.core.sending.unaccepted()
        ]

    async def next_receipt(self) -> Receipt:
        """The next receipt, when there is one; asking for it says that the one before was seen.

        Raises:
            LoginRefused, ServerNotTrusted, ClientClosed: there won't be one.
            AlreadyIterating: somebody else is waiting for it.
        """
        if self._busy:
            raise AlreadyIterating("another loop over receipts() is waiting")
        self._busy = True
        try:
            self.finish_told()
            while True:
                self._driver.check_open()
                receipt = self._driver.core.sending.next_news()
                if receipt is not None:
                    self._told = receipt
                    return receipt
                self._driver.check_refusal()
                await self._news.wait()
        finally:
            self._busy = False

    def finish_told(self) -> None:
        """The receipt handed over last was seen."""
        if self._told is not None:
            told, self._told = self._told, None
            self._driver.core.take_news(told)
            self._driver.wake()

    # ---- for the client ------------------------------------------------------------------------------

    def settle(self, event: Accepted | Refused) -> None:
        """What the node said of a message."""
        if isinstance(event, Refused):
            outcome = message_refused(event.recipient, event.number, event.code, event.retry)
            self._settle(event.recipient, event.stream, event.number, outcome)
            return
        how = How(event.how)
        if event.last - event.first < len(self._sent):
            for number in range(event.first, event.last + 1):
                self._settle(event.recipient, event.stream, number, how)
        else:
            for recipient, stream, number in list(self._sent):
                if (recipient, stream) == (event.recipient, event.stream) and number in event.numbers:
                    self._settle(recipient, stream, number, how)

    def wake(self) -> None:
        """Let a waiting loop look whether the client goes on, or has news."""
        self._news.give()

    def close(self) -> None:
        """Nobody will settle these any more; they stay in the state."""
        for key in list(self._sent):
            self._settle(*key, ClientClosed("the client was closed; the message stays in the outbox"))
        self.wake()

    # ---- inside --------------------------------------------------------------------------------------

    def _sent_of(self, recipient: int, number: int) -> Sent:
        stream = self._driver.core.sending.stream
        assert stream is not None
        key = (recipient, stream, number)
        if key not in self._sent:
            self._sent[key] = Sent(*key, self._seen_refused)
        return self._sent[key]

    def _settle(self, recipient: int, stream: bytes, number: int, outcome: How | ClientError) -> None:
        sent = self._sent.pop((recipient, stream, number), None)
        if sent is not None:
            sent.settle(outcome)

    def _seen_refused(self, sent: Sent) -> None:
        self._driver.core.sending.take_refusal(sent.recipient, sent.stream, sent.number)
        self._driver.wake()
