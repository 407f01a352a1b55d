"""A small world for the mail core: a disk, phones, lossy connections, and a seeded hand that chooses what comes next.

The disk answers when the hand says so, with what it held when it was read; a commit is applied, or fails, or is cut
off by a crash. Phones keep what the protocol tells them to keep. Everything that was seen goes into plain records,
and `verdict` judges them without looking at the core.
"""

import random
from collections import deque

from node.mail import acking, delivery, effects, expiry, loading, numbering, presence, receipts, writebehind
from node.mail.settings import DAY_MS, MailSettings
from node.mail.state import MailState
from node.wire import verbs

FETCH_ALL = 10**9


class Disk:
    """What was committed."""

    def __init__(self):
        self.messages = {}  # (recipient, sender, stream, n) → (arrived, body)
        self.pairs = {}
        self.boxes = {}
        self.owed = {}

    def snapshot(self, batch):
        """The rows of a batch, as they are now."""
        return {
            "messages": [((*p.key, m.n), (m.arrived, m.body)) for p, m in batch.messages],
            "deletes": [(*p.key, n) for p, n, _ in batch.deletes],
            "pairs": [(p.key, p.row()) for p in batch.pairs],
            "boxes": [(b.user, (b.count, b.bytes)) for b in batch.boxes],
            "owed": [((o.sender, o.recipient, o.stream), o.row() if kept else None) for o, kept in batch.owed],
            "purged": list(batch.purged),
        }

    def apply(self, rows):
        self.messages.update(rows["messages"])
        for key in rows["deletes"]:
            self.messages.pop(key, None)
        self.pairs.update(rows["pairs"])
        self.boxes.update(rows["boxes"])
        for key, row in rows["owed"]:
            if row is None:
                self.owed.pop(key, None)
            else:
                self.owed[key] = row
        for key in rows["purged"]:
            self.pairs.pop(key, None)

    def of_pair(self, key, start=1, limit=FETCH_ALL):
        found = sorted(k[3] for k in self.messages if k[:3] == key and k[3] >= start)[:limit]
        return [(n, *self.messages[(*key, n)]) for n in found]

    def waiting_pairs(self, user, after, limit):
        found = sorted({(k[1], k[2]) for k in self.messages if k[0] == user})
        if after is not None:
            found = [f for f in found if f > after]
        chunk = found[:limit]
        return chunk, (chunk[-1] if len(found) > limit else None)


class Phone:
    """A device and its app. `sent`, `seen` and the like are on the phone's disk; the queues are the connection."""

    def __init__(self, user, stream):
        self.user = user
        self.stream = stream
        self.next = {}  # recipient → n
        self.outbox = {}  # recipient → {n: body, or None for a number given up}
        self.again = set()  # recipients to whom everything is to be sent again
        self.seen = {}  # (sender, stream) → list of (n, body, flags) in the order in which the app got them
        self.unconfirmed = set()  # (sender, stream, n)
        self.unacked = []  # received, the app dawdles
        self.read = {}
        self.ok = {}  # (recipient, n) → how
        self.refused = set()
        self.told = set()  # (recipient, kind, n)
        self.session = None
        self.up = deque()
        self.down = deque()


