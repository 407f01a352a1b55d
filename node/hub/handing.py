"""Connections that stand still, leave a hub without being closed, and are taken into another.

A held connection is neither read from nor looked at; what is written to it goes out. Only plain ones: TLS has a state
that stays in its process. All of it on the hub's task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from node.hub.connection import CLOSING, HANDSHAKE, HELD, STRICT, Backlog, Connection
from node.hub.handler import C
from node.hub.hub import Hub
from node.hub.listener import Listener
from node.hub.wheel import SLOTS

HELD_S_MAX: Final = 60
"""After that the handler is asked about a connection that was taken in, and still stands still."""


def plain_connections(hub: Hub[C]) -> list[C]:
    """Those that could be handed over now."""
    return [one for one in hub.connections() if one.tls is None]


def encrypted_connections(hub: Hub[Any]) -> list[Connection]:
    """TLS, with the handshake done or not, closing or not."""
    return [one for one in hub._pollset.entries if isinstance(one, Connection) and one.tls is not None]


def pause_listeners(hub: Hub[Any], encrypted: bool) -> None:
    """Take nobody more on TLS ports, or on plain ones; who comes waits in the kernel's queue."""
    for listener in hub._acceptor.listeners:
        if (listener.settings.tls is not None) == encrypted:
            hub._acceptor.pause(listener)


def resume_listeners(hub: Hub[Any]) -> None:
    """Take them again."""
    for listener in hub._acceptor.listeners:
        hub._acceptor.resume(listener)


def hold(hub: Hub[Any], connection: Connection) -> int:
    """Let it stand still. Gives the seconds after which it was to be looked at."""
    assert connection.tls is None
    assert not connection.flags & (CLOSING | HANDSHAKE | HELD)
    left = (connection.due - hub.wheel.tick) % SLOTS if connection.due >= 0 else 1
    connection.due = -1
    connection.flags |= HELD
    hub._writer.set_interest(connection)
    return left


def let_go(hub: Hub[Any], connection: Connection, left_s: int) -> None:
    """It is read from, and looked at in so many seconds. Nothing happens to one that ended meanwhile."""
    if connection.fd < 0 or not connection.flags & HELD:
        return
    connection.flags &= ~HELD
    if not connection.flags & CLOSING:
        hub._writer.set_interest(connection)
        hub.wheel.place(connection, left_s)


def is_there(connection: Connection) -> bool:
    """Whether a held connection hasn't ended meanwhile."""
    return connection.fd >= 0 and not connection.flags & CLOSING


def take_out(hub: Hub[Any], connection: Connection) -> tuple[int, bytes]:
    """A held connection leaves the hub. Gives its descriptor, which is the caller's now, and what wasn't written."""
    assert connection.flags & HELD
    assert not connection.flags & CLOSING
    fd, outbox = connection.fd, connection.outbox
    chunks = (outbox.piece, *outbox.chunks) if isinstance(outbox, Backlog) else outbox or ()
    hub._pollset.remove(connection)
    hub.closer.blocked.pop(connection, None)
    connection.flags = CLOSING  # nothing that is still said to it here is written
    connection.fd = -1
    connection.outbox = None
    hub._admission.leave(connection.address)
    hub.counters.connections -= 1
    hub.closer.released += 1
    return fd, b"".join(chunks)


def take_in(hub: Hub[Any], connection: Connection, outbox: bytes, idle_s: int, strict: bool) -> None:
    """A connection that was taken out elsewhere, held until `let_go`. What it wasn't written goes out before all else.

    Raises:
        OSError: the kernel has no room in the poll set.
    """
    hub._pollset.add(connection, 0)
    connection.hub = hub
    connection.tick = hub.wheel.tick - idle_s
    connection.flags = HELD | (STRICT if strict else 0)
    hub.wheel.place(connection, HELD_S_MAX)  # for one that is forgotten
    connection.address = hub._admission.enter(connection.address)
    hub.counters.accepted += 1
    hub.counters.connections += 1
    if outbox:
        connection.outbox = [outbox]
        hub.dirty.append(connection)


def take_listeners_out(hub: Hub[Any]) -> list[Listener]:
    """Listeners leave the hub open; their sockets are the caller's now."""
    return hub._acceptor.take_out()


def was_emptied(hub: Hub[Any]) -> bool:
    """Whether its listeners and connections were taken out: they are somebody else's."""
    return hub.stopped.is_set()


def soon(hub: Hub[Any], function: Callable[[], None]) -> None:
    """As `Hub.soon`, also where many wait: for one at a time."""
    hub._bring(function)


def end(hub: Hub[Any]) -> None:
    """There is nothing left in it: `run` returns after this pass."""
    hub.stopped.set()
