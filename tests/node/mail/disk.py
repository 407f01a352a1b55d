"""What was committed, as plain dictionaries, with the same interface as the tables of the store.

Nothing here shares a line with `node.mail.rows`; the world runs on either.
"""

from node.mail.intervals import Intervals

CHUNK = 2
"""Scans give at most so many at a time, whatever they are asked for: worlds are small."""


class Disk:
    """The rows of the group `mail`."""

    def __init__(self):
        self.messages = {}  # (recipient, sender, stream) → {n: (arrived, body)}
        self.pairs = {}
        self.boxes = {}
        self.owed = {}  # (sender, recipient, stream) → row

    def apply(self, rows):
        """One commit."""
        messages, deletes, pairs, boxes, owed, purged = rows
        for key, n, arrived, body in messages:
            self.messages.setdefault(key, {})[n] = (arrived, body)
        for key, n in deletes:
            of_pair = self.messages.get(key, {})
            of_pair.pop(n, None)
            if not of_pair:
                self.messages.pop(key, None)
        self.pairs.update(pairs)
        for user, row in boxes:
            if row[0]:
                self.boxes[user] = row
            else:
                self.boxes.pop(user, None)
        for key, row in owed:
            if row is None:
                self.owed.pop(key, None)
            else:
                self.owed[key] = row
        for key in purged:
            self.pairs.pop(key, None)
            recipient, sender, stream = key
            self.owed.pop((sender, recipient, stream), None)

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
        """user → row"""
        return dict(self.boxes)

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


class DictTables:
    """The interface of `MailTables` on a `Disk`."""

    def __init__(self, disk, group):
        self.disk = disk
        self.group = group
        self.batch = None  # what the last `writes` was made from, for the judges: (pairs, purged)

    def partition_of(self, user):
        return 0

    def writes(self, batch):
        purged = [key for key, _ in batch.purged]
        self.batch = ([p.key for p in batch.pairs], purged)
        return (
            [(p.key, m.n, m.arrived, m.body) for p, m in batch.messages],
            [(p.key, n) for p, n, _ in batch.deletes],
            [(p.key, p.row()) for p in batch.pairs],
            [(b.user, (b.count, b.bytes)) for b in batch.boxes],
            [((o.sender, o.recipient, o.stream), o.row() if kept else None) for o, kept in batch.owed],
            purged,
        )

    def load(self, key):
        def read(disk):
            return disk.pairs.get(key), max(disk.messages.get(key, {0: 0})), disk.boxes.get(key[0])

        return read

    def load_box(self, user):
        return lambda disk: disk.boxes.get(user)

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
