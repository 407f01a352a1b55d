"""Connections whose time has come: what becomes of each when the wheel gives it out.

How long a connection may be quiet is the handler's to say; it is asked here, and never what it makes of the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from node.hub.closing import Closer
from node.hub.connection import CLOSING, HANDSHAKE, STRICT, Connection
from node.hub.counters import Counters
from node.hub.handler import Handler
from node.hub.pollset import PollSet
from node.hub.settings import HubSettings
from node.hub.wheel import Wheel


class Looker:
    """Looks at some of those that are due."""

    __slots__ = ("_closer", "_counters", "_failed", "_handler", "_pollset", "_wheel")

    def __init__(
        self,
        handler: Handler[Any],
        pollset: PollSet,
        wheel: Wheel,
        closer: Closer,
        counters: Counters,
        failed: Callable[[Connection, Exception], None],
    ) -> None:
        """failed: told what the handler raises for a connection."""
        self._handler = handler
        self._pollset = pollset
        self._wheel = wheel
        self._closer = closer
        self._counters = counters
        self._failed = failed

    def look(self, settings: HubSettings) -> None:
        """A pass's share of them. One that was heard from meanwhile is put back, without the handler."""
        wheel = self._wheel
        tick = wheel.tick
        for connection in wheel.take(self._pollset.entries, settings.looks_per_pass_max):
            flags = connection.flags
            if flags & CLOSING:
                self._closer.hurry(connection)
            elif flags & HANDSHAKE:
                self._counters.handshakes_failed += 1
                self._closer.lose(connection, "handshake_timeout")
            elif not flags & STRICT and tick - connection.tick < connection.patience:
                wheel.place(connection, connection.patience - (tick - connection.tick))
            else:
                try:
                    again = self._handler.quiet(connection)
                except Exception as error:  # noqa: BLE001 - whatever it is, it ends this connection only
                    self._failed(connection, error)
                else:
                    if not connection.flags & CLOSING:
                        wheel.place(connection, again)
