"""A client core with its crash points laid open, a state that survives, and an app that keeps a diary."""

from random import Random
from typing import Any, Protocol

import attrs

from client import records
from client.core import Core
from client.effects import Ready
from client.events import Accepted, Close, Event, Kind, Receipt
from client.identity import Identity
from client.login import Phase
from client.records import Snapshot, StoredMessage, Write
from client.settings import Settings
from tests.client.fake_node import FakeNode, Session

SETTINGS = Settings(
    outbox_max=40,
    in_flight_max=6,
    in_flight_recipient_max=4,
    inbox_max=5,
    intervals_max=64,
    handover_max=2,
    lazy_writes_max=30,
)


class Store(Protocol):
    """What outlives a crash."""

    def commit(self, writes: list[Write]) -> None: ...
    def load(self) -> Snapshot: ...
    def inbox(self, after: int, limit: int) -> list[StoredMessage]: ...


class MemoryStore:
    """The model of a state file: a dictionary."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[tuple[Any, ...], tuple[Any, ...]]] = {
            name: {} for name in records.COLUMNS
        }

    def commit(self, writes: list[Write]) -> None:
        for table, key, row in writes:
            if row is None:
                self.tables[table].pop(key, None)
            else:
                self.tables[table][key] = row

    def load(self) -> Snapshot:
        def rows(table: str) -> tuple[records.Row, ...]:
            return tuple(sorted(self.tables[table].items()))

        inbox = self.tables[records.INBOX]
        return Snapshot(
            identity=rows(records.IDENTITY),
            outgoing=rows(records.OUTGOING),
            outbox=rows(records.OUTBOX),
            refusal=rows(records.REFUSAL),
            incoming=rows(records.INCOMING),
            inbox_count=len(inbox),
            inbox_last=max((key[0] for key in inbox), default=0),
        )

    def inbox(self, after: int, limit: int) -> list[StoredMessage]:
        rows = sorted((key[0], row) for key, row in self.tables[records.INBOX].items() if key[0] > after)
        return [StoredMessage(key, *row) for key, row in rows[:limit]]


@attrs.define
class Diary:
    """What the app was told, over all its lives."""

    handed: list[StoredMessage] = attrs.Factory(list)
    acked: set[tuple[int, bytes, int]] = attrs.Factory(set)
    """Handed messages whose app-ack is durable; they must never be handed again."""
    accepted: set[tuple[int, bytes, int]] = attrs.Factory(set)
    receipts: list[Receipt] = attrs.Factory(list)
    sent: dict[tuple[int, bytes, int], bytes] = attrs.Factory(dict)


class Phone:
    """link: the session on the node, or None. up: frames on their way to the node."""

    def __init__(self, user: int, node: FakeNode, store: Store, settings: Settings = SETTINGS) -> None:
        self.user, self.node, self.store, self.settings = user, node, store, settings
        self.diary = Diary()
        self.now = 0.0
        self.link: Session | None = None
        self.up: list[tuple[Any, ...]] = []
        self.events: list[Event] = []
        self._lives = 0
        self.start()

    def start(self) -> None:
        """A new process on the state that survived."""
        self._lives += 1
        self.core = Core(self.store.load(), self.settings, Random(self._lives))
        self.link = None
        self.up = []
        self.cursor = 0
        self.in_hand: StoredMessage | None = None

    def crash(self) -> None:
        self.disconnect()
        self.start()

    # ---- connection ----------------------------------------------------------------------------------

    def connect(self) -> None:
        if self.link is None and self.core.login.wants_connection:
            self.link = self.node.connect()
            self.core.connect(self.now, b"")
            self.step()

    def disconnect(self) -> None:
        if self.link is not None:
            self.node.disconnect(self.link)
            self.core.disconnect()
            self.link, self.up = None, []

    def read_one(self) -> None:
        """The client reads one frame; or finds that the connection is gone."""
        if self.link is None:
            return
        if self.link.out:
            self.core.receive(self.now, self.link.out.pop(0))
            self.step()
        elif self.link.closed:
            self.disconnect()

    def write_one(self) -> None:
        """The node reads one frame."""
        if self.link is not None and self.up:
            self.node.receive(self.link, self.up.pop(0))

    # ---- the driver's contract -----------------------------------------------------------------------

    def step(self, *, flush: bool = False, stop_before: str = "") -> None:
        """ready → commit → frames → events; `stop_before` is where the process dies."""
        self.core.check()
        ready = self.core.ready(self.now, flush=flush)
        if stop_before == "commit":
            self.crash()
            return
        self.store.commit(ready.writes)
        if stop_before == "frames":
            self.crash()
            return
        self._carry_out(ready)
        if stop_before == "end":
            self.crash()

    def _carry_out(self, ready: Ready) -> None:
        if self.link is not None:
            self.up.extend(ready.frames)
        for event in ready.events:
            self.events.append(event)
            if isinstance(event, Accepted):
                self.diary.accepted |= {
                    (event.recipient, event.stream, number) for number in range(event.first, event.last + 1)
                }
        closing = [event for event in ready.events if isinstance(event, Close)]
        if closing:
            self.disconnect()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.core.advance(self.now)
        self.step()

    # ---- the app -------------------------------------------------------------------------------------

    def register(self) -> None:
        """From nothing to logged in, without faults."""
        stream = bytes([self.user % 256, self._lives]) * 4
        self.core.request_pin(self.now, Identity(self.user, bytes([self.user % 256]) * 32, stream))
        self.settle()
        self.core.register(self.now, self.node.pins[self.user])
        self.settle()
        assert self.core.login.phase is Phase.ONLINE

    def settle(self) -> None:
        """Until nothing moves."""
        for _ in range(10_000):
            self.step()
            if self.link is None:
                self.connect()
            if self.up:
                self.write_one()
            elif self.link is not None and (self.link.out or self.link.closed):
                self.read_one()
            else:
                return
        raise AssertionError("it never settles")

    def send(self, recipient: int, body: bytes, stop_before: str = "") -> None:
        number = self.core.send(recipient, body, self.now)
        identity = self.core.login.identity
        assert identity is not None
        if stop_before != "commit":
            self.diary.sent[recipient, identity.stream, number] = body
        self.step(stop_before=stop_before)

    def hand(self) -> None:
        """The app takes the next message into its hands, if it has none in them."""
        if self.in_hand is None:
            page = self.store.inbox(self.cursor, 1)
            if page:
                (self.in_hand,) = page
                self.cursor = self.in_hand.id
                self.diary.handed.append(self.in_hand)
                key = (self.in_hand.sender, self.in_hand.stream, self.in_hand.number)
                assert key not in self.diary.acked, "handed again after its ack"

    def ack(self, *, read: bool = False, stop_before: str = "") -> None:
        if self.in_hand is not None:
            message, self.in_hand = self.in_hand, None
            self.core.take(message.id)
            if read:
                self.core.mark_read(message.sender, message.stream, message.number)
            if stop_before != "commit":
                self.diary.acked.add((message.sender, message.stream, message.number))
            self.step(stop_before=stop_before)

    def take_news(self) -> None:
        receipt = self.core.sending.next_news()
        if receipt is not None:
            self.diary.receipts.append(receipt)
            self.core.take_news(receipt)
            self.step()

    def told(self, kind: Kind) -> set[tuple[int, bytes, int]]:
        return {
            (receipt.recipient, receipt.stream, number)
            for receipt in self.diary.receipts
            if receipt.kind is kind
            for number in receipt.numbers
        }
