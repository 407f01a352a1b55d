"""What the hub asks of the layer above it. The hub declares the interface; the sessions implement it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from node.hub.connection import Connection, Reason

if TYPE_CHECKING:
    from node.hub.listener import Listener

C = TypeVar("C", bound=Connection)


class Handler(Protocol[C]):
    """All methods are called on the hub's task, are synchronous, and return soon.

    What `opened`, `received`, `quiet`, `closed` and `bye` raise ends that connection only. What the others
    raise is a fault of the node itself and ends `Hub.run`.
    """

    remainder_max: int  # bytes of an unfinished frame that the hub may have to keep for a connection

    def make(self, fd: int, address: str, listener: Listener) -> C:
        """A new connection object; it isn't established yet (TLS), may never be, and can't be used before
        `opened`."""

    def opened(self, connection: C) -> None:
        """The connection is established. Until `connection.expect` is called it has `first_look_s`."""

    def received(self, connection: C, data: bytes) -> int:
        """Take complete frames off the front of `data`; returns how many bytes were taken."""

    def closed(self, connection: C, reason: Reason) -> None:
        """Called once for each opened connection; nothing more is read for it or written to it."""

    def quiet(self, connection: C) -> int:
        """Nothing came for the time given to `expect`. Ping it or close it.

        Returns:
            Seconds until the next look, if it stays silent.
        """

    def failed(self, connection: C, error: Exception) -> None:
        """A method above raised `error`: the hub has logged it and closes the connection afterwards.

        May write a last frame. If this raises too, the connection is dropped without it.
        """

    def begin_pass(self) -> None:
        """Before the events of one batch."""

    def end_pass(self) -> None:
        """After them, before what was queued is written; may write, and submits what the batch gathered."""

    def wake_at(self) -> float | None:
        """When (the hub's clock) a pass must run even if nothing happens, or None. Called often.

        A time that has come brings about a pass after a pass until `end_pass` has moved it.
        """

    def refusal(self, reason: str) -> bytes:
        """The last words to a plain connection that isn't taken: one of listener.REFUSALS."""

    def bye(self, connection: C, retry_ms: int) -> None:
        """The node stops: write a farewell; the hub closes the connection afterwards."""
