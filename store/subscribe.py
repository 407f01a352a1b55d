"""Bounded subscriptions to a table: what was committed, in commit order, on the loop.

A subscriber that doesn't keep up loses events, and is told so by a `Missed` in their place; the committer never
waits for one.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import attrs
import trio


@attrs.frozen(slots=True)
class Changed:
    """A row was put (or merged)."""

    key: tuple[Any, ...]
    value: Any = attrs.field(repr=False)  # may be a body
    sequence: int


@attrs.frozen(slots=True)
class Deleted:
    """A row was deleted."""

    key: tuple[Any, ...]
    sequence: int


@attrs.frozen(slots=True)
class Missed:
    """`count` events before the next one were dropped, for the subscription was full; or so many rows were, since the
    copy here is emptied, and filled from others perhaps. Read the table again."""

    count: int


Happening = Changed | Deleted | Missed


class Subscription:
    """Events of one table, up to `limit` waiting. Use it as an async iterator, or `take` what is there.

    `close` it, or use it as a context manager.
    """

    __slots__ = ("_closed", "_missed", "_waiting", "_wanted", "limit", "owner")

    def __init__(self, limit: int, owner: list[Subscription]) -> None:
        assert limit >= 1
        self.limit = limit
        self.owner = owner
        self._waiting: deque[Changed | Deleted] = deque()
        self._missed = 0
        self._wanted = trio.Event()
        self._closed = False
        owner.append(self)

    def __len__(self) -> int:
        return len(self._waiting) + bool(self._missed)

    def push(self, event: Changed | Deleted) -> None:
        """Queue an event, or count it as missed. Called by the store, on the loop."""
        if self._missed or len(self._waiting) >= self.limit:
            self._missed += 1
        else:
            self._waiting.append(event)
        self._wanted.set()

    def miss(self, count: int) -> None:
        """What happened to so many rows is not told of one by one. Called by the store, on the loop."""
        self._missed += count
        self._wanted.set()

    def take(self) -> list[Happening]:
        """All that is waiting, without waiting."""
        found: list[Happening] = list(self._waiting)
        self._waiting.clear()
        if self._missed:
            found.append(Missed(self._missed))
            self._missed = 0
        return found

    async def wait_happened(self) -> list[Happening]:
        """Wait until something happened and take it all; empty once closed."""
        while not len(self) and not self._closed:
            self._wanted = trio.Event()
            await self._wanted.wait()
        await trio.lowlevel.checkpoint()
        return self.take()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Happening:
        while not len(self):
            if self._closed:
                raise StopAsyncIteration
            self._wanted = trio.Event()
            await self._wanted.wait()
        await trio.lowlevel.checkpoint()
        if self._waiting:
            return self._waiting.popleft()
        missed, self._missed = self._missed, 0
        return Missed(missed)

    def close(self) -> None:
        """Hear nothing more; whoever waits is woken."""
        self._closed = True
        if self in self.owner:
            self.owner.remove(self)
        self._wanted.set()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
