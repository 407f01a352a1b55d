"""A phone of a storm: the client library's own core on a socket without more.

What the library keeps in a database stays in memory here, where nothing crashes. This module must never know what is
measured.
"""

import time

from client.core import Core
from client.events import Accepted, Arrived, Close, News, Online, Refused, Stopped
from client.identity import Identity
from client.records import CURRENT, Snapshot
from node.wire.codec import Decoder, decode_server, encode
from node.wire.limits import FRAME_MAX
from ops.bench.identities import index_of, number_of, seed_of, stream_of
from ops.bench.session import LoadError
from ops.bench.storm_line import OPEN, Line, Place


class StormPhone(Line):
    """One device of ours."""

    __slots__ = ("_decoder", "core")

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        user = place.user
        identity = Identity(number_of(user), seed_of(user), stream_of(user), 1)
        key, row = identity.write(CURRENT)[1:]
        assert row is not None
        self.core = Core(Snapshot(identity=((key, row),)), place.settings, place.random)
        self._decoder: Decoder | None = None

    def send(self, to: int, body: bytes, now: float) -> int:
        number = self.core.send(number_of(to), body, time.time())
        self._pump(now)
        return number

    def begin(self, now: float) -> None:
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self.core.connect(now, b"")
        self._pump(now)

    def take(self, now: float, data: bytes) -> None:
        assert self._decoder is not None
        for frame in self._decoder.feed(data):
            self.core.receive(now, frame)

    def forget(self) -> None:
        self.core.disconnect()

    def tick(self, now: float) -> None:
        self.core.advance(now)
        self._pump(now)

    def _pump(self, now: float) -> None:
        """Do what the core wants done."""
        while True:
            ready = self.core.ready(now, flush=True)
            if not ready:
                break
            if ready.frames and self.state == OPEN:
                self.write(b"".join(encode(frame) for frame in ready.frames))
            for event in ready.events:
                if isinstance(event, Close):
                    if event.retry or event.why:
                        self._watch.put_off(self, event.why, event.retry)
                    if self.state == OPEN:
                        self.hang_up(now, event.retry)
                    return
                self._react(event, now)
        if self.state == OPEN:  # else it waits for a connection, or to come back
            self.due = self.core.deadline()
            self._watch.timed(self)

    def _react(self, event: object, now: float) -> None:
        if isinstance(event, Arrived):
            self.core.take(event.message.id)
            self._watch.arrived(self, index_of(event.message.sender), event.message.number)
        elif isinstance(event, Accepted):
            for number in event.numbers:
                self._watch.accepted(self, number)
        elif isinstance(event, Online):
            self._returning.online(now)
            self._watch.online(self)
        elif isinstance(event, News):
            while (receipt := self.core.sending.next_news()) is not None:
                self.core.sending.take_news(receipt)
        elif isinstance(event, Stopped | Refused):
            raise LoadError(f"user {self.user}: {event}")
