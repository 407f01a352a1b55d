"""Connections between nodes, made of a network that loses, doubles and reorders: what `replication.zeromq.links` is.

Each direction of each channel is a connection of its own. Whoever sends greets, with a number that rises; whoever
receives welcomes the highest, and from then on gives what comes in order and once. What stays lost ends the connection,
as does silence; then nothing is sent until the next one is welcomed. So a message is lost only together with all that
were sent after it on the same connection, and the sender is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

TICK_MS: Final = 10
"""How often `tick` is to be called at least."""
GREET_MS: Final = 40
PING_MS: Final = 30
SILENCE_MS: Final = 250
"""Without a word of whoever receives, a connection has ended."""
HOLE_MS: Final = 120
"""For so long whoever receives waits for what is missing."""

GREET: Final = 0
WELCOME: Final = 1
CARRY: Final = 2
PING: Final = 3
PONG: Final = 4
RESET: Final = 5

Attempt = tuple[int, int]
"""(life of the sender, which connection of that life)"""
Key = tuple[bytes, str]
"""(peer, channel)"""


class Receiver(Protocol):
    """What whoever has links implements."""

    def received(self, peer: bytes, channel: str, message: list[Any]) -> None: ...
    def connected(self, peer: bytes, channel: str) -> None: ...
    def disconnected(self, peer: bytes, channel: str) -> None: ...


class Outgoing:
    """What is sent to one peer on one channel."""

    __slots__ = ("acknowledged", "attempt", "greeted", "heard", "pinged", "sent", "up")

    def __init__(self) -> None:
        self.attempt = 0
        self.up = False
        self.greeted = -GREET_MS
        self.heard = 0
        self.pinged = 0
        self.sent = 0
        self.acknowledged = 0


class Incoming:
    """What comes from one peer on one channel."""

    __slots__ = ("ahead", "attempt", "hole_since", "next", "reset")

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self.next = 1
        self.ahead: dict[int, list[Any]] = {}
        self.hole_since: int | None = None
        self.reset = False  # nothing of this connection is read any more


class SimLinks:
    """All links of one life of a node.

    Args:
        life: higher than that of any former life.
        carry: (peer, words) puts something on the network.
        window: messages that may be under way on one connection; beyond it `send` says no.
    """

    def __init__(
        self,
        life: int,
        channels: Sequence[str],
        receiver: Receiver,
        carry: Callable[[bytes, Sequence[Any]], None],
        window: int,
    ) -> None:
        self._life = life
        self._channels = tuple(channels)
        self._receiver = receiver
        self._carry = carry
        self._window = window
        self._out: dict[Key, Outgoing] = {}
        self._in: dict[Key, Incoming] = {}
        self._attempts = 0
        self.now = 0
        self.refused = 0
        self.broken = 0
        self.clogged: set[Key] = set()
        """Nothing is taken for these now, as if their queues were full."""
        self.choked = 0  # how often that was so

    def meet(self, peers: Sequence[bytes]) -> None:
        """From now on there are links to these peers, and to no others."""
        for key in [key for key in self._out if key[0] not in peers]:
            if self._out.pop(key).up:
                self._receiver.disconnected(*key)
        for key in [key for key in self._in if key[0] not in peers]:
            del self._in[key]
        for peer in peers:
            for channel in self._channels:
                self._out.setdefault((peer, channel), Outgoing())

    def break_all(self) -> None:
        """Every connection ends, and is made anew."""
        for (peer, channel), link in list(self._out.items()):
            if link.up:
                self._down(peer, channel, link)

    # ---- what the node does ---------------------------------------------------------------------------

    def send(self, peer: bytes, channel: str, message: Sequence[Any]) -> bool:
        """Queue it. False: not connected, or too much is under way."""
        link = self._out.get((peer, channel))
        if self.clogs(peer, channel):
            return False
        if link is None or not link.up or link.sent - link.acknowledged >= self._window:
            self.refused += 1
            return False
        link.sent += 1
        self._say(peer, channel, CARRY, self._life, link.attempt, link.sent, message)
        if link.sent - link.acknowledged > self._window // 2 and self.now > link.pinged:
            self._ping(peer, channel, link)
        return True

    def clogs(self, peer: bytes, channel: str) -> bool:
        """Whether what is to be sent now isn't taken; counted."""
        found = (peer, channel) in self.clogged
        self.choked += found
        return found

    def _ping(self, peer: bytes, channel: str, link: Outgoing) -> None:
        link.pinged = self.now
        self._say(peer, channel, PING, self._life, link.attempt, link.sent)

    def reset(self, peer: bytes, channel: str) -> None:
        """What comes makes no sense: that connection ends."""
        incoming = self._in.get((peer, channel))
        if incoming is not None:
            self._end(peer, channel, incoming)

    def tick(self, now: int) -> None:
        """Time went by."""
        self.now = now
        for (peer, channel), link in list(self._out.items()):
            if link.up and now - link.heard > SILENCE_MS:
                self._down(peer, channel, link)
            if not link.up and now - link.greeted >= GREET_MS:
                link.greeted = now
                self._attempts += 1  # also higher than on a link that was closed meanwhile
                link.attempt = self._attempts
                link.sent = link.acknowledged = 0
                self._say(peer, channel, GREET, self._life, link.attempt)
            elif link.up and now - link.pinged >= PING_MS:
                self._ping(peer, channel, link)
        for (peer, channel), incoming in self._in.items():
            if incoming.hole_since is not None and now - incoming.hole_since > HOLE_MS:
                self._end(peer, channel, incoming)

    def _say(self, peer: bytes, channel: str, *words: Any) -> None:
        self._carry(peer, [channel, *words])

    def _down(self, peer: bytes, channel: str, link: Outgoing) -> None:
        link.up = False
        link.greeted = self.now - GREET_MS
        self.broken += 1
        self._receiver.disconnected(peer, channel)

    # ---- what comes -----------------------------------------------------------------------------------

    def received(self, peer: bytes, words: list[Any]) -> None:
        """Something of a peer's links."""
        channel, what, *rest = words
        if (peer, channel) not in self._out:
            return  # a stranger
        if what == GREET:
            self._greeted(peer, channel, (rest[0], rest[1]))
        elif what in (CARRY, PING):
            self._came(peer, channel, what, (rest[0], rest[1]), rest[2:])
        else:
            link = self._out[peer, channel]
            if rest[:2] != [self._life, link.attempt]:
                return
            if what == WELCOME:
                if not link.up:
                    link.up = True
                    link.heard = link.pinged = self.now
                    self._receiver.connected(peer, channel)
            elif what == PONG:
                link.heard = self.now
                link.acknowledged = max(link.acknowledged, rest[2])
            elif what == RESET and link.up:
                self._down(peer, channel, link)

    def _greeted(self, peer: bytes, channel: str, attempt: Attempt) -> None:
        incoming = self._in.get((peer, channel))
        if incoming is None or attempt > incoming.attempt:
            self._in[peer, channel] = Incoming(attempt)
        elif attempt < incoming.attempt or incoming.reset:
            return
        self._say(peer, channel, WELCOME, *attempt)

    def _came(self, peer: bytes, channel: str, what: int, attempt: Attempt, rest: list[Any]) -> None:
        incoming = self._in.get((peer, channel))
        if incoming is None or incoming.attempt != attempt or incoming.reset:
            if incoming is None or attempt >= incoming.attempt:
                self._say(peer, channel, RESET, *attempt)
            return
        if what == PING:
            if rest[0] >= incoming.next and incoming.hole_since is None:
                incoming.hole_since = self.now
            self._say(peer, channel, PONG, *attempt, incoming.next - 1)
            return
        sequence, message = rest
        if sequence >= incoming.next:
            incoming.ahead[sequence] = message
        while incoming.next in incoming.ahead and not incoming.reset:
            found = incoming.ahead.pop(incoming.next)
            incoming.next += 1
            incoming.hole_since = None
            self._receiver.received(peer, channel, found)
        if incoming.ahead and incoming.hole_since is None:
            incoming.hole_since = self.now

    def _end(self, peer: bytes, channel: str, incoming: Incoming) -> None:
        if not incoming.reset:
            incoming.reset = True
            incoming.hole_since = None
            incoming.ahead.clear()
            self._say(peer, channel, RESET, *incoming.attempt)
