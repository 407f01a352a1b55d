"""A node that serves is brought to a standstill, and what is to be handed over is taken out of it; or it goes on.

In this order, so that plain connections pause as shortly as can be: TLS is sent away while they are served; then they
are held, what is in memory is written without its delays, and questions are answered; then all of it is taken out at
once, between two passes. Up to there everything can be taken back but the farewells.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeVar

import attrs
import trio

from node.handing.belongings import belongings_of
from node.handing.state import Handed, HandedListener, HandedSession
from node.hub import handing
from node.hub.connection import STRICT
from node.hub.hub import Hub
from node.hub.wheel import SLOTS
from node.service import Service
from node.session import ASKING, TALKING, Session

T = TypeVar("T")

LEAVING: Final = "upgrade"
"""The reason under which connections are counted that can't go over."""
LOOK_S: Final = 0.001
"""Between two looks at whether the node stands still."""
FAREWELLS_AT_ONCE: Final = 512


class NotStill(Exception):
    """The node doesn't come to a standstill in the time there is; it goes on. The text says what it waits for."""


@attrs.frozen
class Cargo:
    """What was taken out. `descriptors` are the caller's: of the listeners, then of the sessions."""

    handed: Handed
    descriptors: tuple[int, ...]
    sockets: tuple[socket.socket, ...] = attrs.field(repr=False, default=())
    """Keep the listeners' descriptors open."""


class Freezing:
    """Of one node. `held` are the connections that stand still, with the seconds until they are looked at.

    Args:
        retry_ms_max: TLS clients are told to come again after a time from 0 to this.
    """

    def __init__(self, hub: Hub[Session], service: Service, chance: Random, retry_ms_max: int) -> None:
        self.sent_away = 0
        self.began = 0.0
        self._hub = hub
        self._service = service
        self._belongings = belongings_of(service)
        self._keeps: str | None = None
        self._chance = chance
        self._retry_ms_max = retry_ms_max
        self._held: dict[Session, int] = {}

    # ---- TLS -----------------------------------------------------------------------------------

    async def send_encrypted_away(self) -> None:
        """Take no TLS client more, and say bye to those who are here. Returns when they are gone."""
        hub = self._hub
        await self._between(lambda: handing.pause_listeners(hub, encrypted=True))
        while await self._between(self._say_byes):  # noqa: ASYNC110 - passes of the hub bring it about
            await trio.sleep(LOOK_S)
        while await self._between(lambda: len(handing.encrypted_connections(hub))):  # noqa: ASYNC110
            await trio.sleep(LOOK_S * 10)

    def _say_byes(self) -> int:
        """To some; gives how many there were. Who is in the middle of a handshake can be told nothing."""
        said = 0
        for connection in self._hub.connections():
            if said >= FAREWELLS_AT_ONCE:
                break
            if connection.tls is not None:
                self._dismiss(connection)
                said += 1
        self.sent_away += said
        return said

    def _dismiss(self, session: Session) -> None:
        self._service.bye(session, self._chance.randint(0, self._retry_ms_max))
        session.close(LEAVING)

    # ---- standing still ------------------------------------------------------------------------

    async def hold(self, seconds_max: float, asking_s_max: float) -> None:
        """Hold every plain connection, and wait until nothing is left that only this process's memory knows.

        Args:
            asking_s_max: who waits for an answer to a login or the like so long is sent away.

        Raises:
            NotStill
        """
        self.began = time.monotonic()
        await self._between(self._hold_all)
        until = self.began + seconds_max
        while not await self._between(self._is_still):
            now = time.monotonic()
            if now >= until:
                raise NotStill(self._keeps)
            if now >= self.began + asking_s_max:
                await self._between(self._dismiss_asking)
            await trio.sleep(LOOK_S)

    def _hold_all(self) -> None:
        hub = self._hub
        handing.pause_listeners(hub, encrypted=False)
        for session in handing.plain_connections(hub):
            self._held[session] = handing.hold(hub, session)

    def _is_still(self) -> bool:
        self._keeps = self._belongings.keeps()
        if self._keeps is None and any(
            session.phase == ASKING and handing.is_there(session) for session in self._held
        ):
            self._keeps = "the answer to a login or a PIN didn't come in time"
        return self._keeps is None

    def _dismiss_asking(self) -> None:
        for session in self._held:
            if session.phase == ASKING and handing.is_there(session):
                self._dismiss(session)
                self.sent_away += 1

    async def go_on(self) -> None:
        """Nothing is handed over: serve as before."""
        await self._between(self._let_all_go)

    def _let_all_go(self) -> None:
        hub = self._hub
        for session, left in self._held.items():
            handing.let_go(hub, session, left)
        self._held.clear()
        handing.resume_listeners(hub)

    # ---- taking out ----------------------------------------------------------------------------

    async def take_out(self) -> Cargo:
        """Everything leaves the hub, whose run ends. There is no way back but to put it into another.

        Raises:
            Whatever describing it raises; nothing has left then.
        """
        return await self._between(self._take_out)

    def _take_out(self) -> Cargo:
        hub = self._hub
        described: list[tuple[Session, HandedSession]] = []
        for session, left in self._held.items():
            if handing.is_there(session):
                belongings = self._belongings.of(session) if session.phase == TALKING else {}
                described.append((session, _described(session, left, belongings)))
        handed = Handed(**self._belongings.whole())
        # up to here nothing was touched: what fails, fails while the node can go on
        descriptors: list[int] = []
        sessions: list[HandedSession] = []
        for session, one in described:
            fd, outbox = handing.take_out(hub, session)
            sessions.append(attrs.evolve(one, outbox=outbox))
            descriptors.append(fd)
        listeners = handing.take_listeners_out(hub)
        handing.end(hub)
        return Cargo(
            attrs.evolve(
                handed,
                listeners=tuple(HandedListener(name=one.settings.name) for one in listeners),
                sessions=tuple(sessions),
            ),
            (*(one.socket.fileno() for one in listeners), *descriptors),
            tuple(one.socket for one in listeners),
        )

    async def _between(self, function: Callable[[], T]) -> T:
        """What a function gives, called between two passes.

        Raises:
            Whatever it raises.
        """
        done = trio.Event()
        found: list[T] = []
        failed: list[Exception] = []

        def call() -> None:
            try:
                found.append(function())
            except Exception as error:  # noqa: BLE001 - it is the caller's, and must not end the hub
                failed.append(error)
            done.set()

        handing.soon(self._hub, call)
        await done.wait()
        if failed:
            raise failed[0]
        return found[0]


def _described(session: Session, left_s: int, belongings: dict[str, Any]) -> HandedSession:
    if session.due >= 0:  # it was placed anew while it was held
        left_s = (session.due - session.hub.wheel.tick) % SLOTS
    talking = session.phase == TALKING
    return HandedSession(
        address=session.address,
        phase=session.phase,
        user=session.user if talking else 0,
        stream=session.stream if talking else b"",
        nonce=session.nonce,
        pinged=session.pinged,
        paid_until=session.paid_until,
        inbox=session.inbox or b"",
        outbox=b"",
        strict=bool(session.flags & STRICT),
        patience=session.patience,
        idle_s=session.idle_s,
        left_s=left_s,
        **belongings,
    )
