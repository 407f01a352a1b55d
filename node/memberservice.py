"""A node of a cluster as the hub sees it: what sessions say goes through the router, and what mail has to say to them.

Implements the router's `Phones`. What it doesn't do differently it does as a node that stands alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from node import routed
from node.accounts.gate import Gate
from node.accounts.outcomes import LoggedIn, Outcome, Replaced
from node.hub.connection import Reason
from node.mail import expiry
from node.mail.driver import MailDriver
from node.mail.state import Effect, Handle
from node.outlet import Outlet, outlets_of
from node.routing.router import Router
from node.routing.settings import RoutingSettings
from node.routing.state import RoutingState
from node.routing.surroundings import Phone, Ways
from node.service import Service
from node.session import ASKING, TALKING, Session
from node.wire import errors
from node.wire.codec import encode
from node.wire.verbs import MOVED

Done = Callable[[Outcome], None]


class MemberService(Service):
    """See `Service`. `drain`: what ends a pass; set by the composition root before the hub runs.

    Args:
        ways, routing: of the router.
    """

    def __init__(self, *arguments: Any, ways: Ways, routing: RoutingSettings, **named: Any) -> None:
        self._ways = ways
        self._routing_settings = routing
        self.router: Router
        self.outlets: Mapping[int, Callable[[Effect], None]]
        self.drain: Callable[[], None]
        super().__init__(*arguments, **named)
        self._handlers = (*self._handlers[:TALKING], routed.TALK)

    def _speakers(self) -> tuple[Outlet, Mapping[int, Callable[[Effect], None]]]:
        state = RoutingState(self._routing_settings, self._ways, self.mail, _Accounts(self), self)
        self.router = Router(state)
        outlet = Outlet(state.sessions)
        self.outlets = outlets_of(outlet)
        return outlet, self.router.outlets()

    def _dropped(self, user: int, session: Handle) -> None:
        self.router.ended(user, session)

    @property
    def sessions(self) -> Mapping[int, Session]:
        """Those whose socket is here, by user."""
        return cast(Mapping[int, Session], self.router.state.sessions)

    @property
    def gate(self) -> Gate:
        """The accounts of whichever node knows the number."""
        return self.router

    @property
    def driver(self) -> MailDriver:
        """What carries mail's effects out."""
        return self._driver

    # ---- the hub's Handler ---------------------------------------------------------------------

    def closed(self, session: Session, reason: Reason) -> None:
        self._forget(session)
        self.router.left(session)

    def _stuck(self) -> int:
        return sum(asking.peer is None for asking in self.router.state.asks.values())

    def end_pass(self) -> None:
        self.welcome_some()
        self.drain()
        self._outlet.flush()
        self.in_pass = False

    # ---- sessions ------------------------------------------------------------------------------

    def begin(self, session: Session, login: LoggedIn) -> None:
        session.phase = ASKING
        self.router.seat(session, login.user, login.stream, login.login)

    def end_session(self, user: int, code: int) -> None:
        self.router.end_user(user, code)

    def replaced(self, replaced: Replaced) -> None:
        self.router.end_user(replaced.user, errors.SUPERSEDED)
        expiry.wipe(self.mail, replaced.user, replaced.generation)

    # ---- the router's Phones -------------------------------------------------------------------

    def welcome(self, session: Phone, waiting: int) -> bool:
        """See `surroundings.Phones`."""
        one = cast(Session, session)
        if one.phase == TALKING:
            if waiting < 0:
                one.refuse(errors.INTERNAL)
            one.pack()
            return False
        self._let_in(one, *one.login, waiting)
        one.pack()
        return one.phase == TALKING

    def end(self, session: Phone, code: int) -> None:
        """See `surroundings.Phones`."""
        self._outlet.end(cast(Session, session), code)

    def move(self, session: Phone, host: str, port: int) -> None:
        """See `surroundings.Phones`."""
        cast(Session, session).write(encode((MOVED, host, port)))

    def statistics(self) -> dict[str, Any]:
        return {**super().statistics(), "routing": self.router.statistics()}


class _Accounts:
    """This node's own, which are made after the service."""

    __slots__ = ("_service",)

    def __init__(self, service: Service) -> None:
        self._service = service

    def request_pin(self, user: int, address: str, done: Done) -> None:
        self._service.accounts.request_pin(user, address, done)

    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None:
        self._service.accounts.register(user, pin, key, stream, address, done)

    def login(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None:
        self._service.accounts.login(user, nonce, certificate_sha256, signature, address, done)

    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        self._service.accounts.judge_device(user, stream, done)
