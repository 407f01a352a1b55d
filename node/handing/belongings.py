"""What goes over with a session beside its connection: of a node that stands alone what mail has in flight on it, of a
cluster's node what primaries haven't answered.

The first must have written everything before it goes: nobody else has it. The second hands over whatever it is primary
of before, and all that is said on its sessions is repeated by an edge or a primary until it is answered; so it waits
for nothing but answers to logins.
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from node.handing.state import Flight, Gap, Handed, HandedSend, HandedSession
from node.mail import quiescing, resuming
from node.memberservice import MemberService
from node.service import Service
from node.session import Session
from node.wire import errors

_NOT_STILL: Final = (
    "mail could not be written, or the store didn't answer, in time: see stats mail and the log"
)


class Belongings(Protocol):
    """Of one node, as the one that goes or as the one that comes."""

    def keeps(self) -> str | None:
        """What keeps it from being handed over; None: nothing. Asked for again and again, between two passes."""
        ...

    def whole(self) -> dict[str, Any]:
        """Fields of `Handed`."""
        ...

    def of(self, session: Session) -> dict[str, Any]:
        """Fields of `HandedSession`, of one that is logged in. Asked for when nothing keeps it."""
        ...

    def begin(self, handed: Handed) -> None:
        """This node is the next one; sessions follow."""
        ...

    def take_up(self, session: Session, one: HandedSession) -> None:
        """A session that is logged in goes on here, and is let go when what was handed over with it is known."""
        ...


def belongings_of(service: Service) -> Belongings:
    """By what kind of node it is."""
    return OfMember(service) if isinstance(service, MemberService) else OfLone(service)


class OfLone:
    """See `Belongings`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gaps: dict[tuple[int, bytes], list[Gap]] | None = None

    def keeps(self) -> str | None:
        """See `Belongings`."""
        mail = self._service.mail
        quiescing.hasten(mail)
        return None if quiescing.is_quiet(mail) else _NOT_STILL

    def whole(self) -> dict[str, Any]:
        """See `Belongings`."""
        return {"logins": self._service.logins}

    def of(self, session: Session) -> dict[str, Any]:
        """See `Belongings`."""
        if self._gaps is None:
            self._gaps = _gaps_of(self._service)
        return {
            "flights": _flights_of(self._service, session),
            "gaps": tuple(self._gaps.get((session.user, session.stream), ())),
        }

    def begin(self, handed: Handed) -> None:
        """See `Belongings`."""
        self._service.logins = max(self._service.logins, handed.logins)

    def take_up(self, session: Session, one: HandedSession) -> None:
        """See `Belongings`."""
        mail = self._service.mail
        if session.user in mail.sessions or session.user in mail.arriving:
            session.refuse(errors.SUPERSEDED)  # a login that came since was faster
            return
        flights = [(each.sender, each.stream, (each.handed, each.messages)) for each in one.flights]
        gaps = [(gap.recipient, gap.n) for gap in one.gaps]
        resuming.resume(mail, session.user, session, flights, gaps)


class OfMember:
    """See `Belongings`."""

    def __init__(self, service: MemberService) -> None:
        self._service = service

    def keeps(self) -> str | None:
        """See `Belongings`."""
        return None

    def whole(self) -> dict[str, Any]:
        """See `Belongings`."""
        service = self._service
        return {"logins": service.logins, "member": True, "tickets": service.router.state.ticket}

    def of(self, session: Session) -> dict[str, Any]:
        """See `Belongings`."""
        sent, back = self._service.router.belongings(session)
        return {
            "login": session.login,
            "kept": tuple(
                HandedSend(recipient=recipient, n=n, base=base, body=body)
                for recipient, n, base, body in sent
            ),
            "back": tuple(Gap(recipient=recipient, n=n) for recipient, n in back),
        }

    def begin(self, handed: Handed) -> None:
        """See `Belongings`."""
        self._service.logins = max(self._service.logins, handed.logins)
        self._service.router.go_on_from(handed.tickets)

    def take_up(self, session: Session, one: HandedSession) -> None:
        """See `Belongings`. It may speak at once: what it sends is kept until there is somebody to send it to."""
        user, stream = session.user, session.stream
        session.user = 0  # the router's to set
        sent = ((each.recipient, each.n, each.base, each.body) for each in one.kept)
        back = ((each.recipient, each.n) for each in one.back)
        self._service.router.take_up(session, user, stream, one.login, sent, back)
        if session in self._service.held:
            self._service.let_go(session)


def _flights_of(service: Service, session: Session) -> tuple[Flight, ...]:
    box = service.mail.boxes.get(session.user)
    if box is None or box.session is not session:
        return ()
    return tuple(
        Flight(
            sender=pair.sender,
            stream=pair.stream,
            handed=pair.handed,
            messages=tuple((n, size, arrived) for n, (size, arrived) in pair.inflight.items()),
        )
        for pair in box.pairs.values()
        if pair.seen is session and pair.inflight
    )


def _gaps_of(service: Service) -> dict[tuple[int, bytes], list[Gap]]:
    """By (sender, stream)."""
    found: dict[tuple[int, bytes], list[Gap]] = {}
    for (recipient, sender, stream), pair in service.mail.pairs.items():
        if pair.gapped:
            found.setdefault((sender, stream), []).append(Gap(recipient=recipient, n=pair.gapped))
    return found
