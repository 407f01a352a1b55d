"""A device and its app, as the protocol tells them to behave; and one that behaves as it likes.

What a phone keeps (`outbox`, `seen`, `unconfirmed` …) is on its own disk and survives its connection; `up` and `down`
are the connection. It knows nothing of the node but the frames.
"""

from collections import deque

from node.mail import effects
from node.wire import verbs

ABOUT_SENDS = frozenset((effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED))
PATIENCE_MS = 400
"""After so long without an answer, everything is sent again."""


class Session:
    """One connection that logged in. The core sees its stream and its identity."""

    __slots__ = ("generation", "stream", "user", "welcomed")

    def __init__(self, phone):
        self.user = phone.user
        self.stream = phone.stream
        self.generation = phone.generation
        self.welcomed = False

    def __repr__(self):
        return f"<session {id(self):x} of {self.user}>"


class Phone:
    """One device of one number. `current` until the next device of the number is registered."""

    def __init__(self, user, stream, generation, *, hostile=False, careless=False):
        self.user = user
        self.stream = stream
        self.generation = generation
        self.hostile = hostile
        self.careless = careless  # stores what came in any order, and forgets what it has not stored
        self.current = True
        # as a sender
        self.next = {}  # recipient → the last number used
        self.outbox = {}  # recipient → {n: body, or None for a number given up}, ascending
        self.written = {}  # (recipient, n) → when
        self.held = {}  # recipient → until when the node wants to hear nothing
        self.back = {}  # recipient → the number that was gone back to: the same gap again says nothing new
        self.heard = {}  # recipient → when the node last answered
        self.ok = {}  # (recipient, n) → {how, …} of what was accepted as a message
        self.told = set()  # (recipient, kind, n)
        self.read_told = {}  # recipient → upto
        # as a recipient
        self.seen = {}  # (sender, stream) → {n: body}, in the order in which the app got them
        self.unacked = {}  # (sender, stream, n): received, the app dawdles
        self.unconfirmed = {}  # (sender, stream) → {n, …}
        self.reads = {}  # (sender, stream) → upto, not confirmed
        self.read_confirmed = {}
        # the connection
        self.session = None
        self.up = deque()
        self.down = deque()

    def __repr__(self):
        return f"<phone {self.user} {self.stream.hex()[:4]}{'' if self.current else ' (former)'}>"

    # ---- sending -------------------------------------------------------------------------------

    def compose(self, recipient, body, now):
        """The app sends something; its number."""
        n = self.next.get(recipient, 0) + 1
        self.next[recipient] = n
        self.outbox.setdefault(recipient, {})[n] = body
        self.written[recipient, n] = now
        if self.session is not None and self.session.welcomed:
            self._transmit(recipient, n)
        return n

    def _transmit(self, recipient, n):
        box = self.outbox[recipient]
        base = next(iter(box))
        body = box[n]
        if body is None:
            self.up.append(("skip", recipient, n, base))
        else:
            self.up.append(("send", recipient, n, base, body))

    def resend(self, recipient, start=0):
        """Everything from a number on, in order."""
        for n in self.outbox.get(recipient, ()):
            if n >= start:
                self._transmit(recipient, n)

    def give_up(self, before):
        """What was written before that time becomes a number to be skipped."""
        for recipient, box in self.outbox.items():
            for n, body in box.items():
                if body is not None and self.written[recipient, n] < before:
                    box[n] = None

    def release(self, now):
        """Send again what was held back for long enough, and what was not answered for too long."""
        if self.session is None or not self.session.welcomed:
            return
        for recipient, box in self.outbox.items():
            if box and now >= self.held.get(recipient, self.heard.get(recipient, 0) + PATIENCE_MS):
                self.held.pop(recipient, None)
                self.heard[recipient] = now
                self.resend(recipient)

    # ---- receiving -----------------------------------------------------------------------------

    def app_acks(self, hand):
        """The app is done with what came: acks, in ranges or one by one; sometimes it was read, too."""
        if not self.unacked:
            return
        by_pair = {}
        gaps = self.careless or hand.random() < 0.2
        for message in tuple(self.unacked):
            if not gaps or hand.random() < 0.4:
                sender, stream, n = message
                by_pair.setdefault((sender, stream), []).append(n)
                del self.unacked[message]
        for pair, numbers in by_pair.items():
            self.unconfirmed.setdefault(pair, set()).update(numbers)
            if hand.random() < 0.5:
                self._ack(pair, numbers)
            else:
                for n in numbers:
                    self.up.append(("ack", *pair, n, n))
            if hand.random() < 0.2:
                upto = max(self.seen[pair])
                self.reads[pair] = upto
                self.up.append(("read", *pair, upto))

    def _ack(self, pair, numbers):
        numbers = sorted(set(numbers))
        first = last = numbers[0]
        for n in numbers[1:]:
            if n != last + 1:
                self.up.append(("ack", *pair, first, last))
                first = n
            last = n
        self.up.append(("ack", *pair, first, last))

    # ---- the connection ------------------------------------------------------------------------

    def begin(self):
        """Welcomed: everything that isn't settled is said again."""
        for recipient in self.outbox:
            self.resend(recipient)
        for pair, numbers in self.unconfirmed.items():
            if numbers:
                self._ack(pair, numbers)
        for pair, upto in self.reads.items():
            self.up.append(("read", *pair, upto))

    def cut(self):
        """The connection is gone, with what was on its way."""
        self.session = None
        self.up.clear()
        self.down.clear()
        if self.careless:
            for sender, stream, n in self.unacked:
                self.seen[sender, stream].pop(n)
        self.unacked.clear()
        self.held.clear()
        self.back.clear()

    def receive(self, effect, hand, now):
        """A frame of the node."""
        code, _, *f = effect
        if code in ABOUT_SENDS:
            self.heard[f[0]] = now
        if code == effects.ACCEPTED:
            recipient, _, first, last, how = f
            self.back.pop(recipient, None)
            box = self.outbox.get(recipient, {})
            for n in [n for n in box if first <= n <= last] if last - first > 100 else range(first, last + 1):
                if n in box and box.pop(n) is not None:
                    self.ok.setdefault((recipient, n), set()).add(how)
                elif (recipient, n) in self.ok:
                    self.ok[recipient, n].add(how)
        elif code == effects.GAP:
            recipient, _, high = f
            if self.back.get(recipient) != high:
                self.back[recipient] = high
                self.resend(recipient, high + 1)
        elif code == effects.BUSY:
            recipient, _, _, retry = f
            self.back.pop(recipient, None)
            self.held[recipient] = now + retry
        elif code == effects.REFUSED:
            recipient, _, n, _, _ = f
            self.back.pop(recipient, None)
            if self.outbox.get(recipient, {}).get(n) is not None:
                self.outbox[recipient][n] = None
                self.resend(recipient, n)
        elif code == effects.DELIVER:
            sender, stream, n, _, _, body = f
            self.seen.setdefault((sender, stream), {}).setdefault(n, body)
            if n in self.unconfirmed.get((sender, stream), ()):
                self.up.append(("ack", sender, stream, n, n))  # stored, and said so before
            else:
                self.unacked[sender, stream, n] = None
            if hand.random() < 0.6:
                self.app_acks(hand)
        elif code == effects.RECEIPT:
            recipient, stream, kind, first, last = f
            if kind == verbs.KIND_READ:
                self.read_told[recipient] = max(last, self.read_told.get(recipient, 0))
            else:
                for n in range(first, last + 1):
                    self.told.add((recipient, kind, n))
            self.up.append(("confirm", recipient, stream, kind, first, last))
        elif code == effects.CONFIRM:
            self._confirmed(*f)

    def _confirmed(self, sender, stream, kind, first, last):
        pair = (sender, stream)
        if kind == verbs.KIND_DELIVERED:
            unconfirmed = self.unconfirmed.get(pair)
            if unconfirmed:
                unconfirmed.difference_update(range(first, last + 1))
        elif self.reads.get(pair, last + 1) <= last:
            self.read_confirmed[pair] = self.reads.pop(pair)

    def rests(self):
        """Whether everything it had to say was said and answered."""
        return not (
            self.up
            or self.down
            or self.unacked
            or self.reads
            or any(self.outbox.values())
            or any(self.unconfirmed.values())
        )


def mischief(phone, hand, users, streams):
    """A frame that no honest client would send, and that the wire lets through."""
    recipient = hand.choice(users)
    used = phone.next.get(recipient, 0)
    pair = (recipient, hand.choice(streams))
    n = hand.choice((hand.randint(1, used + 3), used + hand.randint(1, 40), hand.randrange(1, 2**53)))
    roll = hand.random()
    if roll < 0.35:
        base = hand.choice((n, n, hand.randint(1, n)))
        return ("send", recipient, n, base, b"mischief %d" % hand.randrange(10**9))
    if roll < 0.45:
        return ("skip", recipient, n, hand.choice((n, hand.randint(1, n))))
    last = min(n + hand.choice((0, 0, 3, 40, 1023)), 2**53 - 1)
    if roll < 0.75:
        return ("ack", *pair, n, last)
    if roll < 0.85:
        return ("read", *pair, n)
    return ("confirm", recipient, phone.stream, hand.randint(1, 3), n, last)
