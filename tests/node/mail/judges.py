"""What the promises mean for what was seen. The judge knows frames, disks and phones; never the core's own mind,
but at the very end, when nothing may be left in its memory.

Some promises are judged at once (an answer that is premature is wrong even if nothing comes of it), the others when
everything has come to rest.
"""

from node.mail import effects
from node.mail.intervals import Intervals
from node.mail.settings import DAY_MS
from node.wire import verbs
from tests.node.mail.disk import numbers_of


class Judge:
    """Keeps the records of one world."""

    def __init__(self, world):
        self.world = world
        self.settings = world.settings
        self.bodies = {}  # (recipient, sender, stream) → {n: {body, …}}
        self.sent_at = {}  # (key, n) → when it was written first
        self.over = {}  # key → numbers that were durably over, until the pair is forgotten in due time
        self.ended = {}  # (key, n) → the recipient's device that it may not reach any more, nor a later one
        self.wiped_at = {}  # user → when its last wipe began
        self.purged = set()  # keys of pairs that were forgotten in due time
        self.unreadable = set()  # what receipts could not be read of
        self.late = set()  # (key, n) of what came by a merge, after later ones, and says so
        self.overfull = set()  # users of whom more was stored than a mailbox may hold, by a merge
        self.forgotten = set()  # keys that a crash has made the node forget something of

    # ---- at once -------------------------------------------------------------------------------

    def sent(self, key, n, body):
        """A message was written, and may be sent from now on."""
        self.bodies.setdefault(key, {}).setdefault(n, set()).add(body)
        self.sent_at.setdefault((key, n), self.world.now)

    def frame(self, effect, session):
        """The node says something on a session."""
        getattr(self, _JUDGED[effect[0]], _nothing)(session, *effect[1:])

    def _accepted(self, session, sender, recipient, stream, first, last, how):
        key = (recipient, sender, stream)
        if self._hostile(sender) or key in self.purged:
            return
        row = self.world.disk.row(key)
        over = numbers_of(row) if row is not None else Intervals()
        for n in range(first, last + 1):
            if how == verbs.DELIVERED:
                assert self._hostile(recipient) or self._has(key, n), (
                    f"accepted as delivered, and is not: {key} {n}"
                )
            else:
                assert self.world.disk.has(key, n) or n in over or self._is_over(key, n), (
                    f"accepted, and not durable: {key} {n}"
                )
                assert how == verbs.ONE_COPY or self._at_heir(key, n), (
                    f"accepted as two copies, and is one: {key} {n}"
                )

    def _deliver(self, session, recipient, sender, stream, n, flags, arrived, body):
        key = (recipient, sender, stream)
        self.world.counts["delivers"] += 1
        assert body in self.bodies.get(key, {}).get(n, ()), f"a ghost: {key} {n}"
        ended = self.ended.get((key, n))
        assert ended is None or session.generation < ended, f"for a former device: {key} {n}"
        assert not self._is_over(key, n), f"delivered though it is over: {key} {n}"
        if flags & verbs.FLAG_LATE and self.world.knobs.heir:
            self.late.add((key, n))
        if self.settings.sync_first:
            assert self.world.disk.has(key, n), f"handed over before it was written: {key} {n}"

    def _confirm(self, session, recipient, sender, stream, kind, first, last):
        key = (recipient, sender, stream)
        if self._hostile(recipient) or self._hostile(sender):
            return
        if kind == verbs.KIND_READ:
            seen = self.world.by_user[recipient].seen.get((sender, stream), ())
            if any(n <= last and not self.world.disk.has(key, n) and not self._is_over(key, n) for n in seen):
                self.forgotten.add(key)  # of what it never accepted, the node can't say that it was read
            return
        row = self.world.disk.row(key)
        if row is None:
            return  # nothing is known of the pair: an ack of it is of no use, and forgotten
        over = numbers_of(row)
        for n in range(first, last + 1):
            assert n in over or self._is_over(key, n), f"an ack is confirmed, and not durable: {key} {n}"

    def _receipt(self, session, sender, recipient, stream, kind, first, last):
        assert stream == session.stream, f"a receipt for a former device of {sender}"
        key = (recipient, sender, stream)
        if kind == verbs.KIND_DELIVERED and not self._hostile(recipient) and not self._hostile(sender):
            for n in range(first, last + 1):
                assert self._has(key, n), f"told as delivered, and is not: {key} {n}"

    # ---- the disk ------------------------------------------------------------------------------

    def before_commit(self, batch):
        """What is about to be forgotten must be old enough."""
        today = self.world.now // DAY_MS
        for key in batch.purged:
            row = self.world.disk.row(key)
            if row is not None:
                self.world.counts["purges"] += 1
                assert today - row[4] > self.settings.client_retry_days, (
                    f"a pair was forgotten too early: {key}"
                )
            if key not in batch.pairs:
                self.over.pop(key, None)
                self.purged.add(key)

    def after_commit(self, keys):
        """These pairs were written, at the heir too if there is one. What is over on disk must stay over."""
        for key in keys:
            row = self.world.disk.row(key)
            assert row is not None, f"a pair was written and is not there: {key}"
            over = numbers_of(row)
            before = self.over.get(key)
            if before is not None:
                for first, last in before.ranges():
                    assert over.covers(first, last), f"what was over is not any more: {key} {first}..{last}"
            self.over[key] = over

    def forget(self, key):
        """Another node has purged the pair in due time."""
        self.over.pop(key, None)
        self.purged.add(key)

    def crash_of(self, user):
        """What one node has on no disk of what this user received is forgotten."""
        self.crash([device for device in self.world.devices if device.user == user])

    def crash(self, devices=None):
        """What was on no disk is forgotten, which is allowed."""
        for device in devices or self.world.devices:
            for (sender, stream), seen in device.seen.items():
                key = (device.user, sender, stream)
                if any(not self.world.disk.has(key, n) and not self._is_over(key, n) for n in seen):
                    self.forgotten.add(key)

    def counts(self):
        """What the core believes to wait for its recipients is what waits."""
        world = self.world
        if world.group.under_way is not None or world.state.out:
            return
        waiting = {}
        for key, _ in world.disk.waiting_keys():
            waiting[key[0]] = waiting.get(key[0], 0) + 1
        for box in world.state.boxes.values():
            there = waiting.get(box.user, 0)
            if there <= self.settings.mailbox_messages_max and box.user not in self.overfull:
                assert box.count == there, f"counted wrongly: {box}, {there} are there"
            else:  # beyond the limit nobody counts
                self.overfull.add(box.user)

    def taken_over(self, disk):
        """What the former primary has alone was never accepted, and may come when the two meet again."""
        self.ended = {(key, n): by for (key, n), by in self.ended.items() if disk.has(key, n)}

    # ---- devices -------------------------------------------------------------------------------

    def wipe(self, user, generation):
        """Whatever is on disk now is not for this device."""
        self.wiped_at[user] = self.world.now
        for key, n in self.world.disk.waiting_keys(user):
            self.ended[key, n] = generation

    def wiped(self, user):
        """All of that is off the disk."""
        for key, n in self.world.disk.waiting_keys(user):
            assert (key, n) not in self.ended, f"wiped, and still there: {key} {n}"

    # ---- at rest -------------------------------------------------------------------------------

    def verdict(self):
        """Raise AssertionError naming the first promise that was broken."""
        for device in self.world.devices:
            if not device.hostile:
                self._judge_sender(device)
            self._judge_recipient(device)
        rows = self.world.disk.box_rows()
        assert not rows, f"mailboxes that should be empty: {rows}"
        owed = self.world.disk.owed_rows()
        assert not owed, f"still owed: {owed}"

    def _judge_sender(self, device):
        for (recipient, n), hows in device.ok.items():
            key = (recipient, device.user, device.stream)
            if self._hostile(recipient):
                continue
            told_expired = (recipient, verbs.KIND_EXPIRED, n) in device.told
            unreadable = (device.user, recipient, device.stream) in self.unreadable
            forgiven = unreadable or not device.current or key in self.purged
            if not self._has(key, n):
                assert self._may_end(key, n), f"accepted and lost: {key} {n}"
                assert told_expired or forgiven, f"expired and not told: {key} {n}"
            else:
                told = verbs.DELIVERED in hows or (recipient, verbs.KIND_DELIVERED, n) in device.told
                assert told or told_expired or forgiven, f"delivered and not told: {key} {n}"
        for recipient, kind, n in device.told:
            key = (recipient, device.user, device.stream)
            if kind == verbs.KIND_EXPIRED and not self._hostile(recipient):
                assert self._may_end(key, n), f"ended too early: {key} {n}"
        if device.current:
            self._judge_reads(device)

    def _judge_reads(self, device):
        for recipient in self.world.phones:
            pair = (device.user, device.stream)
            key = (recipient.user, *pair)
            upto = recipient.read_confirmed.get(pair, 0)
            forgiven = (device.user, recipient.user, device.stream) in self.unreadable
            if upto and not (recipient.hostile or forgiven or key in self.forgotten or key in self.purged):
                assert device.read_told.get(recipient.user, 0) >= upto, f"read and not told: {key} {upto}"

    def _judge_recipient(self, device):
        for (sender, stream), seen in device.seen.items():
            if self._hostile(sender) or device.careless:
                continue
            highest = 0
            for n in seen:
                if ((device.user, sender, stream), n) in self.late:
                    continue
                assert n > highest, f"out of order: {sender}→{device.user} {list(seen)}"
                highest = n

    def _may_end(self, key, n):
        at = self.sent_at[key, n]
        old = self.world.now - at >= self.settings.message_age_days * DAY_MS
        return old or self.wiped_at.get(key[0], -1) >= at

    def nothing_left(self, state):
        """Everybody is gone and everything is written: the core's memory holds nothing but its cache."""
        left = {name: getattr(state, name) for name in _EMPTY_AT_THE_END}
        left = {name: value for name, value in left.items() if value}
        assert not left, f"left in memory: {left}"
        idle = [box for box in state.boxes.values() if not box.pairs]
        assert not idle, f"boxes that nobody needs: {idle}"
        busy = [pair for pair in state.pairs.values() if not pair.idle()]
        assert not busy, f"pairs that can't be let go: {busy}"

    # ---- small ---------------------------------------------------------------------------------

    def _hostile(self, user):
        return self.world.by_user[user].hostile

    def _has(self, key, n):
        """Whether some device of the recipient has it."""
        recipient, *pair = key
        return any(d.user == recipient and n in d.seen.get(tuple(pair), ()) for d in self.world.devices)

    def _at_heir(self, key, n):
        other = self.world.storage.heir
        if other is None:
            return True  # there was one when it was said
        row = other.row(key)
        return other.has(key, n) or (row is not None and n in numbers_of(row)) or self._is_over(key, n)

    def _is_over(self, key, n):
        over = self.over.get(key)
        return over is not None and n in over


def _nothing(*_):
    pass


_JUDGED = {
    effects.ACCEPTED: "_accepted",
    effects.DELIVER: "_deliver",
    effects.CONFIRM: "_confirm",
    effects.RECEIPT: "_receipt",
    effects.GAP: "",
    effects.BUSY: "",
    effects.REFUSED: "",
}

_EMPTY_AT_THE_END = (
    "out", "sessions", "arriving", "loading", "loads_of", "box_loading", "loads_waiting", "owed", "owed_loading",
    "owed_scans", "purges", "urgent", "dirty", "dirty_owed", "pending", "pending_bytes", "held_bytes", "doomed",
    "throttled", "committing", "wipes", "abandoned", "healing",
)  # fmt: skip
