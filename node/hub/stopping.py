"""A hub that stops: nobody more is taken, everybody is said bye to, and whoever is slow is cut off.

So many byes a pass, each with a time of its own to come back at, or all would come back at once. How long the slow
ones have isn't known here.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Generic

from node.hub.closing import Closer
from node.hub.connection import CLOSING, HANDSHAKE, Connection
from node.hub.handler import C, Handler
from node.hub.listener import Acceptor
from node.hub.pollset import PollSet
from node.hub.settings import HubSettings


class Stopping(Generic[C]):
    """`leaving` are those who have yet to be told that the node stops; None: it doesn't."""

    __slots__ = ("_acceptor", "_chance", "_closer", "_failed", "_handler", "_pollset", "leaving")

    def __init__(
        self,
        handler: Handler[C],
        pollset: PollSet,
        acceptor: Acceptor,
        closer: Closer,
        failed: Callable[[Connection, Exception], None],
        chance: random.Random,
    ) -> None:
        """failed: told what the handler raises for a connection."""
        self._handler = handler
        self._pollset = pollset
        self._acceptor = acceptor
        self._closer = closer
        self._failed = failed
        self._chance = chance
        self.leaving: list[C] | None = None

    def begin(self) -> None:
        """Refuse newcomers, those in the middle of a handshake too. Nothing, if this was said before."""
        if self.leaving is not None:
            return
        self._acceptor.stop()
        leaving: list[C] = []
        for entry in self._pollset.entries:
            if isinstance(entry, Connection):
                if entry.flags & HANDSHAKE:
                    self._closer.lose(entry, "stopping")
                elif not entry.flags & CLOSING:
                    leaving.append(entry)  # type: ignore[arg-type]  # the handler makes only C
        self.leaving = leaving

    def say_bye(self, settings: HubSettings) -> None:
        """To some of those who are left."""
        leaving = self.leaving or []
        for _ in range(min(len(leaving), settings.byes_per_pass_max)):
            connection = leaving.pop()
            if not connection.flags & CLOSING:
                try:
                    self._handler.bye(connection, self._chance.randint(0, settings.bye_retry_ms_max))
                except Exception as error:  # noqa: BLE001 - whatever it is, it ends this connection only
                    self._failed(connection, error)
                self._closer.close(connection, "stopping", linger=True)

    def cut_off(self, reason: str = "stopping") -> None:
        """All who are still there."""
        for entry in self._pollset.entries:
            if isinstance(entry, Connection):
                self._closer.lose(entry, reason)
