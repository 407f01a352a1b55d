"""Sessions without sockets: what phones said to another node is said again to this one, and nobody hears its answers.

A guest is a `Session` like any other, dealt with by the same handlers in the hub's passes. Only what stands around it
is another: where a connection has the hub, a guest has a `Nowhere`, which counts what is written by its kind and throws
it away. This module must never open a socket, nor know where what it is told comes from.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable
from typing import Any, Final

from node.hub.connection import CLOSING, Connection, Reason
from node.hub.errors import HubFull
from node.hub.failures import FailureLog
from node.hub.hub import Hub
from node.mail import presence
from node.service import Service
from node.session import ASKING, TALKING, Session
from node.wire import verbs
from node.wire.codec import decode_server
from node.wire.errors import REGISTRY, SUPERSEDED, WireError
from node.wire.limits import FRAME_MAX, HEADER_SIZE

GUESTS_MAX: Final = 200_000
HELD_BYTES_MAX: Final = 262_144
"""What a guest says before its mailbox is loaded waits, up to so much; then it is sent away."""
ADDRESS: Final = "tee"
"""What stands for the address of a guest."""
VERB_AT: Final = HEADER_SIZE + 1
"""Of a frame: behind its length and its array's head. The verb 24 takes two bytes, the first of which is 24, too."""


class Nowhere:
    """What a guest takes for its hub: all that a `Connection` asks of one."""

    __slots__ = ("_hub", "_scheduled", "_stage", "asleep", "closer", "dirty", "handler", "settings", "wheel")

    def __init__(self, hub: Hub[Session], stage: Stage) -> None:
        self._hub = hub
        self._stage = stage
        self._scheduled = False
        self.handler = hub.handler
        self.settings = hub.settings
        self.asleep = False
        self.closer = self.dirty = self.wheel = self

    @property
    def tick(self) -> int:
        """The wheel's."""
        return self._hub.wheel.tick

    def wake(self) -> None:
        """The hub is awake: guests are dealt with in its passes."""

    def place(self, connection: Connection, seconds: int) -> None:
        """Nobody looks at a guest that is silent: its phone was looked at by the other node."""

    def append(self, connection: Connection) -> None:
        """Something was written."""
        self._stage.wrote.append(connection)  # type: ignore[arg-type]
        self.schedule()

    def close(self, connection: Connection, reason: Reason, linger: bool = True) -> None:
        """The service is done with it."""
        if not connection.flags & CLOSING:
            connection.flags |= CLOSING
            self._stage.ended.append((connection, reason))  # type: ignore[arg-type]
            self.schedule()

    def schedule(self) -> None:
        """Have it swept in the next pass. If the hub is too full for that, the next that is said brings it about."""
        if not self._scheduled:
            try:
                self._hub.soon(self._sweep)
            except HubFull:
                return
            self._scheduled = True

    def _sweep(self) -> None:
        self._scheduled = False
        self._stage.sweep()


class Guest:
    """One session, and what it has said before it was let in."""

    __slots__ = ("held", "held_bytes", "key", "session")

    def __init__(self, key: Hashable, session: Session) -> None:
        self.key = key
        self.session = session
        self.held: list[bytes] = []
        self.held_bytes = 0


