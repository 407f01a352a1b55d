"""The load generator's loop: many connections in one epoll set, windows, rates, counts and latencies.

What a message looks like is a dialect's business: it derives from `Engine` and `Session`. The rules of the game
are here, so that they are the same for every server that is measured: what one read of a socket brings is
answered in one write; a session sends as soon as its window allows; with a rate, a message's latency counts from
the moment at which it was due. This module must never know a protocol.
"""

import heapq
import os
import select
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ops.bench.dialer import Dialer
from ops.bench.latency import Latencies
from ops.bench.plan import Counts, Order, Plan, Report
from ops.bench.session import LOGGING_IN, READY, LoadError, now_us

_EVENTS_MAX: Final = 256
_READ_SIZE: Final = 65_536
_PENDING_MAX: Final = 4_194_304
"""Bytes that wait for one socket: beyond, the server doesn't read what it is sent and the run is worthless."""
_ROUND_MAX: Final = 256
"""Messages that an open loop starts between two looks at the sockets."""
_RETRY_SECONDS: Final = 0.25

_IN: Final = select.EPOLLIN
_OUT: Final = select.EPOLLOUT


class Engine:
    """One generator process. Derive and implement `session`, `greet`, `receive` and `compose`."""

    def __init__(self, plan: Plan, orders: int, answer: Callable[[bytes], object]) -> None:
        self.plan = plan
        self.window = plan.window or sys.maxsize
        self.sending = False
        self.quota = 0
        self.sent = self.delivered = self.accepted = self.receipted = 0
        self.repeated = self.disordered = self.resent = self.connected = 0
        self.to_deliver = Latencies()
        self.to_accepted = Latencies()
        self.to_receipted = Latencies()
        self._orders = orders
        self._order_rest = b""
        self._answer = answer
        self._epoll = select.epoll()
        self._dialer = Dialer(plan, self._epoll, self.session, self._welcome, self.later)
        self._sessions = self._dialer.sessions
        self._senders: list[Any] = []
        self._next_sender = 0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._timer_number = 0
        self._began_us = 0
        self._started = 0
        self._overdue_us_max = 0
        self._quit = False

    # ---- what a dialect implements

    def session(self, index: int) -> Any:
        """A new session of this user."""
        raise NotImplementedError

    def greet(self, session: Any) -> bytes:
        """What to send first on a new connection."""
        raise NotImplementedError

    def receive(self, session: Any, data: bytes, now: int) -> bytes:
        """Take what one read brought; return what to answer. Call `ready` when logged in."""
        raise NotImplementedError

    def compose(self, session: Any, count: int, at: int) -> bytes:
        """The bytes of the next `count` messages of this session, whose latencies count from `at`.

        Update `session.flight`; `sent` is counted by the caller.
        """
        raise NotImplementedError

    # ---- what a dialect calls

    def ready(self, session: Any) -> None:
        """This session is logged in."""
        self._dialer.ready(session)
        self.connected += 1
        if session.partners:
            self._senders.append(session)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` after so many seconds."""
        self._timer_number += 1
        heapq.heappush(self._timers, (time.monotonic() + seconds, self._timer_number, act))

    def write(self, session: Any, data: bytes) -> None:
        """Write, or keep what the socket doesn't take."""
        if session.pending:
            session.pending += data
            if len(session.pending) > _PENDING_MAX:
                raise LoadError(f"user {session.index}: the server does not read what it is sent")
            return
        try:
            done = session.sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            done = 0
        except OSError as error:
            raise LoadError(f"user {session.index}: the server closed the connection ({error})") from error
        if done < len(data):
            session.pending = data[done:]
            self._epoll.modify(session.sock.fileno(), _IN | _OUT)

    def put_off(self, session: Any, seconds: float) -> None:
        """The server wants this login later: drop the connection and try again."""
        self._dialer.put_off(session, seconds)

    def _welcome(self, session: Any) -> None:
        if greeting := self.greet(session):
            self.write(session, greeting)

    # ---- the loop

    def run(self) -> None:
        """Follow orders until `quit` or the end of the input.

        Raises:
            LoadError: the server did what makes the measurement worthless.
        """
        self._epoll.register(self._orders, _IN)
        while not self._quit:
            self.step()
        self._dialer.close()

    def step(self) -> None:
        """One look at the sockets, and what is due."""
        for descriptor, mask in self._epoll.poll(self._timeout(), _EVENTS_MAX):
            if descriptor == self._orders:
                self._take_orders()
                continue
            session = self._sessions.get(descriptor)
            if session is None:
                continue
            if session.state >= LOGGING_IN:
                if mask & _OUT:
                    self._flush(session)
                if mask & ~_OUT:
                    self._read(session)
            else:
                self._dialer.advance(session)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()
        self._dialer.dial()
        if self.sending and self.plan.rate:
            self._send_due()

    def _timeout(self) -> float:
        if self.sending and self.plan.rate:
            return 0.001
        if self._timers:
            return max(0.0, self._timers[0][0] - time.monotonic())
        return -1

    def _read(self, session: Any) -> None:
        try:
            data = session.sock.recv(_READ_SIZE)
            if self.plan.tls:
                while session.sock.pending():
                    data += session.sock.recv(_READ_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError as error:
            data, reason = b"", str(error)
        else:
            reason = "end of stream"
        if not data:
            if session.state == READY:
                raise LoadError(f"user {session.index}: the server closed the session ({reason})")
            self.put_off(session, _RETRY_SECONDS)
            return
        now = now_us()
        out = self.receive(session, data, now)
        if (
            self.sending
            and session.partners
            and session.flight < self.window
            and not self.plan.rate
            and session.state == READY
        ):
            out += self._compose_window(session, now)
        if out:
            self.write(session, out)

    def _compose_window(self, session: Any, now: int) -> bytes:
        count: int = self.window - session.flight
        if self.quota:
            count = min(count, self.quota - self.sent)
            if count <= 0:
                return b""
        self.sent += count
        return self.compose(session, count, now)

    def _send_due(self) -> None:
        """Open loop: start every message whose moment has come, late ones with the time they were due at."""
        rate, senders = self.plan.rate, self._senders
        for _ in range(_ROUND_MAX):
            due_us = self._began_us + int(self._started * 1_000_000 / rate)
            late = now_us() - due_us
            if late < 0 or (self.quota and self.sent >= self.quota):
                break
            if late > self._overdue_us_max:
                self._overdue_us_max = late
            session = senders[self._next_sender]
            self._next_sender = (self._next_sender + 1) % len(senders)
            self._started += 1
            self.sent += 1
            self.write(session, self.compose(session, 1, due_us))

    def _flush(self, session: Any) -> None:
        data, session.pending = session.pending, b""
        self._epoll.modify(session.sock.fileno(), _IN)
        if data:
            self.write(session, data)

    # ---- orders

    def _take_orders(self) -> None:
        data = os.read(self._orders, _READ_SIZE)
        if not data:
            self._quit = True
            return
        *lines, self._order_rest = (self._order_rest + data).split(b"\n")
        for line in lines:
            self._obey(msgspec.json.decode(line, type=Order))

    def _obey(self, order: Order) -> None:
        match order.do:
            case "connect":
                self._dialer.want(order.first, order.last)
            case "begin":
                self._begin(order.messages)
            case "end":
                self.sending = False
            case "quit":
                self._quit = True
                return
        self._answer(msgspec.json.encode(self.report(order.do == "mark")) + b"\n")

    def _begin(self, messages: int) -> None:
        self.sending = True
        self.quota = messages and self.sent + messages
        self._began_us, self._started, self._overdue_us_max = now_us(), 0, 0
        if not self.plan.rate:
            for session in self._senders:
                if out := self._compose_window(session, now_us()):
                    self.write(session, out)

    def report(self, with_latencies: bool) -> Report:
        """The counts now; with the latencies since the last report that had them."""
        counts = Counts(
            sent=self.sent,
            delivered=self.delivered,
            accepted=self.accepted,
            receipted=self.receipted,
            repeated=self.repeated,
            disordered=self.disordered,
            resent=self.resent,
            login_retries=self._dialer.retries,
            connected=self.connected,
        )
        histograms: list[list[tuple[int, int]]] = [[], [], []]
        if with_latencies:
            for place, latencies in enumerate((self.to_deliver, self.to_accepted, self.to_receipted)):
                histograms[place] = latencies.pairs()
                latencies.clear()
        return Report(
            counts=counts,
            at_us=now_us(),
            cpu_seconds=time.process_time(),
            overdue_us_max=self._overdue_us_max,
            to_deliver=histograms[0],
            to_accepted=histograms[1],
            to_receipted=histograms[2],
        )
