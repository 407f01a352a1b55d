"""Everything that came from the node: stored once, acked when stored, acked again until confirmed.

While the app is behind (the inbox is full) messages are stored but not acked; the node stops after its window.
This module must never know of connections or of messages sent.
"""

from client.effects import Effects
from client.events import Arrived, Close
from client.incoming import Incoming
from client.records import INBOX, INCOMING, Snapshot, StoredMessage
from client.settings import Settings
from node.wire import verbs
from node.wire.limits import WINDOW_MAX


class Receiving:
    """The inbox and its acks."""

    def __init__(self, effects: Effects, settings: Settings) -> None:
        self.inbox_count = 0
        self.stored = self.duplicates = self.forgotten = self.ignored = 0
        self._effects, self._settings = effects, settings
        self._online = False
        self._window = WINDOW_MAX
        self._left_behind = False
        """Messages came when not even a window more could be stored: a login after which the node began with others
        than those that were stored and not acked. They weren't taken."""
        self._incoming: dict[tuple[int, bytes], Incoming] = {}
        self._inbox_last = 0
        self._heard = 0
        self._dirty: dict[Incoming, None] = {}
        self._acking: dict[Incoming, None] = {}
        self._withholding: dict[Incoming, None] = {}
        self._reading: dict[Incoming, None] = {}
        self._unsettled: dict[Incoming, None] = {}
        self._repeat_at: float | None = None

    def restore(self, snapshot: Snapshot) -> None:
        """Take up what the state held; the dictionary's order is that of being heard."""
        pairs = sorted((Incoming.of_row(row) for row in snapshot.incoming), key=lambda pair: pair.heard)
        self._incoming = {(pair.sender, pair.stream): pair for pair in pairs}
        self._heard = pairs[-1].heard if pairs else 0
        self._unsettled = {pair: None for pair in pairs if not pair.is_settled}
        self.inbox_count, self._inbox_last = snapshot.inbox_count, snapshot.inbox_last

    @property
    def is_full(self) -> bool:
        """Whether acks are withheld."""
        return self.inbox_count >= self._settings.inbox_max

    # ---- what the app does ---------------------------------------------------------------------------

    def take(self, message_id: int) -> None:
        """The app has this message: it goes from the inbox. Call once for each."""
        self.inbox_count -= 1
        assert self.inbox_count >= 0
        self._effects.write((INBOX, (message_id,), None), urgent=True)
        if self.is_full:
            return
        self._release()
        if self._left_behind:  # the node delivers again at a login, and only then
            self._left_behind = False
            self._effects.events.append(Close("there is room again for what was left on the node"))

    def mark_read(self, sender: int, stream: bytes, upto: int) -> None:
        """The user has read everything of this sender up to this number."""
        pair = self._incoming.get((sender, stream))
        if pair is None or not pair.mark_read(upto):
            return
        self._dirty[pair] = self._unsettled[pair] = None
        self._effects.urgent = True
        if self._online:
            self._reading[pair] = None

    # ---- what the connection does --------------------------------------------------------------------

    def start(self, window: int) -> None:
        """Logged in: every ack and read mark that isn't confirmed is said again.

        Args:
            window: so many messages the node delivers at most without an ack.
        """
        self._online = True
        self._window = window
        self._repeat()

    def advance(self, now: float) -> None:
        """Say again what a busy node may have let fall."""
        if self._repeat_at is not None and self._repeat_at <= now:
            self._repeat_at = None
            self._repeat()

    @property
    def deadline(self) -> float | None:
        """When `advance` has something to do."""
        return self._repeat_at

    def stop(self) -> None:
        """The connection is gone."""
        self._online = self._left_behind = False
        self._repeat_at = None
        for pair in (*self._acking, *self._withholding):
            pair.forget_due()
        for pairs in (self._acking, self._withholding, self._reading):
            pairs.clear()

    def begin_device(self) -> None:
        """This device was registered anew: acks of the former one's mail mean nothing to the node."""
        assert not self._online
        for pair in self._unsettled:
            pair.forget_unconfirmed()
            self._dirty[pair] = None
        self._unsettled.clear()

    # ---- what the node says --------------------------------------------------------------------------

    def on_deliver(
        self, sender: int, stream: bytes, number: int, flags: int, arrived: int, body: bytes
    ) -> None:
        """A message, or a repeat of one."""
        if self.inbox_count >= self._settings.inbox_max + self._window:
            self.ignored += 1
            self._left_behind = True
            return
        pair = self._hear(sender, stream)
        if pair is None:
            self.ignored += 1
            return
        late = bool(flags & verbs.FLAG_LATE) or number < pair.received.highest
        if pair.receive(number):
            self.stored += 1
            self.inbox_count += 1
            self._inbox_last += 1
            message = StoredMessage(self._inbox_last, sender, stream, number, late, arrived, body)
            self._effects.write(message.write, urgent=True)
            self._effects.events.append(Arrived(message))
        else:
            self.duplicates += 1
            self._effects.urgent |= (INCOMING, (sender, stream)) in self._effects.writes
        self._dirty[pair] = self._unsettled[pair] = None
        self._due(pair, number, number)

    def on_confirm(self, sender: int, stream: bytes, kind: int, first: int, last: int) -> None:
        """The node has this ack or read mark on disk."""
        pair = self._incoming.get((sender, stream))
        if pair is None:
            return
        if kind == verbs.KIND_READ:
            pair.confirm_read(last)
        else:
            pair.confirm(first, last)
        if pair.is_settled:
            self._unsettled.pop(pair, None)
        self._dirty[pair] = None

    def gather(self, now: float) -> None:
        """Turn changed pairs into writes, due acks into frames, and then read marks."""
        frames = self._effects.frames
        if self._repeat_at is None and (self._acking or self._reading):
            self._repeat_at = now + self._settings.repeat_after
        for pair in self._dirty:
            pair.forget_beyond(self._settings.intervals_max)
            self._effects.write(pair.write)
        self._dirty.clear()
        for pair in self._acking:
            frames.extend(pair.ack_frames())
        self._acking.clear()
        frames.extend(pair.read_frame() for pair in self._reading)
        self._reading.clear()

    def check(self) -> None:
        """What must hold after every step."""
        heard = [pair.heard for pair in self._incoming.values()]
        assert heard == sorted(heard)
        for pair in self._incoming.values():
            pair.check()
            assert pair.is_settled == (pair not in self._unsettled)
        assert self._online or not (self._acking or self._withholding or self._reading)

    # ---- inside --------------------------------------------------------------------------------------

    def _hear(self, sender: int, stream: bytes) -> Incoming | None:
        key = (sender, stream)
        pair = self._incoming.pop(key, None)
        if pair is None:
            if len(self._incoming) >= self._settings.senders_max and not self._forget_one():
                return None
            pair = Incoming(sender, stream)
        self._heard += 1
        pair.heard = self._heard
        self._incoming[key] = pair
        return pair

    def _forget_one(self) -> bool:
        """Forget whom was heard least recently, if the node can't have anything of it left to repeat."""
        key, pair = next(iter(self._incoming.items()))
        if not pair.is_settled:
            return False
        del self._incoming[key]
        self._dirty.pop(pair, None)
        self._effects.write((INCOMING, key, None))
        self.forgotten += 1
        return True

    def _repeat(self) -> None:
        for pair in self._unsettled:
            for first, last in pair.unconfirmed:
                self._due(pair, first, last)
            if pair.read > pair.read_confirmed:
                self._reading[pair] = None

    def _due(self, pair: Incoming, first: int, last: int) -> None:
        if self.is_full:
            pair.withheld.add(first, last)
            self._withholding[pair] = None
        else:
            pair.to_ack.add(first, last)
            self._acking[pair] = None

    def _release(self) -> None:
        for pair in self._withholding:
            for first, last in pair.withheld:
                pair.to_ack.add(first, last)
            pair.withheld.clear()
            self._acking[pair] = None
        self._withholding.clear()
