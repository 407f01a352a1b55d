"""What was committed, as plain dictionaries, with the same interface as the tables of the store.

Nothing here shares a line with `node.mail.rows`; the world runs on either. Two disks are copies of one another as far
as rows go that are replicated; how others' rows are taken in is written down here a second time, but for the law of
the pair and `reconcile`, which are the node's own.
"""

from node.mail.intervals import Intervals
from node.mail.pair import merge_rows
from node.mail.reconcile import Reconcile
from store.results import Result

CHUNK = 2
"""Scans give at most so many at a time, whatever they are asked for: worlds are small."""
PARTITIONS = 3


def partition_of(user):
    return user % PARTITIONS


class Disk:
    """The rows of the group `mail`."""

    def __init__(self, recount_max=10**6):
        self.messages = {}  # (recipient, sender, stream) → {n: (arrived, body)}
        self.pairs = {}
        self.boxes = {}
        self.owed = {}  # (sender, recipient, stream) → row
        self.untold = set()
        self.marks = set()
        self.versions = {}  # ("pair" or "owed", key) → (epoch, number of the commit), also of what was deleted
        self.epoch = 1
        self.sequence = 0
        self.local = 0  # counts what happens here
        self.kept_since = {}  # partition → since when its boxes are kept
        self.box_sequences = {}
        self.recount_max = recount_max

    def apply(self, rows, local=True):
        """One commit; of another disk's, only what is replicated."""
        messages, deletes, pairs, boxes, owed, purged, told, marks = rows
        self.sequence += 1
        self.local += 1
        for kind, changed in (("pair", [*dict(pairs), *purged]), ("owed", dict(owed))):
            for key in changed:
                self.versions[kind, key] = (self.epoch, self.sequence)
        for key, n, arrived, body in messages:
            self.messages.setdefault(key, {})[n] = (arrived, body)
        for key, n in deletes:
            of_pair = self.messages.get(key, {})
            of_pair.pop(n, None)
            if not of_pair:
                self.messages.pop(key, None)
        self.pairs.update(pairs)
        self.untold.difference_update(purged)
        if local:
            self.untold.difference_update(told)
        for user, row in boxes if local else ():
            self.box_sequences[user] = self.local
            if row[0]:
                self.boxes[user] = row
            else:
                self.boxes.pop(user, None)
        for key, kept in marks:
            if kept:
                self.marks.add(key)
            else:
                self.marks.discard(key)
        for key, row in owed:
            if row is None:
                self.owed.pop(key, None)
            else:
                self.owed[key] = row
        for key in purged:
            self.pairs.pop(key, None)
            recipient, sender, stream = key
            self.owed.pop((sender, recipient, stream), None)
            self.versions["owed", (sender, recipient, stream)] = (self.epoch, self.sequence)

    def waits(self, user):
        """The row of a box, or one made anew."""
        if self._is_kept(user):
            return self.boxes.get(user)
        sizes = [
            len(body)
            for key, of in sorted(self.messages.items())
            if key[0] == user
            for _, body in of.values()
        ]
        sizes = sizes[: self.recount_max]
        return (len(sizes), sum(sizes)) if sizes else None

    def _is_kept(self, user):
        since = self.kept_since.get(partition_of(user), 0)
        return not since or self.box_sequences.get(user, 0) > since

    def serve(self, partitions):
        """From now on the boxes are kept here."""
        self.local += 1
        self.kept_since.update(dict.fromkeys(partitions, self.local))

    # ---- copies --------------------------------------------------------------------------------

    def take_in(self, other, partitions):
        """What another disk has of some partitions: the newer row stays, or the merge of both."""
        touched = []
        for kind, key in sorted(other.versions, key=repr):
            if partition_of(key[0]) in partitions:
                touched += self._take_in(other, kind, key)
        for key, of in sorted(other.messages.items()):
            for n, row in of.items() if partition_of(key[0]) in partitions else ():
                if not self.has(key, n):
                    self.messages.setdefault(key, {})[n] = row
                    touched.append(("message", (partition_of(key[0]), *key, n)))
        Reconcile()(Transaction(self), touched, [])
        return touched

    def _take_in(self, other, kind, key):
        mine, theirs = (
            getattr(self, kind + "s" * (kind == "pair")),
            getattr(other, kind + "s" * (kind == "pair")),
        )
        version = self.versions.get((kind, key), (0, 0))
        row, newer = theirs.get(key), other.versions[kind, key] > version
        if kind == "pair" and row is not None and key in mine:
            row = merge_rows(mine[key], row)
        elif not newer:
            return []
        if row == mine.get(key):
            return []
        self.versions[kind, key] = max(version, other.versions[kind, key])
        if row is None:
            mine.pop(key, None)
        else:
            mine[key] = row
        return [({"pair": "pair", "owed": "receipt"}[kind], (partition_of(key[0]), *key))]

    def copy_from(self, other):
        """Be another disk's copy."""
        self.messages = {key: dict(of) for key, of in other.messages.items()}
        self.pairs, self.owed, self.versions = dict(other.pairs), dict(other.owed), dict(other.versions)
        self.epoch, self.sequence = other.epoch, other.sequence
        self.untold.intersection_update(self.pairs)

    def replicated(self):
        """What copies agree on."""
        return self.messages, self.pairs, self.owed, self.versions

    # ---- what the judges look at ---------------------------------------------------------------

    def has(self, key, n):
        """Whether a message is stored."""
        return n in self.messages.get(key, ())

    def row(self, key):
        """A pair's row."""
        return self.pairs.get(key)

    def waiting_keys(self, user=None):
        """(key, n) of every message, or of one user's."""
        return [(key, n) for key, of in self.messages.items() if user in (None, key[0]) for n in of]

    def box_rows(self):
        """user → row, of those that are kept"""
        return {user: row for user, row in self.boxes.items() if self._is_kept(user)}

    def owed_rows(self):
        """(sender, recipient, stream) → row"""
        return dict(self.owed)

    # ---- what the sweep finds ------------------------------------------------------------------

    def aged(self, oldest):
        """[(key, [(n, bytes), …]), …] of what arrived by then."""
        found = []
        for key, of in sorted(self.messages.items()):
            rows = [(n, len(body)) for n, (arrived, body) in sorted(of.items()) if arrived <= oldest]
            if rows:
                found.append((key, rows))
        return found

    def old(self, last_day):
        """[(key, day), …] of pairs without messages that last changed before."""
        return [
            (key, row[4])
            for key, row in sorted(self.pairs.items())
            if row[4] < last_day and key not in self.messages
        ]


