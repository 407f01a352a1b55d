"""Stored messages on their way to the app: the newest from memory, what didn't fit from the state.

Messages come here after they are committed. Each is given out once in the life of this object, in order of id. This
module must never know what acking does.
"""

from collections import deque
from collections.abc import Awaitable, Callable

from client.records import StoredMessage

Read = Callable[[int, int], Awaitable[list[StoredMessage]]]
"""(after id, limit) → messages of the state."""


class Handover:
    """limit: messages held in memory. behind: the state has some that aren't held."""

    def __init__(self, read: Read, limit: int, *, behind: bool) -> None:
        self._read, self._limit = read, limit
        self._held: deque[StoredMessage] = deque()
        self._behind = behind
        self._missed = False
        self._last = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be given out."""
        return not self._held and not self._behind

    def arrived(self, message: StoredMessage) -> None:
        """A message was committed."""
        if self._behind:
            self._missed = True
        elif len(self._held) >= self._limit:
            self._behind = True
        elif message.id > self._last:
            self._last = message.id
            self._held.append(message)

    def put_back(self, message: StoredMessage) -> None:
        """It wasn't handed over after all: it is the next again."""
        self._held.appendleft(message)

    async def next(self) -> StoredMessage | None:
        """The next message; None when there is none."""
        while not self.is_empty:
            if self._held:
                return self._held.popleft()
            self._missed = False
            page = await self._read(self._last, self._limit)
            # What was committed before the page was read but is announced after it has a lower id than _last;
            # what was committed after it is announced while behind, or after this.
            self._behind = self._missed or len(page) == self._limit
            self._held.extend(page)
            if page:
                self._last = page[-1].id
        return None
