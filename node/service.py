"""The node as the hub sees it: connections become sessions, their frames go to accounts and mail, and at the end of
each pass mail's effects are carried out, once for all of them."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs

from node import arrival, talk
from node.accounts.gate import Gate
from node.accounts.numbercheck import NumberCheck
from node.accounts.outcomes import LoggedIn, Replaced
from node.accounts.service import Accounts
from node.clock import SteadyClock
from node.entrance import Entrance
from node.histogram import together
from node.hub.admission import DRAINING, STOPPING
from node.hub.connection import Reason
from node.hub.handing import let_go
from node.hub.listener import Listener
from node.mail import effects, expiry, pacing, presence, writebehind
from node.mail.committing import Committing
from node.mail.driver import MailDriver
from node.mail.rows import MailTables
from node.mail.settings import MailSettings
from node.mail.state import Effect, MailState
from node.mail.state import Handle as MailHandle
from node.outlet import Outlet, outlets_of
from node.retry import Spread
from node.seen import set_traced
from node.session import ASKING, GREETED, NEW, TALKING, Session
from node.settings import SessionSettings
from node.tapping import Tap
from node.tracing import Trace
from node.wire import errors
from node.wire.codec import decode_client, encode
from node.wire.limits import FRAME_MAX, FRAME_MAX_BEFORE_LOGIN, HEADER_SIZE
from node.wire.verbs import ACK, BYE, CONFIRM, ERROR, HELLO, LOGIN, PIN, PING, READ, REGISTER, SEND, SKIP

Handle = Callable[["Service", Session, tuple[Any, ...]], None]

_BEFORE: Mapping[int, Handle] = MappingProxyType({HELLO: arrival.hello, BYE: talk.bye})
_GREETED: Mapping[int, Handle] = MappingProxyType(
    {
        PIN: arrival.pin,
        REGISTER: arrival.register,
        LOGIN: arrival.login,
        PING: talk.ping,
        BYE: talk.bye,
    }
)
_ASKING: Mapping[int, Handle] = MappingProxyType({PING: talk.ping, BYE: talk.bye})
TALK: Mapping[int, Handle] = MappingProxyType(
    {
        SEND: talk.send,
        ACK: talk.ack,
        SKIP: talk.skip,
        READ: talk.read,
        CONFIRM: talk.confirm,
        PING: talk.ping,
        BYE: talk.bye,
    }
)
REFUSAL_RETRY_MS = (10_000, 20_000)
"""Told to connections that are refused before they can say anything: spread between these."""


class Service:
    """Implements the hub's `Handler`. `accounts` is set by the composition root before the hub runs."""

    remainder_max = HEADER_SIZE + FRAME_MAX

    def __init__(
        self,
        settings: SessionSettings,
        mail_settings: MailSettings,
        tables: MailTables,
        epoch_of: Callable[[int], int],
        known: Callable[[int], bool],
        numbers: NumberCheck,
        clock: SteadyClock,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        committing: Committing | None = None,
    ) -> None:
        self.settings = settings
        self.entrance = Entrance(settings, self._stuck)
        self.mail = MailState(mail_settings, clock())
        self.accounts: Accounts = None  # type: ignore[assignment]  # accounts and service know each other
        self.numbers = numbers
        self.in_pass = False
        self.dropped = 0
        self.rate_limited = 0
        self.logins = 0
        self._refusals = Spread()
        self.traces: dict[int, Trace] = {}
        self.held: dict[Session, int] = {}  # taken over, and not read from yet → when they are looked at
        self.tap: Tap | None = None
        self._clock = clock
        self._monotonic = monotonic
        self._tables = tables
        self._epoch_of = epoch_of
        self._handlers: tuple[Mapping[int, Handle], ...] = (_BEFORE, _GREETED, _ASKING, TALK)
        assert (NEW, GREETED, ASKING, TALKING) == (0, 1, 2, 3)
        self._outlet, outlets = self._speakers()
        self._driver = MailDriver(
            self.mail,
            tables,
            {**outlets},
            known,
            lambda user, generation: self.accounts.wiped(user, generation),
            committing,
            self._dropped,
        )

    def _speakers(self) -> tuple[Outlet, Mapping[int, Callable[[Effect], None]]]:
        """What writes to phones, and what mail says everything to."""
        outlet = Outlet(self.mail.sessions)
        return outlet, {**outlets_of(outlet), effects.BACKLOG: self._welcome}

    def _dropped(self, user: int, session: MailHandle) -> None:
        """Mail has forgotten the session: never here."""

    @property
    def sessions(self) -> Mapping[int, Session]:
        """Those whose socket is here, by user."""
        return self.mail.sessions  # type: ignore[return-value]

    def partition_of(self, user: int) -> int:
        """Where a user belongs."""
        return self._tables.partition_of(user)

    def seconds(self) -> float:
        """What is counted from one pass to another."""
        return self._monotonic()

    @property
    def gate(self) -> Gate:
        """Who answers requests for PINs, registrations and logins."""
        return self.accounts

    # ---- the hub's Handler ---------------------------------------------------------------------

    def make(self, fd: int, address: str, listener: Listener) -> Session:
        tls = listener.settings.tls
        return Session(fd, address, tls.certificate_sha256 if tls is not None else b"")

    def opened(self, session: Session) -> None:
        session.expect(self.settings.hello_s, strict=True)

    def received(self, session: Session, data: bytes) -> int:
        session.pinged = False
        frames: list[tuple[Any, ...]] = []
        bad: errors.WireError | None = None
        limit = FRAME_MAX if session.phase == TALKING else FRAME_MAX_BEFORE_LOGIN
        try:
            consumed = decode_client(data, limit, frames)
        except errors.WireError as error:
            bad = error
            consumed = len(data)
        if self.traces and session.user in self.traces:
            self.traces[session.user].received(frames)
        handlers = self._handlers
        for frame in frames:
            handle = handlers[session.phase].get(frame[0])
            if handle is None:
                session.unexpected(frame[0])
            else:
                handle(self, session, frame)
            if session.is_closing:
                return len(data)
        if bad is not None:
            session.refuse(bad.code, bad.text)
        return consumed

    def closed(self, session: Session, reason: Reason) -> None:
        self._forget(session)
        if session.user:
            presence.offline(self.mail, session.user, session)

    def _forget(self, session: Session) -> None:
        """Whatever it waits for."""
        if self.held:
            self.held.pop(session, None)
        self.entrance.leave(session)

    def quiet(self, session: Session) -> int:
        if self.held and session in self.held:  # it was forgotten: somebody else has logged in as this user
            session.refuse(errors.SUPERSEDED)
            return 1
        if session.phase != TALKING:
            session.refuse(errors.TIMEOUT)
            return 1
        if session.pinged:
            session.refuse(errors.TIMEOUT, "no answer to a ping")
            return 1
        session.pinged = True
        session.pack()
        session.write(encode((PING, False, 0)))
        return self.settings.ping_wait_s

    def failed(self, session: Session, error: Exception) -> None:
        session.refuse(errors.INTERNAL)

    def begin_pass(self) -> None:
        self.in_pass = True
        self.mail.now = self._clock()

    def end_pass(self) -> None:
        self.welcome_some()
        self.in_pass = False
        driver = self._driver
        driver.drain()
        driver.tick()
        self._outlet.flush()

    def _stuck(self) -> int:
        """Logins for whose answer nobody could be asked yet: none where it stands alone."""
        return 0

    def welcome_some(self) -> None:
        """Logins whose turn it is, behind the frames of those who are in."""
        if self.entrance.waiting:
            self.entrance.work(self._monotonic())

    def wake_at(self) -> float | None:
        due, turn = writebehind.wake_at(self.mail), self.entrance.wake_at()
        if due is None:
            return turn
        at = self._monotonic() + max(0, due - self._clock()) / 1000
        return at if turn is None else min(at, turn)

    def refusal(self, reason: str) -> bytes:
        code = errors.SHUTTING_DOWN if reason in (STOPPING, DRAINING) else errors.TOO_MANY_CONNECTIONS
        retry_ms = self._refusals.between(*REFUSAL_RETRY_MS)
        return encode((ERROR, code, errors.REGISTRY[code].text, retry_ms, None))

    def bye(self, session: Session, retry_ms: int) -> None:
        session.write(encode((BYE, errors.SHUTTING_DOWN, retry_ms)))

    # ---- sessions ------------------------------------------------------------------------------

    def begin(self, session: Session, login: LoggedIn) -> None:
        """The session takes over; it is welcomed when mail has looked at what waits for it."""
        if login.user in self.mail.wipes:
            session.refuse(errors.OVERLOADED, retry_ms=self.mail.settings.busy_retry_ms)
            return
        self.end_session(login.user, errors.SUPERSEDED)
        session.phase = ASKING
        session.user = login.user
        session.stream = login.stream
        presence.online(self.mail, login.user, session)

    def _welcome(self, effect: Effect) -> None:
        session: Session = effect[1]
        epoch = self._epoch_of(self._tables.partition_of(session.user))
        self._let_in(session, epoch, self.logins + 1, effect[2])

    def _let_in(self, session: Session, epoch: int, counter: int, waiting: int) -> None:
        if session.is_closing or session.fd < 0:
            return
        if waiting < 0:
            session.refuse(errors.INTERNAL)
            return
        if session in self.held:  # it was welcomed by the process that served it before
            self.let_go(session)
            return
        self.logins += 1
        if session.user in self.traces:
            set_traced(session, True)
        session.phase = TALKING
        if self.tap is not None:
            self.tap.welcomed(session)
        session.expect(self.settings.ping_after_s)
        session.write(encode((LOGIN, epoch, counter, waiting)))

    def let_go(self, session: Session) -> None:
        """A session that was taken over is known to mail: it may speak."""
        let_go(session.hub, session, self.held.pop(session))

    def end_session(self, user: int, code: int) -> None:
        """Close the session of a user, if there is one, saying why."""
        self._outlet.end_session(user, code)

    def replaced(self, replaced: Replaced) -> None:
        """A new device took over: the old one's session ends, and what waits for it."""
        self.end_session(replaced.user, errors.SUPERSEDED)
        expiry.wipe(self.mail, replaced.user, replaced.generation)

    # ---- the end, and the operator -------------------------------------------------------------

    def finish(self, deliver: Callable[[], object], more: Callable[[], bool]) -> bool:
        """After the hub has ended: write what waits, without its delays.

        Args:
            deliver: waits for a result of the store and delivers it.
            more: whether there is time for another round.

        Returns:
            False if something is left.
        """
        while more():
            self.hasten()
            self._driver.drain()
            self._driver.tick()
            if self.has_written:
                return True
            deliver()
        return False

    def hasten(self) -> None:
        """Let everything that waits to be written be due."""
        settings = self.mail.settings
        sync_ms = max(settings.sync_delay_ms, settings.sync_delay_ms_max)
        self.mail.now += max(settings.flush_delay_ms, sync_ms, settings.busy_retry_ms)

    @property
    def has_written(self) -> bool:
        """Whether nothing waits to be written."""
        return self.mail.committing is None and writebehind.wake_at(self.mail) is None

    def statistics(self) -> dict[str, Any]:
        """Numbers for the operator; cheap."""
        mail = self.mail
        latencies = mail.latencies
        return {
            "sessions": len(self.sessions),
            "logins": self.logins,
            "logins_waiting": self.entrance.waiting,
            "logins_waiting_max": self.entrance.room,
            "logins_put_off": self.entrance.put_off,
            "frames_dropped": self.dropped,
            "rate_limited": self.rate_limited,
            "mail": {
                **attrs.asdict(mail.counts),
                "accepted_ms": attrs.asdict(together(latencies.both, latencies.accepted)),
                "delivery_ms": attrs.asdict(together(latencies.both, latencies.delivered)),
                "pairs": len(mail.pairs),
                "boxes": len(mail.boxes),
                "pending": mail.pending,
                "pending_bytes": mail.pending_bytes,
                "urgent": len(mail.urgent),
                "delayed": len(mail.delayed),
                "sync_drawn_ms": pacing.delay_ms(mail) - mail.settings.sync_delay_ms,
                "dirty": len(mail.dirty),
                "dirty_receipts": len(mail.dirty_owed),
                "loads_waiting": mail.loads_waiting,
                "boxes_loading": len(mail.box_loading),
                "receipts": sum(map(len, mail.owed.values())),
                "receipts_loading": len(mail.owed_loading),
                "receipt_scans": len(mail.owed_scans),
                "reads_stalled": self._driver.stalled,
                "read_errors": self._driver.read_errors,
                "wipes": len(mail.wipes),
            },
        }
