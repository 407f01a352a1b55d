"""A node that comes takes in what another has handed over, before its own first pass; then sessions go on by and by.

Connections are held until mail has found out what is in flight on them; only then what phones have said meanwhile is
read. Who can't be taken in is closed, and counted: his phone connects again, as after any end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

import structlog

from node.handing.belongings import Belongings, belongings_of
from node.handing.state import Handed, HandedSession
from node.hub import handing
from node.hub.hub import Hub
from node.service import Service
from node.session import ASKING, TALKING, Session

log = structlog.get_logger()

RESUMED_AT_ONCE: Final = 200
"""Sessions, in one pass: each asks the store about its box."""


def restore(hub: Hub[Session], service: Service, handed: Handed, descriptors: Sequence[int]) -> int:
    """Before the hub runs. The descriptors belong to it from now on. Gives how many connections were taken in."""
    assert len(descriptors) == len(handed.sessions)
    belongings = belongings_of(service)
    belongings.begin(handed)
    taken: list[tuple[Session, HandedSession]] = []
    for fd, one in zip(descriptors, handed.sessions, strict=True):
        session = _session_of(fd, one)
        try:
            handing.take_in(hub, session, one.outbox, one.idle_s, one.strict)
        except OSError as error:
            os.close(fd)
            log.warning("a connection could not be taken over", cause=error.strerror)
        else:
            session.patience = one.patience
            service.held[session] = one.left_s
            taken.append((session, one))
    _go_on(hub, service, belongings, iter(taken))
    return len(taken)


def _session_of(fd: int, one: HandedSession) -> Session:
    session = Session(fd, one.address, b"")
    session.phase = one.phase
    session.user = one.user
    session.stream = one.stream
    session.nonce = one.nonce
    session.pinged = one.pinged
    session.paid_until = one.paid_until
    session.inbox = one.inbox or None
    return session


def _go_on(
    hub: Hub[Session],
    service: Service,
    belongings: Belongings,
    left: Iterator[tuple[Session, HandedSession]],
) -> None:
    """Some in the next pass, the rest in those after it."""

    def some() -> None:
        for _ in range(RESUMED_AT_ONCE):
            found = next(left, None)
            if found is None:
                return
            _resume(service, belongings, *found)
        _go_on(hub, service, belongings, left)

    hub.soon(some)


def _resume(service: Service, belongings: Belongings, session: Session, one: HandedSession) -> None:
    if not handing.is_there(session):
        service.held.pop(session, None)
        return
    assert session.phase != ASKING
    if session.phase == TALKING:
        belongings.take_up(session, one)
    else:
        service.let_go(session)
