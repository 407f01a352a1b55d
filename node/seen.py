"""Sessions whose writes are seen: by a trace, by a tap, or by both.

A session becomes one by being given another class of the same shape, and goes back the same way, so it costs nothing
while nobody looks. Both may look, and begin and end in any order. Everything here is called on the hub's task. This
module must never know what is done with what is seen.
"""

from __future__ import annotations

from node.session import Session


class TappedSession(Session):
    """Of the same shape, as all of these."""

    __slots__ = ()

    def write(self, data: bytes) -> None:
        tap = self.hub.handler.tap  # type: ignore[attr-defined]  # the service
        if tap is not None and not self.is_closing:
            tap.wrote(self, data)
        super().write(data)


class TracedSession(Session):
    """Its user is looked at."""

    __slots__ = ()

    def write(self, data: bytes) -> None:
        trace = self.hub.handler.traces.get(self.user)  # type: ignore[attr-defined]  # the service
        if trace is not None and not self.is_closing:
            trace.wrote(data)
        super().write(data)


class TracedAndTappedSession(TracedSession, TappedSession):
    """Each sees it once."""

    __slots__ = ()


def set_traced(session: Session, traced: bool) -> None:
    """Whether a trace sees it; a tap goes on as it was."""
    _become(session, traced=traced, tapped=isinstance(session, TappedSession))


def set_tapped(session: Session, tapped: bool) -> None:
    """Whether a tap sees it; a trace goes on as it was."""
    _become(session, traced=isinstance(session, TracedSession), tapped=tapped)


def _become(session: Session, *, traced: bool, tapped: bool) -> None:
    kind: type[Session] = TappedSession if tapped else Session
    if traced:
        kind = TracedAndTappedSession if tapped else TracedSession
    session.unpack()
    session.__class__ = kind
