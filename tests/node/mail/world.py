"""A small world for the mail core: a disk, phones, lossy connections, and a seeded hand that chooses what comes next.

The core runs under its real driver. The disk answers when the hand says so, with what it held when it was read; a
commit is applied, or fails, or is cut off by a crash. Numbers change hands, days go by, and one of the phones may be
hostile. What was seen is kept in plain records, and `judges` speak on them without looking at the core.
"""

import random
from bisect import bisect_right
from itertools import accumulate

from node.mail import acking, effects, expiry, numbering, presence, receipts, writebehind
from node.mail.committing import Outcome
from node.mail.driver import MailDriver
from node.mail.settings import DAY_MS, MailSettings
from node.mail.state import MailState
from tests.node.mail.disk import PARTITIONS, DictTables, Disk, partition_of
from tests.node.mail.judges import Judge
from tests.node.mail.phone import Phone, Session, mischief
from tests.node.mail.slow import SlowGroup

FOR_SESSIONS = (
    effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED, effects.RECEIPT, effects.DELIVER, effects.CONFIRM,
)  # fmt: skip
ABOUT_STREAM = frozenset((effects.ACCEPTED, effects.GAP, effects.BUSY, effects.REFUSED))

GHOSTS_MAX = 3
"""Former primaries that still wait for something."""

TRIES = 3
"""Things that the hand tries in one step, until there is something to do."""


class Knobs:
    """How one world differs from the next; all of it follows from the seed."""

    def __init__(self, seed):
        hand = random.Random(f"knobs {seed}")
        window = hand.choice((1, 3, 6, 6, 6))
        large = hand.random() < 0.15
        self.users = hand.choice((2, 3, 4, 4, 5))
        self.large_bodies = large
        self.hostile = hand.random() < 0.25
        self.careless = hand.random() < 0.2
        self.heir = hand.random() < 0.5
        self.strangers = hand.choice((0, 0, 1))  # numbers that are not registered at first
        self.settings = MailSettings(
            sync_delay_ms=hand.choice((0, 3, 10, 40, 300)),
            flush_delay_ms=hand.choice((10, 50, 50, 200)),
            sync_first=hand.random() < 0.25,
            window=window,
            pair_share=hand.randint(1, window),
            window_bytes=65_536,
            mailbox_messages_max=hand.choice((2, 4, 10, 30, 1000)),
            mailbox_bytes_max=65_536 if large and hand.random() < 0.5 else 10**6,
            pending_bytes_max=65_536 if large and hand.random() < 0.5 else 10**6,
            commit_messages_max=hand.choice((1, 2, 5, 100)),
            commit_lag_ms_max=hand.choice((20, 1_000)),
            busy_retry_ms=20,
            pairs_cached_max=hand.choice((1, 4, 10, 1000)),
            loads_waiting_max=hand.choice((2, 20, 1000)),
            tell_unknown=hand.random() < 0.5,
        )
        self.group = {
            "warm": hand.choice((0, 0, 0.6, 1)),
            "fifo": hand.random() < 0.5,
            "read_failures": hand.choice((0, 0, 0, 0.03)),
            "busy": hand.choice((0, 0, 0, 0.1)),
            "commit_failures": hand.choice((0, 0.1, 0.1, 0.5)),
        }
        calm = hand.random() < 0.2
        self.weights = {
            "compose": hand.choice((6, 14)),
            "deliver_up": 22,
            "deliver_down": 26,
            "connect": 6,
            "disk_step": hand.choice((4, 14, 14)),
            "tick": 7,
            "app_acks": 2,
            "end_session": 1.5,
            "vanish": 0 if calm else hand.choice((2, 2, 6)),
            "crash": 0 if calm else hand.choice((0.2, 0.8)),
            "restart": 0 if calm else 0.2,
            "sweep": hand.choice((0, 0.7, 3)),
            "days": hand.choice((0, 0.3, 0.3, 2)),
            "register": hand.choice((0, 0.2, 1)),
            "misbehave": 8 if self.hostile else 0,
            "waste_time": hand.choice((0, 2)),
            "take_over": hand.choice((0.3, 1)) if self.heir else 0,
            "rejoin": 2 if self.heir else 0,
            "cease": hand.choice((0, 0.5)),
            "haunt": 4 if self.heir else 0,
        }


