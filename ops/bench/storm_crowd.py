"""A process of phones in a storm: `python -m ops.bench.storm_crowd`. Its coordinator is `ops.bench.storm_fleet`.

The first line on stdin is a crowd, the others are orders, each answered with a report on stdout. Everything is noted
with its time and told at the end; nothing is judged here. It ends at the end of its input, so it can't outlive its
coordinator.
"""

import heapq
import os
import select
import sys
import time
from collections import deque
from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Final

import msgspec

from client.settings import Settings
from node.wire.errors import REGISTRY
from ops.bench.orders import serve, write_all
from ops.bench.session import now_us
from ops.bench.storm_line import AWAY, OPEN, Line, Place, Watch
from ops.bench.storm_phone import StormPhone
from ops.bench.storm_plan import Crowd, Order, Phone, Refusal, Report, Return, Told
from ops.bench.storm_xmpp import XmppPhone

_EVENTS_MAX: Final = 256
_READ_SIZE: Final = 65_536
_ROUND_MAX: Final = 64
"""Messages begun between two looks at the sockets."""
_CODES: Final[Mapping[str, int]] = MappingProxyType({entry.name: code for code, entry in REGISTRY.items()})


class Away:
    """What a phone went through since its connection ended."""

    __slots__ = ("back", "first_try", "lost", "port", "refusals", "tries", "unanswered")

    def __init__(self, lost: int) -> None:
        self.lost = lost
        self.back = self.port = self.tries = self.first_try = self.unanswered = 0
        self.refusals: list[Refusal] = []


def _phone(crowd: Crowd, one: Phone, settings: Settings, random: Random, watch: Watch) -> Line:
    place = Place(one.user, one.port, crowd.ports, settings, random, watch)
    if crowd.dialect == "waystation":
        return StormPhone(place)
    return XmppPhone(place, managed=crowd.dialect == "xmpp-managed")