class Transaction:
    """What `reconcile` sees of a `Disk`."""

    def __init__(self, disk):
        self.disk = disk

    def get(self, table, key):
        assert table == "pair"
        return self.disk.pairs.get(key[1:])

    def keys(self, table, low, high, limit):
        assert table == "message"
        of = self.disk.messages.get(low[1:4], {})
        return [(*low[:4], n) for n in sorted(of) if low[4] <= n < high[4]][:limit]

    def delete(self, table, key):
        if table == "untold":
            self.disk.untold.discard(key[1:])
            return
        of = self.disk.messages[key[1:4]]
        del of[key[4]]
        if not of:
            del self.disk.messages[key[1:4]]

    def put(self, table, key, value):
        assert table == "untold"
        self.disk.untold.add(key[1:])


class Written:
    """What a batch was, for judges."""

    def __init__(self, batch):
        self.pairs = [pair.key for pair in batch.pairs]
        self.purged = [key for key, _ in batch.purged]
        pairs = [*batch.pairs, *(item[0] for item in (*batch.messages, *batch.deletes))]
        self.partitions = frozenset(
            {pair.box.partition for pair in pairs}
            | {partition_of(owed.sender) for owed, _ in batch.owed}
            | {partition_of(user) for key in self.purged for user in key[:2]}
        )


