"""What mail has to say to phones, as frames on their sessions. What is for somebody who isn't there, or wasn't welcomed
yet, is dropped: the client asks again, or is told at its next login."""

from collections.abc import Callable, Mapping
from typing import Any

from node.mail import effects
from node.mail.state import Effect
from node.session import TALKING, Session
from node.wire import errors
from node.wire.codec import encode
from node.wire.hot import encode_accepted, encode_confirm, encode_deliver, encode_receipt
from node.wire.verbs import BUSY, GAP


class Outlet:
    """Effects for sessions. `flush` at the end of a pass: what is accepted in a row goes as one frame.

    sessions: those whose socket is here, by user.
    """

    __slots__ = ("_run", "_sessions")

    def __init__(self, sessions: Mapping[int, Any]) -> None:
        self._sessions = sessions
        self._run: list[Any] | None = None  # [session, recipient, stream, first, last, how]

    def _session(self, user: int) -> Session | None:
        session: Session | None = self._sessions.get(user)
        return session if session is not None and session.phase == TALKING else None

    def accepted(self, effect: Effect) -> None:
        _, sender, recipient, stream, first, last, how = effect
        session = self._session(sender)
        if session is None or session.stream != stream:
            return
        run = self._run
        if run is not None:
            if (
                run[4] == first - 1
                and run[0] is session
                and run[1] == recipient
                and run[5] == how
                and run[2] == stream
            ):
                run[4] = last
                return
            self.flush()
        self._run = [session, recipient, stream, first, last, how]

    def _before(self, session: Session) -> None:
        """Something else goes to a session: what was accepted before it goes first."""
        run = self._run
        if run is not None and run[0] is session:
            self.flush()

    def flush(self) -> None:
        """Write the frame that might have been continued."""
        run = self._run
        if run is not None:
            self._run = None
            session, recipient, stream, first, last, how = run
            session.write(encode_accepted(recipient, stream, first, last, how))

    def deliver(self, effect: Effect) -> None:
        _, recipient, sender, stream, n, flags, arrived, body = effect
        session = self._session(recipient)
        if session is not None:
            session.write(encode_deliver(sender, stream, n, flags, arrived, body))

    def gap(self, effect: Effect) -> None:
        _, sender, recipient, stream, high = effect
        session = self._session(sender)
        if session is not None and session.stream == stream:
            self._before(session)
            session.write(encode((GAP, recipient, stream, high)))

    def busy(self, effect: Effect) -> None:
        _, sender, recipient, stream, n, retry_ms = effect
        session = self._session(sender)
        if session is not None and session.stream == stream:
            self._before(session)
            session.write(encode((BUSY, recipient, stream, n, retry_ms)))

    def refused(self, effect: Effect) -> None:
        _, sender, recipient, stream, n, code, retry_ms = effect
        session = self._session(sender)
        if session is not None and session.stream == stream:
            self._before(session)
            session.refuse(code, retry_ms=retry_ms, about=(recipient, stream, n))

    def receipt(self, effect: Effect) -> None:
        _, sender, recipient, stream, kind, first, last = effect
        session = self._session(sender)
        if session is not None:
            self._before(session)
            session.write(encode_receipt(recipient, stream, kind, first, last))

    def confirm(self, effect: Effect) -> None:
        _, recipient, sender, stream, kind, first, last = effect
        session = self._session(recipient)
        if session is not None:
            session.write(encode_confirm(sender, stream, kind, first, last))

    def end_session(self, user: int, code: int) -> None:
        """Close a user's session, saying why."""
        session: Session | None = self._sessions.get(user)
        if session is not None:
            self.end(session, code)

    def end(self, session: Session, code: int) -> None:
        """Close it, saying why."""
        self._before(session)
        session.refuse(code)
        if not errors.REGISTRY[code].closes:
            session.close(errors.REGISTRY[code].name)


def outlets_of(outlet: Outlet) -> dict[int, Callable[[Effect], None]]:
    """By code, for all effects that are said to sessions."""
    return {
        effects.ACCEPTED: outlet.accepted,
        effects.GAP: outlet.gap,
        effects.BUSY: outlet.busy,
        effects.REFUSED: outlet.refused,
        effects.RECEIPT: outlet.receipt,
        effects.DELIVER: outlet.deliver,
        effects.CONFIRM: outlet.confirm,
    }
