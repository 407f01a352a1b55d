"""The world's disk as a real store: the same hand, the same judges, LMDB and `node.mail.rows` behind the driver."""

from node.mail.rows import MailTables
from node.mail.settings import MailSettings
from node.mail.state import MailState
from node.mail.sweep import Sweep
from node.mail.tables import MAIL
from store.limits import StoreSettings
from store.store import Store
from tests.node.mail.disk import CHUNK
from tests.node.mail.slow import SlowGroup

SETTINGS = StoreSettings(map_bytes=64 * 1024 * 1024)


def partition_of(user):
    return user % 7


class ChunkedTables(MailTables):
    """Scans give little at a time, as in the world on dictionaries; and the judges are told what is written."""

    __slots__ = ("batch",)

    def writes(self, batch):
        self.batch = ([p.key for p in batch.pairs], [key for key, _ in batch.purged])
        return super().writes(batch)

    def waiting(self, user, after, limit):
        return super().waiting(user, after, min(limit, CHUNK))

    def scan_owed(self, sender, after, limit):
        return super().scan_owed(sender, after, min(limit, CHUNK))

    def load_owed(self, key):
        found = super().load_owed(key)

        def read(reader):
            return found(reader)

        read.owed = key
        return read


class Rows:
    """What the judges look at; as `tests.node.mail.disk.Disk`."""

    def __init__(self, group):
        self.group = group

    def has(self, key, n):
        return self.group.table("message").get((partition_of(key[0]), *key, n)) is not None

    def row(self, key):
        return self.group.table("pair").get((partition_of(key[0]), *key))

    def waiting_keys(self, user=None):
        prefix = () if user is None else (partition_of(user), user)
        return [(key[1:4], key[4]) for key, _ in self.group.table("message").prefix(prefix, limit=100_000)]

    def box_rows(self):
        return {key[1]: row for key, row in self.group.table("mailbox").prefix((), limit=100_000)}

    def owed_rows(self):
        return {key[1:]: row for key, row in self.group.table("receipt").prefix((), limit=100_000)}


class Stored:
    """Storage in a directory; `crash` opens it again."""

    def __init__(self, path):
        self.path = path
        self.store = None
        self.sweep = None
        self._open()

    def _open(self):
        self.store = Store.open(self.path, (MAIL,), settings=SETTINGS, committer="inline")
        self.disk = Rows(self.store.group("mail"))

    def open(self, hand, knobs):
        real = self.store.group("mail")
        group = SlowGroup(hand, self._perform, self._apply, **knobs)
        tables = ChunkedTables(real, partition_of)
        tables.group = group.tables = None
        tables.group, group.tables = group, tables
        settings = MailSettings(sweep_pairs=3)
        self.sweep = Sweep(settings, tables, MailState(settings, 0), lambda function: None)
        return group, tables

    def _perform(self, fn):
        with self.store.group("mail").snapshot() as reader:
            return fn(reader)

    def _apply(self, writes):
        results = []
        self.store.group("mail").submit(writes, results.append)
        self.store.deliver_results()
        assert results[0].error is None, results

    def crash(self):
        self.store.close()
        self._open()

    def aged(self, oldest):
        return self._slices(lambda reader, low: self.sweep.aged(reader, low, oldest))

    def old(self, last_day):
        return self._slices(lambda reader, low: self.sweep.old(reader, low, last_day))

    def _slices(self, look):
        found, low = [], b""
        for _ in range(10_000):
            part, low = self._perform(lambda reader, low=low: look(reader, low))
            found += part
            if not low:
                return found
        raise AssertionError("the sweep never comes to an end")
