"""Two ways for tasks to wait for one another: a flag with one waiter, and a notice to everybody.

This module must never know what is waited for.
"""

import anyio


class Flag:
    """Raised any number of times, waited for by one task; a raise between two waits isn't lost."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def raise_(self) -> None:
        """Let the waiter go on."""
        self._event.set()

    def lower(self) -> None:
        """Forget a raise that nobody waited for."""
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Until it is raised; lowers it."""
        await self._event.wait()
        self.lower()


class Notice:
    """Wakes every task that waits at that moment. Look at the state first, then wait, then look again."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def give(self) -> None:
        """Wake them."""
        event, self._event = self._event, anyio.Event()
        event.set()

    async def wait(self) -> None:
        """Until the next notice."""
        await self._event.wait()
