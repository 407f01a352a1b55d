"""What sampled sessions say and are told, seen by a tap while they say it.

A node without a tap pays nothing: a tap puts another `received` and `closed` in the way of the service's own, on that
object, and takes them away again; what a session writes is seen by giving it another class (see
`seen`), as a trace does. What a tap is shown holds bodies: it must let none of them out (see admin/tee).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from node.hub.connection import Reason
from node.seen import set_tapped
from node.session import TALKING, Session

if TYPE_CHECKING:
    from node.service import Service


class Tap(Protocol):
    """Called in the hub's pass: must neither wait nor raise."""

    def welcomed(self, session: Session) -> None:
        """A session is logged in, and about to be told so."""

    def received(self, session: Session, data: bytes) -> None:
        """A session that is logged in has said this: whole frames, unless what came was no frame at all. The service
        has dealt with it."""

    def wrote(self, session: Session, data: bytes) -> None:
        """One frame is about to be written to a session that was attached."""

    def closed(self, session: Session) -> None:
        """A connection has ended."""


def attach(session: Session) -> None:
    """From now on what is written to this session is seen. On the hub's task."""
    set_tapped(session, True)


def detach(session: Session) -> None:
    """No more."""
    set_tapped(session, False)


def begin(service: Service, tap: Tap) -> None:
    """From the next read on. One tap at a time; on the hub's task, as `end`."""
    assert service.tap is None, "one tap at a time"
    kind = type(service)

    def received(session: Session, data: bytes) -> int:
        used = kind.received(service, session, data)
        if session.phase == TALKING:
            tap.received(session, data if used == len(data) else data[:used])
        return used

    def closed(session: Session, reason: Reason) -> None:
        kind.closed(service, session, reason)
        tap.closed(session)

    service.tap = tap
    service.received = received  # type: ignore[method-assign]
    service.closed = closed  # type: ignore[method-assign]


def end(service: Service) -> None:
    """As if there had been none. Sessions are detached by whoever attached them."""
    if service.tap is not None:
        service.tap = None
        del service.received, service.closed
