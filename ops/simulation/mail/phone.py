"""A device as the protocol tells it to behave. What it keeps is on a disk of its own, which is never lost.

It asks any node who serves its partition, stays there until that connection ends or nothing is answered for long, says
everything again that isn't settled, stores what it is handed before it acknowledges it, and hands each message to its
app once. It knows of nodes only what they say.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any, Final, Protocol

from node.mail import effects
from node.wire import verbs
from ops.simulation.mail.events import Composed, GivenUp, Handed, PairKey, Receipted, Ticked
from ops.simulation.trace import Trace

TICK_MS: Final = 20
PATIENCE_MS: Final = 300
"""After so long without an answer, everything is sent again; after four times as long it goes elsewhere."""
SEEK_MS: Final = 60
"""Between two questions who serves its partition."""


class Session:
    """One connection. The mail core sees its stream and its identity."""

    __slots__ = ("arrivals", "ended", "node", "stream", "user", "welcomed")

    def __init__(self, user: int, stream: bytes, node: int) -> None:
        self.user = user
        self.stream = stream
        self.node = node
        self.welcomed = False
        self.ended = False
        self.arrivals = [0, 0]  # when what was sent last to the node, and to the phone, arrives


class Exchange(Protocol):
    """How a phone reaches nodes."""

    trace: Trace

    def seek(self, phone: Phone, node: int) -> None:
        """Ask a node to be let in, or where to go."""
        ...

    def say(self, session: Session, frame: tuple[Any, ...]) -> None:
        """Send a frame."""
        ...

    def leave(self, session: Session) -> None:
        """Close the connection."""
        ...


class Phone:
    """One device of one user."""

    def __init__(
        self, user: int, seed: int, nodes: int, exchange: Exchange, patience_ms: int = PATIENCE_MS
    ) -> None:
        self.user = user
        self.patience = patience_ms
        self.stream = bytes([user]) * 8
        self._hand = random.Random(f"phone {seed} {user}")
        self._nodes = nodes
        self._exchange = exchange
        self._observe = exchange.trace.observe
        # kept
        self.next: dict[int, int] = {}  # recipient → last number used
        # Recipient → {n: body, or None for one given up}.
        self.outbox: dict[int, dict[int, bytes | None]] = {}
        self.held: dict[int, int] = {}  # recipient → until when the node wants to hear nothing
        # Recipient → what was gone back to: the same gap again says nothing new.
        self.back: dict[int, int] = {}
        self.seen: dict[tuple[int, bytes], set[int]] = {}  # (sender, stream) → numbers
        self.unacked: dict[tuple[int, bytes, int], None] = {}
        self.unconfirmed: dict[tuple[int, bytes], set[int]] = {}
        # the connection
        self.session: Session | None = None
        self._sought = -(10**9)
        self._told_to: int | None = None
        self._heard = 0
        self._spoke = 0

    def _key(self, recipient: int) -> PairKey:
        return (recipient, self.user, self.stream)

    # ---- connections ----------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Time has passed."""
        session = self.session
        if session is None:
            if now - self._sought >= SEEK_MS:
                self._sought = now
                node = self._told_to if self._told_to is not None else self._hand.randrange(self._nodes)
                self._told_to = None
                self._exchange.seek(self, node)
            return
        if session.ended or (not self.rests() and now - self._heard > 4 * self.patience):
            self.part()
            return
        if session.welcomed:
            for recipient, box in self.outbox.items():
                if box and now >= self.held.get(recipient, self._spoke + self.patience):
                    self.held.pop(recipient, None)
                    self.back.pop(recipient, None)
                    self._resend(recipient, now)
            if self._hand.random() < 0.5:
                self._ack_some()
            if now - self._spoke > 2 * self.patience:
                self._repeat(now)

    def let_in(self, session: Session, now: int) -> None:
        """A node has a session for it; the welcome follows."""
        if self.session is not None:
            self._exchange.leave(session)
            return
        self.session = session
        self._heard = now

    def sent_on(self, node: int | None) -> None:
        """A node says who serves it instead, if it knows."""
        self._told_to = node

    def welcomed(self, session: Session, now: int) -> None:
        """Logged in: what isn't settled is said again."""
        if session is self.session:
            session.welcomed = True
            self._heard = now
            for recipient in self.outbox:
                self._resend(recipient, now)
            self._repeat(now)

    def part(self) -> None:
        """Close the connection, with what is on its way."""
        session, self.session = self.session, None
        if session is not None:
            session.ended = True
            self._exchange.leave(session)
        self.held.clear()
        self.back.clear()

    # ---- sending --------------------------------------------------------------------------------------

    def compose(self, recipient: int, body: bytes, now: int) -> None:
        """The app sends something."""
        n = self.next[recipient] = self.next.get(recipient, 0) + 1
        self.outbox.setdefault(recipient, {})[n] = body
        self._observe(Composed(self._key(recipient), n, body))
        if self.session is not None and self.session.welcomed:
            self._transmit(recipient, n, now)

    def _transmit(self, recipient: int, n: int, now: int) -> None:
        assert self.session is not None
        box = self.outbox[recipient]
        base, body = next(iter(box)), box[n]
        self._spoke = now
        frame = ("skip", recipient, n, base) if body is None else ("send", recipient, n, base, body)
        self._exchange.say(self.session, frame)

    def _resend(self, recipient: int, now: int, start: int = 0) -> None:
        for n in self.outbox.get(recipient, {}):
            if n >= start:
                self._transmit(recipient, n, now)

    # ---- receiving ------------------------------------------------------------------------------------

    def _ack_some(self) -> None:
        """The app is done with some of what came, in no order."""
        ready = [one for one in self.unacked if self._hand.random() < 0.6]
        for one in ready:
            del self.unacked[one]
            sender, stream, n = one
            self.unconfirmed.setdefault((sender, stream), set()).add(n)
            self._ack(sender, stream, n, n)

    def _ack(self, sender: int, stream: bytes, first: int, last: int) -> None:
        assert self.session is not None
        self._exchange.say(self.session, ("ack", sender, stream, first, last))

    def _repeat(self, now: int) -> None:
        """Acks that nobody has confirmed."""
        self._spoke = now
        for (sender, stream), numbers in self.unconfirmed.items():
            run: deque[int] = deque()
            for n in sorted(numbers):
                if run and n > run[-1] + 1:
                    self._ack(sender, stream, run[0], run[-1])
                    run.clear()
                run.append(n)
            if run:
                self._ack(sender, stream, run[0], run[-1])

    def hear(self, session: Session, effect: tuple[Any, ...], now: int) -> None:
        """A frame of the node."""
        if session is not self.session:
            return
        self._heard = now
        code, _, *f = effect
        if code == effects.ACCEPTED:
            self._accepted(*f)
        elif code == effects.GAP:
            if now >= self.held.get(f[0], 0) and self.back.get(f[0]) != f[2]:
                self.back[f[0]] = f[2]
                self._resend(f[0], now, f[2] + 1)
        elif code == effects.BUSY:
            self.held[f[0]] = now + f[3]
            self.back.pop(f[0], None)
        elif code == effects.REFUSED:
            self._refused(f[0], f[2], now + max(f[4], 50))
        elif code == effects.DELIVER:
            self._delivered(*f)
        elif code == effects.RECEIPT:
            recipient, stream, kind, first, last = f
            self._observe(Receipted((recipient, self.user, stream), kind, first, last))
            self._exchange.say(session, ("confirm", recipient, stream, kind, first, last))
        elif code == effects.CONFIRM and f[2] == verbs.KIND_DELIVERED:
            self.unconfirmed.get((f[0], f[1]), set()).difference_update(range(f[3], f[4] + 1))

    def _accepted(self, recipient: int, stream: bytes, first: int, last: int, how: int) -> None:
        box = self.outbox.get(recipient, {})
        self.back.pop(recipient, None)
        for n in [n for n in box if first <= n <= last]:
            if box.pop(n) is not None:
                self._observe(Ticked(self._key(recipient), n, how))

    def _refused(self, recipient: int, n: int, until: int) -> None:
        box = self.outbox.get(recipient, {})
        if box.get(n) is not None:
            box[n] = None
            self._observe(GivenUp(self._key(recipient), n))
            self.held[recipient] = until
            self.back.pop(recipient, None)

    def _delivered(self, sender: int, stream: bytes, n: int, flags: int, arrived: int, body: bytes) -> None:
        seen = self.seen.setdefault((sender, stream), set())
        if n not in seen:
            late = bool(flags & verbs.FLAG_LATE) or n < max(seen, default=0)
            seen.add(n)
            self._observe(Handed((self.user, sender, stream), n, late, body))
            self.unacked[sender, stream, n] = None
        elif n in self.unconfirmed.get((sender, stream), ()):
            self._ack(sender, stream, n, n)
        else:
            self.unacked[sender, stream, n] = None

    def rests(self) -> bool:
        """Whether everything that it had to say was said and answered."""
        return not (self.unacked or any(self.outbox.values()) or any(self.unconfirmed.values()))