class World:
    """One seed's run. `storage` gives (tables, group, judge's eyes) for the hand; see `tests.node.mail.stored`."""

    def __init__(self, seed, knobs=None, storage=None):
        self.seed = seed
        self.hand = random.Random(seed)
        self.knobs = knobs or Knobs(seed)
        self.settings = self.knobs.settings
        self.now = 1_000_000_000_000
        self.storage = storage or Dictionaries()
        self.storage.prepare(self.settings, heir=self.knobs.heir)
        self.ceased = set()  # partitions that aren't served for a moment
        self.life = 0
        self.ghosts = []  # nodes whose partitions are another's now, and that don't hear of it all at once
        self.registered = set()
        self.wiping = {}  # user → generation of the device that waits; durable, as the accounts are
        self.phones = []
        self.devices = []
        self.users = [100 + i for i in range(self.knobs.users)]
        self.serial = 0
        self.calm = False
        self.counts = dict.fromkeys(
            (
                "crashes",
                "commits",
                "delivers",
                "wipes",
                "purges",
                "restarts",
                "takeovers",
                "merges",
                "late_answers",
            ),
            0,
        )
        self.judge = Judge(self)
        for i, user in enumerate(self.users):
            hostile = self.knobs.hostile and i == 0
            self.phones.append(self._device(user, 1, hostile=hostile))
            if i < len(self.users) - self.knobs.strangers:
                self.registered.add(user)
        self.by_user = {phone.user: phone for phone in self.phones}
        names = list(self.knobs.weights)
        self._actions = [getattr(self, name) for name in names]
        self._edges = list(accumulate(self.knobs.weights.values()))
        self.start()

    def _device(self, user, generation, *, hostile):
        stream = bytes([user, generation]) * 4
        phone = Phone(user, stream, generation, hostile=hostile, careless=self.knobs.careless)
        self.devices.append(phone)
        return phone

    # ---- the node ------------------------------------------------------------------------------

    def start(self):
        """The process begins, with nothing but the disk."""
        self.group, tables = self.storage.open(self.hand, self.knobs.group)
        if self.calm:
            self.group.calm()
        self.group.on_unreadable = self.judge.unreadable.add
        self.disk = self.storage.disk
        self.life += 1
        self.ceased = set()
        self.state = MailState(self.settings, self.now)
        self.leaving = []  # sessions that are gone, and the node hasn't noticed
        self.soon = []  # what the sweep has found
        outlets = dict.fromkeys(FOR_SESSIONS, self.only_now(self.outlet))
        outlets[effects.BACKLOG] = self.only_now(self.backlog)
        self.driver = MailDriver(
            self.state,
            tables,
            outlets,
            lambda user: user in self.registered,
            self.only_now(self.wiped),
            self.group,
            self.ended,
        )
        for user, generation in sorted(self.wiping.items()):
            self.judge.wipe(user, generation)
            expiry.wipe(self.state, user, generation)
        self.drain()

    def only_now(self, call):
        """What a node says that was dropped is a fault, whatever it is."""
        life = self.life

        def said(*what):
            assert life == self.life, f"a node that was dropped speaks: {what}"
            call(*what)

        return said

    def ended(self, user, session):
        """The node is not the one any more for this session's user."""
        phone = self.by_user[user]
        if phone.session is session:
            phone.cut()

    def drain(self):
        self.driver.drain()
        self.state.check()

    def outlet(self, effect):
        """A frame for a session."""
        user = effect[1]
        session = self.state.sessions.get(user)
        if session is None or not session.welcomed:
            return  # said to the session before, on which nobody listens any more
        if effect[0] in ABOUT_STREAM and effect[3] != session.stream:
            return
        self.judge.frame(effect, session)
        phone = self.by_user[user]
        if phone.session is session:
            phone.down.append(effect)

    def backlog(self, effect):
        """A session may be welcomed, or can't be."""
        _, session, waiting = effect
        phone = self.by_user[session.user]
        assert not session.welcomed, "welcomed twice"
        if waiting < 0:
            if phone.session is session:
                phone.cut()
            self.leaving.append(session)
            return
        assert self.state.sessions.get(session.user) is session, "welcomed, and is not there"
        session.welcomed = True
        if phone.session is session:
            phone.begin()

    def wiped(self, user, generation):
        assert self.wiping[user] == generation, "the wrong wipe is reported"
        self.judge.wiped(user)
        del self.wiping[user]

    # ---- what may happen -----------------------------------------------------------------------

    def step(self):
        hand = self.hand
        self.now += hand.choice((0, 0, 1, 2, 5))
        self.state.now = self.now
        for _ in range(TRIES):
            roll = hand.random() * self._edges[-1]
            if self._actions[bisect_right(self._edges, roll)]():
                break
        self.drain()

    def one_of(self, phones):
        return self.hand.choice(phones) if phones else None

    # Each says whether there was something to do.

    def compose(self):
        hand = self.hand
        phone = self.one_of([p for p in self.phones if p.user in self.registered])
        if phone is None:
            return False
        recipient = hand.choice(self.users)
        for _ in range(hand.choice((1, 1, 1, 4))):
            self.serial += 1
            body = b"m%d" % self.serial
            if self.knobs.large_bodies:
                body += bytes(hand.choice((0, 20_000, 61_000)))
            n = phone.compose(recipient, body, self.now)
            self.judge.sent((recipient, phone.user, phone.stream), n, body)
        return True

    def may_connect(self, phone):
        user = phone.user
        served = partition_of(user) not in self.ceased
        return served and user in self.registered and user not in self.state.wipes and user not in self.wiping

    def connect(self):
        able = [p for p in self.phones if self.may_connect(p)]
        phone = self.one_of([p for p in able if p.session is None])
        if phone is None and self.hand.random() < 0.1:
            phone = self.one_of(able)
            if phone is not None:
                self.part(phone)  # a second connection takes over
        return phone is not None and self.open(phone)

    def open(self, phone):
        phone.session = Session(phone)
        presence.online(self.state, phone.user, phone.session)
        return True

    def part(self, phone):
        """The phone's end is gone; the node's stays for a while."""
        self.leaving.append(phone.session)
        phone.cut()

    def vanish(self):
        phone = self.one_of([p for p in self.phones if p.session is not None])
        if phone is None:
            return False
        self.part(phone)
        if self.hand.random() < 0.6:
            self.end_session(-1)
        return True

    def end_session(self, at=None):
        """The node notices."""
        if not self.leaving:
            return False
        session = self.leaving.pop(self.hand.randrange(len(self.leaving)) if at is None else at)
        presence.offline(self.state, session.user, session)
        return True

    def crash(self):
        self.counts["crashes"] += 1
        group = self.group
        self.end_commit()
        group.forget()
        self.judge.crash()
        for phone in self.phones:
            phone.cut()
        self.ghosts = [ghost for ghost in self.ghosts if ghost[0].home is not group.home]
        self.storage.crash()
        self.start()
        return True

    def end_commit(self):
        """The commit under way is durable or isn't; nobody is told. What is durable comes to the heir in the end."""
        group = self.group
        if group.under_way is not None and group.under_way.result is None and self.hand.random() < 0.5:
            group.carry_out(self)
        commit = group.under_way
        durable = commit is not None and commit.result is not None and commit.result.error is None
        if durable and group.settle is not None and not commit.settled:
            group.have_settled(self)

    def restart(self):
        """Everybody is sent away, what is left is written, and the process ends."""
        if self.ceased:
            return False
        self.counts["restarts"] += 1
        for phone in self.phones:
            if phone.session is not None:
                self.part(phone)
        while self.leaving:
            self.end_session()
        faults = dict(vars(self.group))
        self.group.calm()
        for _ in range(2_000):
            self.now += 1_000
            self.state.now = self.now
            self.drain()
            self.driver.tick()
            if (
                self.state.committing is None
                and writebehind.wake_at(self.state) is None
                and not self.group.reads
            ):
                break
            while self.group.reads:
                self.group.step_read()
            self.group.step_commit(self)
        else:
            raise AssertionError(f"never written: {self.describe()}")
        vars(self.group).update({k: faults[k] for k in ("read_failures", "busy", "commit_failures")})
        self.ghosts = [ghost for ghost in self.ghosts if ghost[0].home is not self.group.home]
        self.storage.crash()
        self.start()
        return True

    def disk_step(self):
        if self.group.reads and (self.group.under_way is None or self.hand.random() < 0.7):
            for _ in range(self.hand.choice((1, 2, 4))):
                self.group.step_read()
            return True
        return self.group.step_commit(self)

    def before_commit(self, batch):
        self.counts["commits"] += 1
        self.judge.before_commit(batch)

    def after_commit(self, batch):
        self.judge.after_commit(batch.pairs)

    # ---- other nodes ---------------------------------------------------------------------------

    def take_over(self):
        """The claim of everything is the heir's, which may lack what is not settled. The former primary lives on."""
        if self.storage.heir is None or len(self.ghosts) == GHOSTS_MAX:
            return False
        self.counts["takeovers"] += 1
        if (
            self.group.under_way is not None
            and self.group.under_way.result is None
            and self.hand.random() < 0.5
        ):
            self.group.carry_out(self)
        self.judge.crash()
        self.driver.drop(range(PARTITIONS))
        assert not self.state.sessions, "sessions of partitions that are another's"
        self.drain()
        self.ghosts.append((self.group, self.driver, self.state))
        self.storage.take_over()
        self.judge.taken_over(self.storage.disk)
        self.start()
        return True

    def haunt(self, ghost=None):
        """A former primary hears from its store: of what it asked, and that its commit is lost."""
        ghost = ghost or self.one_of(self.ghosts)
        if ghost is None:
            return False
        group, driver, state = ghost
        self.counts["late_answers"] += 1
        if group.reads:
            group.step_read()
        elif group.under_way is not None:
            group.answer(Outcome(lost=frozenset(range(PARTITIONS))))
        driver.tick()
        state.check()
        if not (group.reads or group.under_way or driver.stalled):
            self.judge.nothing_left(state)
            self.ghosts.remove(ghost)
        return True

    def cease(self):
        """Some partitions are not served for a moment."""
        if self.ceased:
            return False
        self.stop_serving({p for p in range(PARTITIONS) if self.hand.random() < 0.5})
        return True

    def stop_serving(self, partitions):
        self.ceased = self.group.ceased = frozenset(partitions)
        users = [user for user in self.users if partition_of(user) in partitions]
        for user in users:
            self.judge.crash_of(user)
        self.driver.drop(partitions)
        assert not set(users).intersection(self.state.sessions), "sessions of partitions that aren't served"

    def rejoin(self):
        """What others have is taken in, and partitions are served again."""
        if not self.ceased:
            if self.storage.apart:
                self.stop_serving(self.storage.apart)
            return bool(self.ceased)
        if self.group.under_way is not None and self.group.under_way.result is None:
            self.group.carry_out(self)
        if self.storage.apart:
            self.counts["merges"] += 1
            touched = self.storage.rejoin(self.ceased & self.storage.apart)
            self.judge.after_commit(
                {key[1:] for table, key in touched if table == "pair" and self.disk.row(key[1:])}
            )
            for key in {key[1:] for table, key in touched if table == "pair"}:
                if self.disk.row(key) is None:
                    self.judge.forget(key)
        else:
            self.storage.serve(self.ceased)
        partitions, self.ceased, self.group.ceased = self.ceased, frozenset(), frozenset()
        self.driver.serve(partitions)
        for user, generation in sorted(self.wiping.items()):
            if user not in self.state.wipes:
                expiry.wipe(self.state, user, generation)
        return True

    # ---- time ----------------------------------------------------------------------------------

    def tick(self):
        self.judge.counts()
        self.driver.tick()
        for phone in self.phones:
            phone.release(self.now)
        return True

    def waste_time(self):
        self.now += self.hand.choice((10, 30, 100))
        self.state.now = self.now
        return True

    def app_acks(self):
        phone = self.one_of([p for p in self.phones if p.unacked])
        if phone is None:
            return False
        phone.app_acks(self.hand)
        return True

    def days(self):
        """Nobody does anything for days."""
        self.now += self.hand.choice((1, 8, 20, 31, 62)) * DAY_MS
        self.state.now = self.now
        before = self.now - self.settings.client_retry_days * DAY_MS
        for phone in self.phones:
            phone.give_up(before)
        return True

    def sweep(self):
        """A slice of the sweep is read, or what it found is told."""
        if self.soon and self.hand.random() < 0.7:
            for _ in range(self.hand.randint(1, len(self.soon))):
                self.soon.pop(0)()
            return True
        age, retention = self.settings.message_age_days, self.settings.pair_retention_days
        state = self.state

        def later(call, key, found):
            self.soon.append(lambda: partition_of(key[0]) not in self.ceased and call(state, key, found))

        for key, rows in self.storage.aged(self.now - age * DAY_MS):
            later(expiry.aged, key, rows)
        if self.hand.random() < 0.3:
            retention = 0  # whatever is told to it, the core forgets nothing early
        for key, day in self.storage.old(self.now // DAY_MS - retention):
            later(expiry.old_pair, key, day)
        return True

    def register(self, user=None):
        """A new device of a number; the first one, perhaps."""
        user = user or self.hand.choice(self.users)
        if self.storage.apart or partition_of(user) in self.ceased:
            return False  # what another disk still has for the former device would come back: see node/mail/DESIGN.md
        old = self.by_user[user]
        if user not in self.registered:
            self.registered.add(user)
            presence.registered(self.state, user)
            return True
        phone = self._device(user, old.generation + 1, hostile=old.hostile)
        self.phones[self.phones.index(old)] = self.by_user[user] = phone
        old.current = False
        if old.session is not None:
            self.part(old)
            if self.hand.random() < 0.5:
                self.end_session(-1)
        self.counts["wipes"] += 1
        self.wiping[user] = phone.generation
        self.judge.wipe(user, phone.generation)
        expiry.wipe(self.state, user, phone.generation)
        return True

    def misbehave(self):
        phone = self.phones[0]
        if phone.session is None:
            return False
        pairs = [key[1:] for key, _ in self.disk.waiting_keys(phone.user)]
        streams = [device.stream for device in self.devices] + [self.hand.randbytes(8)]
        frame = mischief(phone, self.hand, self.users, streams)
        if frame[0] == "ack" and pairs and self.hand.random() < 0.7:
            frame = ("ack", *self.hand.choice(pairs), *frame[3:])
        if frame[0] == "send":
            self.judge.sent((frame[1], phone.user, phone.stream), frame[2], frame[4])
        phone.up.append(frame)
        return True

    def is_heard(self, phone):
        """Whether the node listens to it."""
        session = phone.session
        return session is not None and session.welcomed and self.state.sessions.get(phone.user) is session

    def deliver_up(self):
        phone = self.one_of([p for p in self.phones if p.up and self.is_heard(p)])
        if phone is None:
            return False
        for _ in range(min(len(phone.up), self.hand.choice((1, 1, 3, 8)))):
            self.handle(phone, *phone.up.popleft())
        return True

    def handle(self, phone, verb, *f):
        state = self.state
        if verb in ("send", "skip", "confirm") and partition_of(f[0]) in self.ceased:
            return
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

    def deliver_down(self):
        phone = self.one_of([p for p in self.phones if p.down])
        if phone is None:
            return False
        for _ in range(min(len(phone.down), self.hand.choice((1, 1, 3, 8)))):
            phone.receive(phone.down.popleft(), self.hand, self.now)
        return True

    # ---- the end -------------------------------------------------------------------------------

    def settle(self, rounds=6_000):
        """No more faults and nothing new: everything must come to rest."""
        self.calm = True
        self.group.calm()
        while self.ghosts:
            self.haunt(self.ghosts[0])
        while self.ceased or self.storage.apart:
            self.rejoin()
        for user in self.users:
            if user not in self.registered:
                self.register(user)
        for phone in self.phones:  # what a read that failed has left lying is taken up at the next login
            if phone.session is not None:
                self.part(phone)
        while self.leaving:
            self.end_session()
        for i in range(rounds):
            self.settle_once()
            if self.quiet():
                return
            if i % 100 == 99:  # what was dropped for want of room is said again at the next login
                for phone in self.phones:
                    if phone.session is not None and (not phone.rests() or self.disk.owed_rows()):
                        self.part(phone)
        raise AssertionError(f"never at rest: {self.describe()}")

    def settle_once(self):
        self.now += 5
        self.state.now = self.now
        while self.leaving:
            self.end_session()
        for phone in self.phones:
            if phone.session is None and self.may_connect(phone):
                self.open(phone)
            if self.is_heard(phone):
                for _ in range(len(phone.up)):
                    self.handle(phone, *phone.up.popleft())
                self.driver.drain()
            for _ in range(len(phone.down)):
                phone.receive(phone.down.popleft(), self.hand, self.now)
            phone.app_acks(self.hand)
            phone.release(self.now)
        while self.soon:
            self.soon.pop(0)()
        self.drain()
        for _ in range(len(self.group.reads) * 2):
            self.group.step_read()
            self.driver.drain()
        self.group.step_commit(self)
        self.driver.tick()
        self.drain()

    def quiet(self):
        state = self.state
        return not (
            any(not phone.rests() for phone in self.phones)
            or self.group.under_way
            or self.group.reads
            or state.dirty
            or state.dirty_owed
            or state.urgent
            or state.wipes
            or state.healing
            or self.disk.waiting_keys()
            or self.disk.owed_rows()
        )

    def leave(self):
        """Everybody goes away."""
        for phone in self.phones:
            if phone.session is not None:
                self.part(phone)
        while self.leaving:
            self.end_session()
        self.drain()

    def describe(self):
        return {
            "outbox": {p.user: p.outbox for p in self.phones if any(p.outbox.values())},
            "restless": [p for p in self.phones if not p.rests()],
            "reads": len(self.group.reads),
            "waiting": self.disk.waiting_keys(),
            "pairs": [p for p in self.state.pairs.values() if p.pending or p.dirty or p.inflight or p.cursor],
            "boxes": list(self.state.boxes.values()),
            "owed": self.disk.owed_rows(),
            "wipes": list(self.state.wipes),
        }


class Dictionaries:
    """Storage that is a dictionary: the primary's, and its heir's."""

    def prepare(self, settings, *, heir):
        """Before anything is opened."""
        self.disk, self.other = Disk(settings.mailbox_messages_max + 1), None
        self.apart = frozenset()  # partitions of which the other disk may have what the primary lacks
        if heir:
            self.other = Disk(settings.mailbox_messages_max + 1)

    @property
    def heir(self):
        """The disk on which a write must be before it is settled."""
        return None if self.apart else self.other

    def take_over(self):
        """The heir is the primary. What the other one had, nobody asks for yet."""
        self.disk, self.other = self.other, self.disk
        self.disk.epoch += 1
        self.apart = frozenset(range(PARTITIONS))
        self.serve(self.apart)

    def serve(self, partitions):
        self.disk.serve(partitions)

    def rejoin(self, partitions):
        """Take in what the other one has; when that was all, it is the heir. Gives the keys that changed."""
        touched = self.disk.take_in(self.other, partitions)
        self.apart -= partitions
        self.serve(partitions)
        if not self.apart:
            self.other.copy_from(self.disk)
            self._attach(self.group)
        return touched

    def assert_alike(self):
        """Copies are equal."""
        if self.heir is not None:
            assert self.disk.replicated() == self.heir.replicated(), "copies differ"

    def _attach(self, group):
        if self.heir is not None:
            heir = self.heir
            group.settle = lambda rows: heir.apply(rows, local=False)
            if group.under_way is not None:
                group.under_way.settled = True  # it was copied

    def open(self, hand, knobs):
        group = self.group = SlowGroup(hand, lambda fn: fn(self.disk), self.disk.apply, **knobs)
        disk = group.home = self.disk
        group.perform = lambda fn: fn(disk)
        self._attach(group)
        tables = DictTables(self.disk, group)
        group.tables = tables
        return group, tables

    def crash(self):
        pass

    def aged(self, oldest):
        return self.disk.aged(oldest)

    def old(self, last_day):
        return self.disk.old(last_day)


def run(seed, steps=500, storage=None, knobs=None):
    """One seed, whole. Raises AssertionError in the words of a judge, of the core's own check, or of nobody's
    expectation."""
    world = World(seed, knobs=knobs, storage=storage)
    for _ in range(steps):
        world.step()
    world.settle()
    world.storage.assert_alike()
    world.judge.verdict()
    world.leave()
    world.judge.nothing_left(world.state)
    return world
