"""An edge of the world of a cluster: what a node's service does with its sessions, before the router.

A session is connected, logs in through the router, is seated, and heard. What the router says to it goes to its phone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Protocol

from node.accounts.outcomes import LoggedIn, Outcome
from node.mail import effects
from node.mail.state import Effect
from node.routing.router import Router
from node.wire.errors import SUPERSEDED
from node.wire.limits import NONCE_SIZE
from ops.simulation.cluster.accounts import signature_of
from ops.simulation.cluster.events import Answered, Asked, Ended, Seated, Spoken, Superseded
from ops.simulation.cluster.phone import EdgeSession
from ops.simulation.mail.node import FOR_SESSIONS, Phones
from ops.simulation.mail.phone import Session
from ops.simulation.trace import Trace

WORDS: Final = MappingProxyType(
    {
        effects.ACCEPTED: "accepted",
        effects.GAP: "gap",
        effects.BUSY: "busy",
        effects.REFUSED: "refused",
    }
)


class EdgePhones(Phones, Protocol):
    """Who hears what edges say."""

    def point(self, session: Session, node: int) -> None: ...


class Edge:
    """Of one life of a node. What the router asks of it is `node.routing.surroundings.Phones`."""

    router: Router

    def __init__(self, number: int, phones: EdgePhones, trace: Trace) -> None:
        self.number = number
        self.sessions: dict[int, EdgeSession] = {}  # connected here, by number
        self.outlets: Mapping[int, Callable[[Effect], None]] = dict.fromkeys(FOR_SESSIONS, self._tell)
        self._phones = phones
        self._observe = trace.observe

    # ---- what phones do -------------------------------------------------------------------------------

    def connect(self, session: EdgeSession) -> None:
        """Somebody connects, and logs in."""
        self.sessions[session.number] = session
        self._phones.let_in(session)
        nonce, signature = bytes(NONCE_SIZE), signature_of(session.stream)
        self.router.login(session.user, nonce, b"", signature, "", partial(self._logged_in, session))

    def _logged_in(self, session: EdgeSession, outcome: Outcome) -> None:
        if self.sessions.get(session.number) is not session:
            return
        if isinstance(outcome, LoggedIn):
            self._observe(Seated(session.number, outcome.user, outcome.login))
            self.router.seat(session, outcome.user, outcome.stream, outcome.login)
        else:
            self._close(session)

    def leave(self, session: EdgeSession) -> None:
        """The connection is gone."""
        if self.sessions.get(session.number) is session:
            self._forget(session)

    def _forget(self, session: EdgeSession) -> None:
        del self.sessions[session.number]
        self.router.left(session)
        self._observe(Ended(session.number))

    def _close(self, session: EdgeSession) -> None:
        self._forget(session)
        self._phones.close(session)

    def frame(self, session: EdgeSession, verb: str, *f: Any) -> None:
        """A frame of a session."""
        if self.sessions.get(session.number) is not session:
            return
        router = self.router
        self._observe(Spoken(self.number, verb))
        if verb in ("send", "skip"):
            recipient, n, base, *body = f
            self._observe(Asked(self.number, session.number, recipient, n))
            router.send(session, recipient, n, base, body[0] if body else None)
        elif verb == "ack":
            router.ack(session, *f)
        elif verb == "read":
            router.read(session, *f)
        else:
            router.confirm(session, *f)

    # ---- what is said to them (`node.routing.surroundings.Phones`) ------------------------------------

    def welcome(self, session: Any, waiting: int) -> bool:
        """Its primary knows it."""
        if waiting < 0:
            self._close(session)
            return False
        if session.welcomed_once:
            return False
        session.welcomed_once = True
        self._phones.welcome(session)
        return True

    def end(self, session: Any, code: int) -> None:
        """Close it."""
        assert isinstance(session, EdgeSession)
        if self.sessions.get(session.number) is session:
            if code == SUPERSEDED and session.ticket:
                self._observe(Superseded(session.number, session.user, session.login))
            self._close(session)

    def move(self, session: Any, host: str, port: int) -> None:
        """Its user's primary is there."""
        self._phones.point(session, port)

    def _tell(self, effect: Effect) -> None:
        session = self.router.state.sessions[effect[1]]
        assert isinstance(session, EdgeSession)
        code = effect[0]
        word = WORDS.get(code)
        if word is not None:
            first = effect[4] + (code == effects.GAP)
            last = effect[5] if code == effects.ACCEPTED else first
            upwards = code in (effects.GAP, effects.BUSY)
            told = Answered(self.number, session.number, effect[2], first, last, upwards, word)
            self._observe(told)
        self._phones.tell(session, effect)