class Stage:
    """The guests of a node. All methods but `statistics` are for the hub's passes (`Hub.soon`).

    heard, told: frames in and out by verb. errors: error frames by name. ends: of guests, by reason.
    """

    def __init__(self, service: Service, hub: Hub[Session]) -> None:
        self._service = service
        self._nowhere = Nowhere(hub, self)
        self._failures = FailureLog()
        self._guests: dict[Hashable, Guest] = {}
        self._by_session: dict[Session, Guest] = {}
        self._numbers = 0
        self.wrote: deque[Session] = deque()
        self.ended: deque[tuple[Session, Reason]] = deque()
        self.heard: Counter[int] = Counter()
        self.told: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.failures = 0
        self.unknown = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._guests)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._guests

    def open(self, key: Hashable, user: int, stream: bytes) -> None:
        """Somebody is logged in, as the other node has found."""
        self.close(key)
        if len(self._guests) >= GUESTS_MAX:
            self.refused += 1
            return
        self._service.end_session(user, SUPERSEDED)
        self._numbers += 1
        session = Session(self._numbers, ADDRESS, b"")
        session.hub = self._nowhere  # type: ignore[assignment]
        session.phase, session.user, session.stream = ASKING, user, stream
        guest = self._guests[key] = self._by_session[session] = Guest(key, session)
        presence.online(self._service.mail, user, guest.session)

    def say(self, key: Hashable, data: bytes) -> None:
        """A guest says whole frames."""
        guest = self._guests.get(key)
        if guest is None:
            self.unknown += 1
        elif guest.session.phase == TALKING and not guest.held:
            self._hear(guest.session, data)
        else:
            guest.held.append(data)
            guest.held_bytes += len(data)
            if guest.held_bytes > HELD_BYTES_MAX:
                self._nowhere.close(guest.session, "held")

    def _hear(self, session: Session, data: bytes) -> None:
        if session.is_closing:
            return
        place, end = 0, len(data)
        while place + VERB_AT < end:
            self.heard[data[place + VERB_AT]] += 1
            place += HEADER_SIZE + int.from_bytes(data[place : place + HEADER_SIZE], "big")
        try:
            self._service.received(session, data)
        except Exception as error:  # noqa: BLE001 - as in the hub: it ends this session only
            self._failed(session, error, "connection")

    def _failed(self, session: Session, error: Exception, during: str) -> None:
        self.failures += 1
        self._failures.log(error, during, self._nowhere.tick)
        try:
            self._service.failed(session, error)
        except Exception as second:  # noqa: BLE001
            self._failures.log(second, "failed", self._nowhere.tick)
        self._nowhere.close(session, "failed")

    def close(self, key: Hashable) -> None:
        """A guest has gone."""
        guest = self._guests.get(key)
        if guest is not None:
            self._nowhere.close(guest.session, "gone")
            self._let_go()

    def sweep(self) -> None:
        """Count what was written, hear who was let in, and let go who was sent away."""
        while self.wrote:
            session = self.wrote.popleft()
            written, session.outbox = session.outbox, None
            for data in written if isinstance(written, list) else ():
                self._count(data)
            guest = self._by_session.get(session)
            if guest is not None and guest.held and session.phase == TALKING:
                held, guest.held, guest.held_bytes = guest.held, [], 0
                for data in held:
                    self._hear(session, data)
        self._let_go()

    def _count(self, data: bytes) -> None:
        verb = data[VERB_AT]
        self.told[verb] += 1
        if verb == verbs.ERROR:
            self.errors[error_in(data)] += 1

    def _let_go(self) -> None:
        while self.ended:
            session, reason = self.ended.popleft()
            guest = self._by_session.pop(session, None)
            if guest is not None:
                del self._guests[guest.key]
                self.ends[str(reason)] += 1
                try:
                    self._service.closed(session, reason)
                except Exception as error:  # noqa: BLE001 - the others want to be told too
                    self._failures.log(error, "closed", self._nowhere.tick)

    def statistics(self) -> dict[str, Any]:
        """Counts since the start."""
        return {
            "guests": len(self._guests),
            "heard": self.heard.total(),
            "told": self.told.total(),
            "failures": self.failures,
            "unknown": self.unknown,
            "refused": self.refused,
            "ends": dict(self.ends),
        }


def error_in(data: bytes) -> str:
    """Which error a frame of the verb ERROR tells, by its name in the registry."""
    frames: list[tuple[Any, ...]] = []
    try:
        decode_server(data, FRAME_MAX, frames)
    except WireError:
        return "unreadable"
    code = frames[0][1] if frames else 0
    return REGISTRY[code].name if code in REGISTRY else str(code)