class DictTables:
    """The interface of `MailTables` on a `Disk`."""

    def __init__(self, disk, group):
        self.disk = disk
        self.group = group
        self.noted = 0
        self.notes = {}  # of `retell`: key → local sequence
        self.batch = None  # what the last `writes` was made from

    def partition_of(self, user):
        return partition_of(user)

    def writes(self, batch):
        self.batch = Written(batch)
        return (
            [(p.key, m.n, m.arrived, m.body) for p, m in batch.messages],
            [(p.key, n) for p, n, _ in batch.deletes],
            [(p.key, p.row()) for p in batch.pairs],
            [(b.user, (b.count, b.bytes)) for b in batch.boxes],
            [((o.sender, o.recipient, o.stream), o.row() if kept else None) for o, kept in batch.owed],
            self.batch.purged,
            [p.key for p in batch.told],
            [(telling.key, kept) for telling, kept in batch.marks],
        )

    def note(self, key):
        """As `reconcile` does."""
        self.noted += 1
        self.notes[key] = self.noted

    def read_notes(self, after, limit, done):
        found = [row for row in sorted(self.notes.items()) if after is None or row[0] > after][:limit]
        done(Result(value=(found, found[-1][0] if len(found) == limit else None)))

    def take_notes_off(self, notes, done):
        for key, sequence in notes:
            if self.notes.get(key) == sequence:
                del self.notes[key]
        done(Result())

    def load(self, key):
        def read(disk):
            return disk.pairs.get(key), max(disk.messages.get(key, {0: 0})), disk.waits(key[0])

        return read

    def load_box(self, user):
        return lambda disk: disk.waits(user)

    def untold_in(self, partition, after, limit):
        def read(disk):
            found = sorted(key for key in disk.untold | disk.marks if partition_of(key[0]) == partition)
            found = [key for key in found if after is None or key > after]
            chunk = found[: min(limit, CHUNK)]
            return chunk, (chunk[-1] if len(found) > len(chunk) else None), set(disk.marks)

        return read

    def body(self, pair, n):
        key = pair.key

        def read(disk):
            row = disk.messages.get(key, {}).get(n)
            return None if row is None else row[1]

        return read

    def messages(self, pair, first, limit, size):
        key = pair.key

        def read(disk):
            of = disk.messages.get(key, {})
            rows, total = [], 0
            for n in sorted(n for n in of if n >= first):
                if len(rows) == limit or total >= size:
                    return rows, False
                rows.append((n, *of[n]))
                total += len(of[n][1])
            return rows, True

        return read

    def sizes(self, pair, first, last):
        key = pair.key

        def read(disk):
            of = disk.messages.get(key, {})
            return [(n, len(of[n][1])) for n in sorted(of) if first <= n <= last]

        return read

    def waiting(self, user, after, limit):
        def read(disk):
            found = sorted(key[1:] for key in disk.messages if key[0] == user)
            if after is not None:
                found = [pair for pair in found if pair > after]
            chunk = found[: min(limit, CHUNK)]
            return chunk, (chunk[-1] if len(found) > len(chunk) else None)

        return read

    def waiting_messages(self, user, after, limit):
        find = self.waiting(user, after, limit)

        def read(disk):
            chunk, onward = find(disk)
            found = []
            for pair in chunk:
                of = disk.messages[(user, *pair)]
                found.append((*pair, [(n, len(of[n][1])) for n in sorted(of)]))
            return found, onward

        return read

    def load_owed(self, key):
        def read(disk):
            return disk.owed.get(key)

        read.owed = key  # if this fails, what it would have said is lost: see the judge
        return read

    def scan_owed(self, sender, after, limit):
        def read(disk):
            found = sorted(k[1:] for k in disk.owed if k[0] == sender and (after is None or k[1:] > after))
            chunk = found[: min(limit, CHUNK)]
            rows = [(*k, disk.owed[(sender, *k)]) for k in chunk]
            return rows, (chunk[-1] if len(found) > len(chunk) else None)

        return read


def numbers_of(row):
    """What a pair's row says is over."""
    over = Intervals(row[1])
    over.update(Intervals(row[2]))
    return over
