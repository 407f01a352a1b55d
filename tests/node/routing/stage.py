"""Two nodes whose links carry everything at once, for tests of one rule each."""

from collections.abc import Callable
from typing import Any

import cbor2

from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Registered
from node.mail import effects
from node.mail.committing import Outcome as Written
from node.mail.driver import MailDriver
from node.mail.settings import MailSettings
from node.mail.state import MailState
from node.routing import codes
from node.routing.router import Router
from node.routing.settings import RoutingSettings
from node.routing.state import RoutingState
from store.results import Result
from tests.node.mail.disk import DictTables, Disk

PARTITIONS = 4
NOW = 1_000_000_000_000


def appended(message: tuple[Any, ...]) -> tuple[Any, ...]:
    """A message as a release to come may say it: with more at the end of it, and of each session that it announces."""
    known = [
        [[*one, "new"] for one in part]
        if type(part) is list and part and isinstance(part[0], list | tuple)
        else part
        for part in message
    ]
    return (*known, {"new": [1, 2]}, None)


class Session:
    """A connection at an edge."""

    def __init__(self) -> None:
        self.user = 0
        self.stream = b""
        self.login = (0, 0)
        self.ticket = self.round = 0
        self.said: list[tuple[Any, ...]] = []
        self.ended: int | None = None

    def frames(self, *wanted: int) -> list[tuple[Any, ...]]:
        """What it was told by the mail core since the last time, by the codes of its effects."""
        found = [effect for effect in self.said if effect[0] in wanted or not wanted]
        self.said = [effect for effect in self.said if effect not in found]
        return found


class Tables(DictTables):  # type: ignore[misc]
    def partition_of(self, user: int) -> int:
        return user % PARTITIONS


class Node:
    """Its `Ways`, `Accounts`, `Phones`, and a group that writes at once."""

    partitions = PARTITIONS

    def __init__(self, stage: "Stage", name: bytes, **settings: int) -> None:
        self.stage = stage
        self.me = name
        self.disk = Disk()
        self.mail = MailState(MailSettings(), NOW)
        self.outlets: dict[int, Callable[[tuple[Any, ...]], None]] = dict.fromkeys(range(7), self._tell)
        self.resets: list[tuple[bytes, str]] = []
        self.asked: list[tuple[Any, ...]] = []
        self.moves: list[tuple[str, int]] = []
        self.majority = True
        self.pledged = True
        self.looks = 0  # how often it was asked whether a majority has pledged
        self.verdict = 0
        self.held: list[Callable[[], None]] | None = None  # answers of accounts that wait, if any do
        self.router = Router(RoutingState(RoutingSettings(**settings), self, self.mail, self, self))
        self.tables = Tables(self.disk, self)
        self.driver = MailDriver(
            self.mail,
            self.tables,
            self.router.outlets(),
            lambda user: True,
            lambda user, generation: None,
            self,
            self.router.ended,
        )

    # the group

    def read(self, fn: Callable[[Any], Any], done: Callable[[Result], None]) -> None:
        done(Result(value=fn(self.disk)))

    def commit(self, writes: Any, done: Callable[[Written], None]) -> None:
        self.disk.apply(writes)
        self.stage.later.append(lambda: self.within(done, Written(copies=2)))

    # Ways

    def partition_of(self, user: int) -> int:
        return user % PARTITIONS

    def primary_of(self, p: int) -> bytes | None:
        return self.stage.primaries.get(p)

    def epoch_of(self, p: int) -> int:
        return self.stage.epoch

    def send(self, peer: bytes, channel: str, message: tuple[Any, ...]) -> bool:
        if (self.me, peer, channel) in self.stage.shut:
            return False
        packed = cbor2.dumps(appended(message) if self.me in self.stage.newer else message)
        self.stage.sent.append((self.me, channel, message))
        self.stage.later.append(lambda: self.stage.hand(self.me, peer, channel, packed))
        return True

    def reset(self, peer: bytes, channel: str) -> None:
        self.resets.append((peer, channel))

    def is_cut_off(self, peer: bytes) -> bool:
        return peer in self.stage.cut_off

    def public_of(self, peer: bytes) -> tuple[str, int] | None:
        return (f"{peer.decode()}.example", 7443)

    def may_register(self, p: int) -> bool:
        self.looks += 1
        return self.majority and self.pledged

    def may_be_pledged(self, p: int) -> bool:
        return self.majority

    # Accounts

    def request_pin(self, user: int, address: str, done: Callable[[Outcome], None]) -> None:
        self._answer(lambda: done(PinSent(user, 1_000, 2_000)), "pin", user, address)

    def register(
        self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Callable[[Outcome], None]
    ) -> None:
        self._answer(lambda: done(Registered(user, 1, False, None)), "register", user, pin, address)

    def login(
        self,
        user: int,
        nonce: bytes,
        certificate_sha256: bytes,
        signature: bytes,
        address: str,
        done: Callable[[Outcome], None],
    ) -> None:
        self._answer(lambda: done(LoggedIn(user, user.to_bytes(8, "big"), 1)), "login", user, address)

    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        done(self.verdict)

    def _answer(self, call: Callable[[], None], *what: Any) -> None:
        self.asked.append(what)
        if self.held is None:
            call()
        else:
            self.held.append(call)

    # Phones

    def _tell(self, effect: tuple[Any, ...]) -> None:
        session = self.router.state.sessions[effect[1]]
        assert isinstance(session, Session)
        session.said.append(effect)

    def welcome(self, session: Any, waiting: int) -> bool:
        first = (effects.BACKLOG,) not in session.said
        session.said.append((effects.BACKLOG,))
        return first

    def end(self, session: Any, code: int) -> None:
        session.ended = code

    def move(self, session: Any, host: str, port: int) -> None:
        self.moves.append((host, port))

    # a pass

    def within(self, call: Callable[..., Any], *arguments: Any) -> None:
        """One thing that happens, and the end of the pass."""
        self.mail.now = self.stage.now
        call(*arguments)
        self.driver.drain()
        self.driver.tick()
        self.driver.drain()
        self.router.end_pass()
        self.driver.drain()
        self.mail.check()
        self.router.check()

    def said(self, channel: str, code: int) -> list[tuple[Any, ...]]:
        """What it sent to the other node since the beginning."""
        return [m for node, on, m in self.stage.sent if (node, on, m[0]) == (self.me, channel, code)]

    def login_of(self, user: int) -> Session:
        """A session that logs in."""
        session = Session()

        def done(outcome: Outcome) -> None:
            assert isinstance(outcome, LoggedIn)
            self.router.seat(session, outcome.user, outcome.stream, outcome.login)

        self.within(self.router.login, user, bytes(32), b"", bytes(64), "10.0.0.1", done)
        self.stage.run()
        return session


