"""A device of the world of a cluster: any node will do as its edge, and it is pointed to a nearer one at times."""

from __future__ import annotations

from typing import Any

from ops.simulation.mail.phone import Phone, Session

Login = tuple[int, int]


class EdgeSession(Session):
    """One connection, as its edge sees it: what `node.routing.surroundings.Phone` has, too."""

    __slots__ = ("login", "number", "round", "ticket", "welcomed_once")

    def __init__(self, user: int, stream: bytes, node: int, number: int) -> None:
        super().__init__(user, stream, node)
        self.number = number
        self.login: Login = (0, 0)
        self.ticket = 0
        self.round = 0
        self.welcomed_once = False


class ClusterPhone(Phone):
    """One device of one user."""

    def tick(self, now: int) -> None:
        """Time has passed."""
        session = self.session
        if session is not None and not session.welcomed and now - self._heard > 4 * self.patience:
            self.part()
        super().tick(now)

    def pointed(self, session: Session, node: int, now: int) -> None:
        """An edge says that another node is nearer to what is this user's: it goes there now, or stays."""
        if session is self.session and self._hand.random() < 0.5:
            self.part()
            self._told_to = node

    def _delivered(self, sender: int, stream: bytes, n: int, *rest: Any) -> None:
        super()._delivered(sender, stream, n, *rest)
        if self.session is not None and self._hand.random() < 0.1:
            self._exchange.say(self.session, ("read", sender, stream, n))
