"""A message on its way out, and one that came in, as the app sees them.

This module must never know of connections or files.
"""

import enum
from collections.abc import Awaitable, Callable

import anyio

from client.errors import ClientError, MessageRefused
from client.numbers import show_number
from client.records import StoredMessage
from node.wire import verbs


class How(enum.IntEnum):
    """What the node's check mark stands for."""

    DELIVERED = verbs.DELIVERED
    """The recipient has it."""
    ONE_COPY = verbs.ONE_COPY
    """On the disk of the one node that could be reached."""
    TWO_COPIES = verbs.TWO_COPIES
    """On the disks of two servers."""


class Sent:
    """A message in the outbox. (recipient, stream, number) is its name for ever, also in receipts."""

    __slots__ = ("_done", "_error", "_how", "_seen", "number", "recipient", "stream")

    def __init__(self, recipient: int, stream: bytes, number: int, seen: Callable[["Sent"], None]) -> None:
        self.recipient, self.stream, self.number = recipient, stream, number
        self._seen = seen
        self._done = anyio.Event()
        self._how: How | None = None
        self._error: ClientError | None = None

    def __repr__(self) -> str:
        return f"<Sent {self.number} to {show_number(self.recipient)}>"

    @property
    def how(self) -> How | None:
        """What `accepted` returned or will return; None while it isn't known."""
        return self._how

    async def accepted(self) -> How:
        """Wait until the node has it. The message goes its way whether or not anybody waits.

        Raises:
            MessageRefused: the node won't have it. It is then no longer told by receipts().
            StreamEnded: the device was registered anew meanwhile.
            ClientClosed: the client was closed first; the next one has it in unaccepted().
        """
        await self._done.wait()
        if self._error is not None:
            if isinstance(self._error, MessageRefused):
                self._seen(self)
            raise self._error
        assert self._how is not None
        return self._how

    def settle(self, outcome: How | ClientError) -> None:
        """For the client: what the node said."""
        if isinstance(outcome, ClientError):
            self._error = outcome
        else:
            self._how = outcome
        self._done.set()


class Message:
    """A message received. (sender, stream, number) is its name for ever: an app that stores it under that name
    stores it once, however often it is handed over."""

    __slots__ = ("_ack", "_acked", "_mark_read", "_stored")

    def __init__(
        self,
        stored: StoredMessage,
        ack: Callable[[StoredMessage], Awaitable[None]],
        mark_read: Callable[[StoredMessage], Awaitable[None]],
        *,
        acked: bool,
    ) -> None:
        self._stored, self._ack, self._mark_read, self._acked = stored, ack, mark_read, acked

    def __repr__(self) -> str:
        return f"<Message {self.number} from {show_number(self.sender)}, {len(self.body)} bytes>"

    @property
    def sender(self) -> int:
        """The sender's number, without its plus sign."""
        return self._stored.sender

    @property
    def stream(self) -> bytes:
        """Which of the sender's devices, in time: new at each registration."""
        return self._stored.stream

    @property
    def number(self) -> int:
        """The sender's counter for this recipient and stream."""
        return self._stored.number

    @property
    def late(self) -> bool:
        """Whether a later message of this sender was handed over before."""
        return self._stored.late

    @property
    def arrived(self) -> float:
        """When the node took it, in seconds of Unix time. For display; nothing is ordered by it."""
        return self._stored.arrived / 1000

    @property
    def body(self) -> bytes:
        """What was sent."""
        return self._stored.body

    @property
    def text(self) -> str:
        """The body as UTF-8, with a replacement character for what isn't."""
        return self._stored.body.decode("utf-8", "replace")

    async def ack(self) -> None:
        """The app is done with it: it goes from the state, and is never handed over again. On disk when this
        returns. More than once does nothing more."""
        if not self._acked:
            self._acked = True
            await self._ack(self._stored)

    async def mark_read(self) -> None:
        """The user has read this one and those before it; the sender will be told. On disk when this returns."""
        await self._mark_read(self._stored)
