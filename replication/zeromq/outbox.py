"""What waits to go over one link: a bounded queue that packs messages into batches. Knows neither sockets nor peers."""

from __future__ import annotations

from collections import deque

from replication.zeromq.settings import BATCH_BYTES_MAX, BATCH_MESSAGES_MAX
from replication.zeromq.words import join


class Outbox:
    """Messages in the order they came, each a batch of its own (`words.encode_message`) until it is packed.

    `bytes` and `messages` count what waits, the packed batch included. `blocked`: the socket took no more.
    """

    __slots__ = ("_bytes_max", "_messages_max", "_packed", "_packed_messages", "_waiting", "blocked", "bytes")

    def __init__(self, messages_max: int, bytes_max: int) -> None:
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._waiting: deque[bytes] = deque()
        self._packed: bytes | None = None
        self._packed_messages = 0
        self.bytes = 0
        self.blocked = False

    @property
    def messages(self) -> int:
        return len(self._waiting) + self._packed_messages

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes is taken. An empty outbox takes any one message."""
        if self.bytes + size > self._bytes_max:
            return not self.bytes
        return len(self._waiting) + self._packed_messages < self._messages_max

    def put(self, message: bytes) -> bool:
        """Queue a message, if there is room for it; whether there was."""
        size = self.bytes + len(message)
        waiting = self._waiting
        if size > self._bytes_max and self.bytes:
            return False
        if len(waiting) + self._packed_messages >= self._messages_max:
            return False
        waiting.append(message)
        self.bytes = size
        return True

    def pack(self) -> bytes | None:
        """The next batch, the same until `sent`; None if nothing waits."""
        if self._packed is not None:
            return self._packed
        waiting = self._waiting
        if not waiting:
            return None
        first = waiting.popleft()
        size = len(first)
        if not waiting or size + len(waiting[0]) > BATCH_BYTES_MAX:
            self._packed = first  # as it is: nothing large is copied
            self._packed_messages = 1
            return first
        batch = [first]
        while waiting and len(batch) < BATCH_MESSAGES_MAX:
            size += len(waiting[0])
            if size > BATCH_BYTES_MAX:
                size -= len(waiting[0])
                break
            batch.append(waiting.popleft())
        self._packed = join(batch)
        self._packed_messages = len(batch)
        self.bytes += len(self._packed) - size
        return self._packed

    def sent(self) -> int:
        """The packed batch is gone. Gives how many messages it had."""
        assert self._packed is not None
        self.bytes -= len(self._packed)
        messages, self._packed_messages, self._packed = self._packed_messages, 0, None
        return messages

    def clear(self) -> int:
        """Drop everything. Gives how many messages that was."""
        lost = self.messages
        self._waiting.clear()
        self._packed, self._packed_messages, self.bytes, self.blocked = None, 0, 0, False
        return lost

    def check(self) -> None:
        """For tests: assert that the counts are true."""
        packed = len(self._packed) if self._packed is not None else 0
        assert self.bytes == sum(map(len, self._waiting)) + packed
        assert (self._packed is None) == (self._packed_messages == 0)
        assert self.messages <= self._messages_max
