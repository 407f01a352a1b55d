"""What routing says at an event: at each node of `events_world` the real router, with some sessions that say nothing.

Links between routers deliver as all do there. Mail is only told who is there and reads nothing, so a session that is
announced anew isn't welcomed: that would be one word more for each. This module must never know how an event goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from node.accounts.outcomes import Outcome
from node.mail.settings import MailSettings
from node.mail.state import Effect, MailState
from node.routing import codes
from node.routing.router import Router
from node.routing.settings import RoutingSettings
from node.routing.state import RoutingState
from ops.bench.identities import number_of, stream_of
from replication.core.state import SERVING, ReplicaState

SESSIONS_EACH: Final = 8
"""At each node, of users anywhere."""
BEGAN_MS: Final = 1_000_000_000_000
"""The world's clock begins at 0, which to routing means: not yet."""


class Place(Protocol):
    """The node of an edge."""

    name: bytes
    state: ReplicaState


class Session:
    """One that is logged in."""

    def __init__(self) -> None:
        self.user = 0
        self.stream = b""
        self.login = (0, 0)
        self.ticket = self.round = 0


class Edge:
    """A node's router. It is its own `Ways`, `Accounts` and `Phones`."""

    def __init__(
        self, place: Place, partitions: int, say: Callable[[bytes, bytes, str, Sequence[Any]], None]
    ) -> None:
        self.me = place.name
        self.partitions = partitions
        self.outlets: Mapping[int, Callable[[Effect], None]] = {}
        self._place = place
        self._say = say
        self._reached: set[tuple[bytes, str]] = set()
        self._primaries: list[bytes | None] = [None] * partitions
        self._mail = MailState(MailSettings(), BEGAN_MS)
        self.router = Router(RoutingState(RoutingSettings(), self, self._mail, self, self))

    def log_in(self, index: int) -> None:
        """Somebody is there."""
        user = number_of(index)
        self.router.seat(Session(), user, stream_of(index), (1, index))

    def connected(self, peer: bytes) -> None:
        """All links to it stand."""
        for channel in codes.CHANNELS:
            self._reached.add((peer, channel))
            self.router.connected(peer, channel)

    def disconnected(self, peer: bytes) -> None:
        """None does any more."""
        for channel in codes.CHANNELS:
            self._reached.discard((peer, channel))
            self.router.disconnected(peer, channel)

    def step(self, now: int) -> None:
        """Time has passed, and claims may be others."""
        self._mail.now = BEGAN_MS + now
        parts = self._place.state.parts
        served = self.router.state.served
        gone = [p for p in served if parts[p].phase != SERVING]
        come = [part.number for part in parts if part.phase == SERVING and part.number not in served]
        self.router.cease(gone)
        self.router.serve(come)
        for p in range(self.partitions):
            primary = self.primary_of(p)
            if primary != self._primaries[p]:
                self._primaries[p] = primary
                self.router.claimed(p)
        self.router.tick()
        self.router.end_pass()

    def received(self, peer: bytes, channel: str, message: list[Any]) -> None:
        """A message came."""
        self.router.received(peer, channel, message)
        self.router.end_pass()

    # ---- Ways ----------------------------------------------------------------------------------

    def partition_of(self, user: int) -> int:
        return user % self.partitions

    def primary_of(self, p: int) -> bytes | None:
        claim = self._place.state.parts[p].claim
        return None if claim is None else claim.primary

    def epoch_of(self, p: int) -> int:
        claim = self._place.state.parts[p].claim
        return 0 if claim is None else claim.epoch

    def send(self, peer: bytes, channel: str, message: tuple[object, ...]) -> bool:
        if (peer, channel) not in self._reached:
            return False
        self._say(self.me, peer, channel, message)
        return True

    def reset(self, peer: bytes, channel: str) -> None:
        raise AssertionError(f"a message on {channel} made no sense")

    def is_cut_off(self, peer: bytes) -> bool:
        return False

    def public_of(self, peer: bytes) -> tuple[str, int] | None:
        return None

    def may_register(self, p: int) -> bool:
        return True

    def may_be_pledged(self, p: int) -> bool:
        return True

    # ---- Accounts and Phones -------------------------------------------------------------------

    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        done(0)

    def request_pin(self, user: int, address: str, done: Callable[[Outcome], None]) -> None:
        raise AssertionError("nobody asks")

    def register(
        self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Callable[[Outcome], None]
    ) -> None:
        raise AssertionError("nobody asks")

    def login(
        self, user: int, nonce: bytes, certificate: bytes, sign: bytes, address: str,
        done: Callable[[Outcome], None],
    ) -> None:  # fmt: skip
        raise AssertionError("nobody asks")

    def welcome(self, session: Any, waiting: int) -> bool:
        return True

    def end(self, session: Any, code: int) -> None:
        raise AssertionError("a session was ended")

    def move(self, session: Any, host: str, port: int) -> None:
        raise AssertionError("nobody is sent away")