class World:
    """One seed's run."""

    def __init__(self, seed, settings=None, users=4):
        self.hand = random.Random(seed)
        self.settings = settings or MailSettings(
            window=6,
            pair_share=4,
            pairs_cached_max=16,
            flush_delay_ms=50,
            busy_retry_ms=20,
            mailbox_messages_max=30,
            commit_messages_max=5,
            sync_first=seed % 4 == 3,
        )
        self.now = 1_000_000_000_000
        self.disk = Disk()
        self.phones = [Phone(100 + i, bytes([i]) * 8) for i in range(users)]
        self.by_user = {p.user: p for p in self.phones}
        self.sent = {}  # (sender, stream, recipient, n) → body
        self.sent_at = {}  # the same → when it was sent first
        self.serial = 0
        self.faults = True
        self.reads = []  # (effect, answer), read but not answered
        self.commit = None  # (batch, rows)
        self.counts = {"crashes": 0, "commits": 0, "failed": 0, "delivers": 0}
        self.start()

    def start(self):
        self.state = MailState(self.settings, self.now)
        self.reads = []
        self.commit = None

    # ---- the node's surroundings -------------------------------------------------------------

    def drain(self):
        state = self.state
        while state.out:
            out, state.out = state.out, []
            for effect in out:
                self.carry_out(effect)
            state.check()

    def carry_out(self, effect):
        code, *rest = effect
        if code in (effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED, effects.RECEIPT, effects.DELIVER,
                    effects.CONFIRM):  # fmt: skip
            phone = self.by_user[rest[0]]
            if phone.session is not None and self.state.sessions.get(phone.user) is phone.session:
                if code in (effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED, effects.RECEIPT):
                    assert rest[2] == phone.stream
                phone.down.append(effect)
        elif code == effects.BACKLOG:
            pass
        elif code == effects.COMMIT:
            assert self.commit is None, "two commits at once"
            self.commit = (rest[0], self.disk.snapshot(rest[0]))
        elif code == effects.WIPED:
            self.wiped.add(tuple(rest))
        elif code == effects.AGED:
            expiry.aged(self.state, *rest)
        else:
            item = [effect, None]
            self.reads.append(item)
            if self.hand.random() < 0.6:
                self.read(item)
                self.answer(item)

    def read(self, item):
        """Look at the disk now."""
        code, *rest = item[0]
        disk = self.disk
        if code == effects.LOAD:
            key = tuple(rest)
            rows = disk.of_pair(key)
            item[1] = (disk.pairs.get(key), rows[-1][0] if rows else 0, disk.boxes.get(key[0]))
        elif code == effects.LOAD_BOX:
            item[1] = (disk.boxes.get(rest[0]),)
        elif code == effects.LOOKUP:
            row = disk.messages.get((*rest[0].key, rest[1]))
            item[1] = (row and row[1],)
        elif code == effects.FIND:
            pair, first, last, _ = rest
            item[1] = ([(n, len(b)) for n, _, b in disk.of_pair(pair.key) if first <= n <= last],)
        elif code == effects.FETCH:
            pair, _, start, limit = rest
            rows = disk.of_pair(pair.key, start, limit)
            item[1] = (rows, len(rows) < limit)
        elif code == effects.SCAN:
            user, _, after, limit = rest
            item[1] = disk.waiting_pairs(user, after, min(limit, 2))
        elif code == effects.LOAD_OWED:
            item[1] = (disk.owed.get(tuple(rest)),)
        elif code == effects.SCAN_OWED:
            user, _, after, limit = rest
            found = sorted(k[1:] for k in disk.owed if k[0] == user and (after is None or k[1:] > after))
            chunk = found[: min(limit, 2)]
            rows = [(*k, disk.owed[(user, *k)]) for k in chunk]
            item[1] = (rows, chunk[-1] if len(found) > len(chunk) else None)
        elif code == effects.SCAN_WAITING:
            user, after, limit = rest
            chunk, after = disk.waiting_pairs(user, after, min(limit, 2))
            item[1] = ([(*k, [(n, len(b)) for n, _, b in disk.of_pair((user, *k))]) for k in chunk], after)
        else:
            raise AssertionError(item)

    def answer(self, item):
        """Tell the core what was read."""
        self.reads.remove(item)
        (code, *rest), found = item
        state = self.state
        if code == effects.LOAD:
            row, high, box = found
            if state.boxes.get(rest[0]) is None:
                box = self.disk.boxes.get(rest[0])
            loading.loaded(state, tuple(rest), row, high, box, 0, known=True)
        elif code == effects.LOAD_BOX:
            loading.box_loaded(state, rest[0], self.disk.boxes.get(rest[0]), 0, known=True)
        elif code == effects.LOOKUP:
            numbering.looked_up(state, *rest, found[0])
        elif code == effects.FIND:
            acking.found(state, *rest, found[0])
        elif code == effects.FETCH:
            delivery.fetched(state, rest[0], rest[1], rest[2], found[0], complete=found[1])
        elif code == effects.SCAN:
            delivery.scanned(state, rest[0], rest[1], found[0], found[1])
        elif code == effects.LOAD_OWED:
            receipts.loaded(state, tuple(rest), found[0])
        elif code == effects.SCAN_OWED:
            receipts.scanned(state, rest[0], rest[1], found[0], found[1])
        elif code == effects.SCAN_WAITING:
            expiry.waiting(state, rest[0], found[0], found[1])

    # ---- what may happen ---------------------------------------------------------------------

    def step(self):
        hand = self.hand
        self.now += hand.choice((0, 0, 1, 2, 5))
        self.state.now = self.now
        roll = hand.random()
        if roll < 0.22:
            self.compose(hand.choice(self.phones))
        elif roll < 0.45:
            self.deliver_up(hand.choice(self.phones))
        elif roll < 0.70:
            self.deliver_down(hand.choice(self.phones))
        elif roll < 0.76:
            self.connect(hand.choice(self.phones))
        elif roll < 0.86:
            self.disk_step()
        elif roll < 0.94:
            self.tick()
        elif roll < 0.96:
            self.app_acks(hand.choice(self.phones))
        elif roll < 0.985:
            if self.faults:
                self.disconnect(hand.choice(self.phones))
        elif roll < 0.992:
            if self.faults:
                self.crash()
        else:
            self.expire_something()
        self.drain()

    def compose(self, phone):
        if not self.faults:
            return
        recipient = self.hand.choice(self.phones).user
        n = phone.next.get(recipient, 0) + 1
        phone.next[recipient] = n
        self.serial += 1
        body = b"m%d" % self.serial
        self.sent[phone.user, phone.stream, recipient, n] = body
        self.sent_at[phone.user, phone.stream, recipient, n] = self.now
        phone.outbox.setdefault(recipient, {})[n] = body
        if phone.session is not None:
            self.transmit(phone, recipient, n)

    def transmit(self, phone, recipient, n):
        box = phone.outbox[recipient]
        base = min(box)
        if box[n] is None:
            phone.up.append(("skip", recipient, n, base))
        else:
            phone.up.append(("send", recipient, n, base, box[n]))

    def resend(self, phone, recipient, start=0):
        for n in sorted(phone.outbox.get(recipient, ())):
            if n >= start:
                self.transmit(phone, recipient, n)

    def connect(self, phone):
        if phone.session is not None:
            if self.hand.random() < 0.9:
                return
            phone.up.clear()  # a second connection takes over
            phone.down.clear()
        phone.session = object()
        presence.online(self.state, phone.user, phone.session)
        for recipient in phone.outbox:
            self.resend(phone, recipient)
        for sender, stream, n in sorted(phone.unconfirmed):
            phone.up.append(("ack", sender, stream, n, n))
        for (sender, stream), upto in phone.read.items():
            phone.up.append(("read", sender, stream, upto))

    def disconnect(self, phone):
        if phone.session is None:
            return
        presence.offline(self.state, phone.user, phone.session)
        self.cut(phone)

    def cut(self, phone):
        phone.session = None
        phone.up.clear()
        phone.down.clear()
        phone.unacked.clear()
        phone.again.clear()

    def crash(self):
        self.counts["crashes"] += 1
        if self.commit is not None and self.hand.random() < 0.5:
            self.disk.apply(self.commit[1])  # durable, but nobody was told
        for phone in self.phones:
            self.cut(phone)
        self.start()

    def disk_step(self):
        if self.reads and self.hand.random() < 0.7:
            item = self.hand.choice(self.reads)
            if item[1] is None:
                self.read(item)
            else:
                self.answer(item)
        elif self.commit is not None:
            batch, rows = self.commit
            self.commit = None
            failed = self.faults and self.hand.random() < 0.1
            self.counts["failed" if failed else "commits"] += 1
            if not failed:
                self.disk.apply(rows)
            writebehind.committed(self.state, batch, failed=failed)

    def tick(self):
        writebehind.collect(self.state)
        for phone in self.phones:
            if phone.session is not None and phone.again:
                self.resend(phone, phone.again.pop())

    def expire_something(self):
        """Days go by, and the sweep comes along."""
        if not self.faults:
            return
        if self.hand.random() < 0.3:
            self.now += self.hand.randrange(8, 20) * DAY_MS
            self.state.now = self.now
        oldest = self.now - self.settings.message_age_days * DAY_MS
        for key in sorted(k for k, (arrived, _) in self.disk.messages.items() if arrived <= oldest):
            expiry.aged(self.state, key[:3], [(key[3], len(self.disk.messages[key][1]))])

    def deliver_up(self, phone):
        if not phone.up:
            return
        verb, *f = phone.up.popleft()
        state = self.state
        if verb == "send":
            recipient, n, base, body = f
            numbering.send(state, phone.user, recipient, phone.stream, n, base, body)
        elif verb == "skip":
            recipient, n, base = f
            numbering.skip(state, phone.user, recipient, phone.stream, n, base)
        elif verb == "ack":
            acking.ack(state, phone.user, *f)
        elif verb == "read":
            acking.read(state, phone.user, *f)
        else:
            receipts.confirm(state, phone.user, *f)

    def deliver_down(self, phone):
        if not phone.down:
            return
        code, _, *f = phone.down.popleft()
        if code == effects.ACCEPTED:
            recipient, _, first, last, how = f
            for n in range(first, last + 1):
                phone.outbox[recipient].pop(n, None)
                if (phone.user, n, recipient) not in phone.refused:
                    phone.ok.setdefault((recipient, n), set()).add(how)
        elif code == effects.GAP:
            self.resend(phone, f[0], f[2] + 1)
        elif code == effects.BUSY:
            phone.again.add(f[0])
        elif code == effects.REFUSED:
            recipient, _, n, _, _ = f
            if n in phone.outbox[recipient]:
                phone.outbox[recipient][n] = None
                phone.refused.add((phone.user, n, recipient))
                self.resend(phone, recipient, n)
        elif code == effects.DELIVER:
            self.counts["delivers"] += 1
            sender, stream, n, flags, _, body = f
            seen = phone.seen.setdefault((sender, stream), [])
            if all(n != m for m, _, _ in seen):
                seen.append((n, body, flags))
            phone.unacked.append((sender, stream, n))
            if self.hand.random() < 0.7:
                self.app_acks(phone)
        elif code == effects.RECEIPT:
            recipient, stream, kind, first, last = f
            for n in range(first, last + 1):
                phone.told.add((recipient, kind, n))
            phone.up.append(("confirm", recipient, stream, kind, first, last))
        elif code == effects.CONFIRM:
            sender, stream, kind, first, last = f
            if kind == verbs.KIND_DELIVERED:
                for n in range(first, last + 1):
                    phone.unconfirmed.discard((sender, stream, n))
            elif phone.read.get((sender, stream), FETCH_ALL) <= last:
                del phone.read[sender, stream]

    def app_acks(self, phone):
        for sender, stream, n in phone.unacked:
            phone.unconfirmed.add((sender, stream, n))
            phone.up.append(("ack", sender, stream, n, n))
            if self.hand.random() < 0.2:
                upto = max(m for m, _, _ in phone.seen[sender, stream])
                phone.read[sender, stream] = upto
                phone.up.append(("read", sender, stream, upto))
        phone.unacked.clear()

    # ---- the end -----------------------------------------------------------------------------

    def settle(self, rounds=20_000):
        """No more faults and nothing new: everything must come to rest."""
        self.faults = False
        for _ in range(rounds):
            for phone in self.phones:
                if phone.session is None:
                    self.connect(phone)
            self.step()
            for phone in self.phones:
                self.app_acks(phone)
            if self.quiet():
                return
            if not any(p.up or p.down for p in self.phones) and self.commit is None and not self.reads:
                self.now += 10
        raise AssertionError(f"never at rest: {self.describe()}")

    def describe(self):
        return {
            "outbox": {p.user: p.outbox for p in self.phones if any(p.outbox.values())},
            "disk": self.disk.messages,
            "pairs": [p for p in self.state.pairs.values() if p.pending or p.dirty or p.inflight or p.cursor],
            "boxes": list(self.state.boxes.values()),
            "owed": self.disk.owed,
        }

    def quiet(self):
        return not (
            any(p.up or p.down or p.unconfirmed or p.read or any(p.outbox.values()) for p in self.phones)
            or self.commit
            or self.reads
            or self.state.dirty
            or self.state.dirty_owed
            or self.state.urgent
            or self.disk.messages
        )

    def aged(self, key):
        recipient, sender, stream, n = key
        age = self.now - self.sent_at[sender, stream, recipient, n]
        return age >= self.settings.message_age_days * DAY_MS

    def verdict(self):
        """Raise AssertionError naming the first promise that was broken."""
        for phone in self.phones:
            for (recipient, n), hows in phone.ok.items():
                if (phone.user, n, recipient) in phone.refused:
                    continue
                seen = self.by_user[recipient].seen.get((phone.user, phone.stream), [])
                got = [body for m, body, _ in seen if m == n]
                key = (recipient, phone.user, phone.stream, n)
                if not got:
                    assert (recipient, verbs.KIND_EXPIRED, n) in phone.told, f"accepted and lost: {key}"
                    assert self.aged(key), f"ended too early: {key}"
                else:
                    assert verbs.DELIVERED in hows or (recipient, verbs.KIND_DELIVERED, n) in phone.told or (
                        recipient, verbs.KIND_EXPIRED, n) in phone.told, f"delivered and not told: {key}"  # fmt: skip
            for (sender, stream), seen in phone.seen.items():
                highest = 0
                for n, body, flags in seen:
                    assert self.sent.get((sender, stream, phone.user, n)) == body, "a ghost"
                    assert n > highest or flags & delivery.LATE, f"out of order: {sender}→{phone.user} {seen}"
                    highest = max(highest, n)
            for recipient, kind, n in phone.told:
                if kind == verbs.KIND_DELIVERED:
                    seen = self.by_user[recipient].seen.get((phone.user, phone.stream), [])
                    assert any(m == n for m, _, _ in seen), f"told delivered, and was not: {recipient} {n}"
        for user, (count, size) in self.disk.boxes.items():
            assert (count, size) == (0, 0), f"{user}'s box says {count} messages, {size} bytes; nothing is there"
        assert not self.disk.owed, f"still owed: {self.disk.owed}"


def run(seed, steps=600):
    """One seed, whole."""
    world = World(seed)
    for _ in range(steps):
        world.step()
    world.settle()
    world.verdict()
    return world