class Process:
    """All phones of this process, and what happened to them. Implements `storm_line.Watch`."""

    def __init__(self, crowd: Crowd, orders: int, answers: int) -> None:
        self._crowd = crowd
        self._orders, self._answers = orders, answers
        self._order_rest = b""
        self._epoll = select.epoll()
        self._epoll.register(orders, select.EPOLLIN)
        chance = Random(crowd.seed)
        settings = Settings(cut_spread=crowd.cut_spread)
        self._phones = {
            one.user: _phone(crowd, one, settings, Random(chance.getrandbits(64)), self)
            for one in crowd.phones
        }
        self._open: dict[int, Line] = {}
        self._waiting = deque(self._phones.values())
        self._entering: set[int] = set()
        self._timers: list[tuple[float, int, Line]] = []
        self._timer = 0
        self._online: set[int] = set()
        self._away: dict[int, Away] = {}
        self._senders = [(self._phones[one.user], one.to) for one in crowd.phones if one.to >= 0]
        self._sent: list[list[int]] = []  # [sender, at, accepted, delivered, returned]
        self._places: dict[tuple[int, int], int] = {}  # (sender, n) → its place there
        self._highest: dict[tuple[int, int], int] = {}  # (recipient, sender) → n
        self._undelivered = self._unaccepted = self._repeated = self._disordered = 0
        self._sending = False
        self._began = 0.0
        self._begun = 0
        self._quit = False

    # ---- the loop ----------------------------------------------------------------------------------------

    def run(self) -> None:
        """Until the end of the input.

        Raises:
            LoadError: a phone was refused for good.
        """
        while not self._quit:
            for descriptor, mask in self._epoll.poll(self._timeout(), _EVENTS_MAX):
                if descriptor == self._orders:
                    self._take_orders()
                elif (phone := self._open.get(descriptor)) is not None:
                    if mask & select.EPOLLOUT and phone.pending:
                        self._epoll.modify(descriptor, select.EPOLLIN)
                        phone.flush()
                    if phone.sock is not None:
                        phone.ready(time.monotonic(), readable=bool(mask & ~select.EPOLLOUT))
            self._advance()
            self._let_in()
            if self._sending:
                self._send_due()

    def _timeout(self) -> float:
        if self._sending:
            return 0.002
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else -1

    def _advance(self) -> None:
        now = time.monotonic()
        for _ in range(_EVENTS_MAX):
            if not self._timers or self._timers[0][0] > now:
                return
            when, _, phone = heapq.heappop(self._timers)
            if phone.due == when:
                if phone.state == AWAY:
                    self._note_try(phone)
                phone.advance(now)

    def _let_in(self) -> None:
        """At the beginning, some at a time."""
        while self._waiting and len(self._entering) < self._crowd.logins_parallel:
            phone = self._waiting.popleft()
            self._entering.add(phone.user)
            phone.connect(time.monotonic())

    def _send_due(self) -> None:
        period = 1 / (self._crowd.rate * len(self._senders))
        for _ in range(_ROUND_MAX):
            due = self._began + self._begun * period
            now = time.monotonic()
            if due > now:
                return
            phone, to = self._senders[self._begun % len(self._senders)]
            self._begun += 1
            number = phone.send(to, bytes(self._crowd.body_bytes), now)
            self._places[phone.user, number] = len(self._sent)
            self._sent.append([phone.user, round(due * 1e6), 0, 0, 0])
            self._undelivered += 1
            self._unaccepted += 1

    # ---- what phones tell --------------------------------------------------------------------------------

    def opened(self, phone: Line) -> None:
        assert phone.sock is not None
        self._open[phone.sock.fileno()] = phone
        self._epoll.register(phone.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        self.timed(phone)

    def connected(self, phone: Line) -> None:
        assert phone.sock is not None
        self._epoll.modify(phone.sock.fileno(), select.EPOLLIN)

    def closed(self, phone: Line) -> None:
        assert phone.sock is not None
        del self._open[phone.sock.fileno()]
        self._epoll.unregister(phone.sock.fileno())

    def blocked(self, phone: Line) -> None:
        assert phone.sock is not None
        self._epoll.modify(phone.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def timed(self, phone: Line) -> None:
        if phone.due is not None:
            self._timer += 1
            heapq.heappush(self._timers, (phone.due, self._timer, phone))

    def online(self, phone: Line) -> None:
        self._online.add(phone.user)
        self._entering.discard(phone.user)
        away = self._away.get(phone.user)
        if away is not None:
            away.back, away.port = now_us(), phone.port

    def lost(self, phone: Line) -> None:
        if phone.user in self._online:
            self._online.discard(phone.user)
            away = self._away.get(phone.user)
            if away is None:
                self._away[phone.user] = Away(now_us())
            else:
                away.back = 0

    def _note_try(self, phone: Line) -> None:
        away = self._away.get(phone.user)
        if away is not None:
            away.tries += 1
            away.first_try = away.first_try or now_us()

    def unanswered(self, phone: Line) -> None:
        away = self._away.get(phone.user)
        if away is not None:
            away.unanswered += 1

    def put_off(self, phone: Line, why: str, retry: float) -> None:
        away = self._away.get(phone.user)
        if away is None or phone.user in self._online:
            return
        code = _CODES.get(why)
        if code is None:  # the phone gave up waiting for an answer
            away.unanswered += 1
        else:
            away.refusals.append(Refusal(now_us(), round(retry * 1000), code))

    def arrived(self, phone: Line, sender: int, number: int) -> None:
        place = self._places.get((sender, number))
        highest = self._highest.get((phone.user, sender), 0)
        if place is None or self._sent[place][3]:
            self._repeated += 1
            return
        self._disordered += number != highest + 1
        self._highest[phone.user, sender] = max(highest, number)
        self._sent[place][3] = now_us()
        self._undelivered -= 1

    def accepted(self, phone: Line, number: int) -> None:
        told = self._sent[self._places[phone.user, number]]
        if not told[2]:
            told[2] = now_us()
            self._unaccepted -= 1

    def returned(self, phone: Line, number: int) -> None:
        self._sent[self._places[phone.user, number]][4] = now_us()

    # ---- orders ------------------------------------------------------------------------------------------

    def _take_orders(self) -> None:
        data = os.read(self._orders, _READ_SIZE)
        if not data:
            self._quit = True
            return
        *lines, self._order_rest = (self._order_rest + data).split(b"\n")
        for line in lines:
            order = msgspec.json.decode(line, type=Order)
            if order.do == "begin":
                self._sending, self._began, self._begun = bool(self._senders), time.monotonic(), 0
            elif order.do == "end":
                self._sending = False
            elif order.do == "leave":
                self._leave(order.ports)
            elif order.do == "silence":
                for phone in self._phones.values():
                    phone.silent = frozenset(order.ports)
            write_all(self._answers, msgspec.json.encode(self._report(order.do == "tell")) + b"\n")

    def _leave(self, ports: tuple[int, ...]) -> None:
        now = time.monotonic()
        for phone in tuple(self._open.values()):
            if phone.port in ports and phone.state == OPEN:
                phone.hang_up(now, 0.0, cut=True)

    def _report(self, everything: bool) -> Report:
        numbers = (
            len(self._online),
            len(self._sent),
            self._unaccepted + self._undelivered,
            self._repeated,
            self._disordered,
            len(self._away),
        )
        if not everything:
            return Report(*numbers)
        returns = tuple(
            Return(
                user,
                one.lost,
                one.back,
                one.port,
                one.tries,
                one.first_try,
                one.unanswered,
                tuple(one.refusals),
            )
            for user, one in self._away.items()
        )
        return Report(*numbers, returns, tuple(Told(*one) for one in self._sent))


def begin(crowd: Crowd, orders: int, answers: int) -> Process:
    """What a process does that is to be this crowd."""
    os.nice(crowd.nice)
    return Process(crowd, orders, answers)


def main() -> int:
    """Run one process."""
    return serve(Crowd, begin, lambda reason: Report(reason=reason))


if __name__ == "__main__":
    sys.exit(main())