class Stage:
    """`run` until nothing is left to do."""

    def __init__(self, **settings: int) -> None:
        self.now = NOW
        self.epoch = 1
        self.primaries: dict[int, bytes] = {0: b"a", 1: b"b", 2: b"a", 3: b"b"}
        self.later: list[Callable[[], None]] = []
        self.sent: list[tuple[bytes, str, tuple[Any, ...]]] = []
        self.shut: set[tuple[bytes, bytes, str]] = set()
        self.cut_off: set[bytes] = set()
        self.newer: set[bytes] = set()  # nodes of a release to come, which says more than this one knows
        self.a = Node(self, b"a", **settings)
        self.b = Node(self, b"b", **settings)
        self.nodes = {b"a": self.a, b"b": self.b}
        for node in self.nodes.values():
            for p, primary in self.primaries.items():
                if primary == node.me:
                    node.within(self.serve, node, p)
        self.connect()

    def serve(self, node: Node, p: int) -> None:
        node.driver.serve((p,))
        node.router.serve((p,))

    def connect(self) -> None:
        for node, peer in ((self.a, b"b"), (self.b, b"a")):
            for channel in codes.CHANNELS:
                node.within(node.router.connected, peer, channel)
        self.run()

    def disconnect(self) -> None:
        self.later.clear()
        for node, peer in ((self.a, b"b"), (self.b, b"a")):
            for channel in codes.CHANNELS:
                self.shut.add((node.me, peer, channel))
                node.within(node.router.disconnected, peer, channel)

    def mend(self) -> None:
        self.shut.clear()
        self.connect()

    def hand(self, sender: bytes, peer: bytes, channel: str, packed: bytes) -> None:
        node = self.nodes[peer]
        node.within(node.router.received, sender, channel, cbor2.loads(packed))

    def run(self) -> None:
        while self.later:
            self.later.pop(0)()

    def wait(self, ms: int) -> None:
        """Time passes, with ticks."""
        until = self.now + ms
        while self.now < until:
            self.now = min(until, self.now + 100)
            for node in self.nodes.values():
                node.within(node.router.tick)
            self.run()

    def claim(self, p: int, name: bytes) -> None:
        """A planned move."""
        self.epoch += 1
        former = self.nodes[self.primaries[p]]
        target = self.nodes[name]
        former.within(self._cease, former, p)
        self.primaries[p] = name
        target.within(self.serve, target, p)
        for node in self.nodes.values():
            node.within(node.router.claimed, p)
        self.run()

    def drop(self, p: int) -> None:
        """Its primary, by its claim, doesn't serve it any more."""
        node = self.nodes[self.primaries[p]]
        node.within(self._cease, node, p)
        self.run()

    def _cease(self, node: Node, p: int) -> None:
        node.router.cease((p,))
        node.driver.drop((p,))
