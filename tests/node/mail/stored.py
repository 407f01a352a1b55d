"""The world's disk as a real store: the same hand, the same judges, LMDB and `node.mail.rows` behind the driver."""

from node.mail.rows import MailTables
from node.mail.settings import MailSettings
from node.mail.state import MailState
from node.mail.sweep import Sweep
from node.mail.tables import MAIL
from store.limits import StoreSettings
from store.store import Store
from tests.node.mail.disk import CHUNK, PARTITIONS, Written, partition_of
from tests.node.mail.slow import SlowGroup

SETTINGS = StoreSettings(map_bytes=64 * 1024 * 1024)


class ChunkedTables(MailTables):
    """Scans give little at a time, as in the world on dictionaries; and the judges are told what is written."""

    __slots__ = ("batch",)

    def writes(self, batch):
        self.batch = Written(batch)
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

    def __init__(self, storage, store):
        self.storage = storage
        self.store = store
        self.group = store.group("mail")

    def has(self, key, n):
        return self.group.table("message").get((partition_of(key[0]), *key, n)) is not None

    def row(self, key):
        return self.group.table("pair").get((partition_of(key[0]), *key))

    def waiting_keys(self, user=None):
        prefix = () if user is None else (partition_of(user), user)
        return [(key[1:4], key[4]) for key, _ in self.group.table("message").prefix(prefix, limit=100_000)]

    def box_rows(self):
        kept = self.storage.kept_since
        with self.group.snapshot() as reader:
            rows = {
                key: reader.record("mailbox", key) for key, _ in reader.prefix("mailbox", (), limit=100_000)
            }
        return {key[1]: row.value for key, row in rows.items() if row.local_sequence > kept.get(key[0], -1)}

    def pair_rows(self):
        return {key[1:]: row for key, row in self.group.table("pair").prefix((), limit=100_000)}

    def owed_rows(self):
        return {key[1:]: row for key, row in self.group.table("receipt").prefix((), limit=100_000)}

    def replicated(self):
        """(table, partition) → (count, digest) of records and tombstones."""
        found = []
        for table in ("message", "pair", "receipt"):
            for partition in range(PARTITIONS):
                self.group.submit_transaction(
                    lambda result, at=(table, partition): found.append((at, result.value)),
                    lambda transaction, table=table, partition=partition: transaction.digest(
                        table, partition, limit=100_000
                    ),
                )
        self.store.deliver_results()
        return dict(found)


def _performed(store, fn):
    with store.group("mail").snapshot() as reader:
        return fn(reader)


class Stored:
    """Storage in directories, the primary's and its heir's; `crash` opens the primary's again."""

    def __init__(self, path):
        self.path = path
        self.stores = []

    def prepare(self, settings, *, heir):
        """Before anything is opened."""
        self.settings = settings
        self.epoch = 1
        self.apart = frozenset()
        self.kept_since = {}
        self.taps = []
        self.places = list(range(1 + heir))
        self.stores = [self._open(at) for at in self.places]  # the primary's first
        self.disk = Rows(self, self.stores[0])

    def _open(self, at):
        path = f"{self.path}-{at}"
        store = Store.open(path, (MAIL,), settings=SETTINGS, committer="inline")
        group = store.group("mail")
        group.epochs = lambda partition: self.epoch
        return store

    def close(self):
        for store in self.stores:
            store.close()

    @property
    def heir(self):
        """The disk on which a write must be before it is settled."""
        return Rows(self, self.stores[1]) if len(self.stores) > 1 and not self.apart else None

    def open(self, hand, knobs):
        store = self.stores[0]
        real = store.group("mail")
        real.tap = self.taps.append
        group = self.group = SlowGroup(hand, None, None, **knobs)
        group.home = store
        group.perform = lambda fn: _performed(store, fn)
        group.apply = lambda writes: self._apply(store, writes)
        self._attach(group)
        tables = ChunkedTables(
            real, partition_of, lambda p: self.kept_since.get(p, 0), self.settings.mailbox_messages_max
        )
        tables.group = group.tables = None
        tables.group, group.tables = group, tables
        settings = MailSettings(sweep_pairs=3)
        self.sweep = Sweep(settings, tables, MailState(settings, 0), lambda function: None)
        return group, tables

    def _attach(self, group):
        if self.heir is not None:
            group.settle = lambda writes: self._settle()
            if group.under_way is not None:
                group.under_way.settled = True

    def _apply(self, store, writes):
        results = []
        store.group("mail").submit(writes, results.append)
        store.deliver_results()
        assert results[0].error is None, results

    def _settle(self):
        """The heir applies what was tapped."""
        for tapped in self.taps:
            self._take_in(self.stores[1], tapped.parts, trusted=True)
        self.taps.clear()

    def _take_in(self, store, parts, *, trusted):
        results = []
        carried = [(part.partition, part.table, part.blob) for part in parts]
        store.group("mail").submit_parts(carried, [], results.append, trusted=trusted)
        store.deliver_results()
        assert results[0].error is None, results

    def take_over(self):
        self.stores.reverse()
        self.places.reverse()
        for store in self.stores:
            store.group("mail").tap = None
        self.taps.clear()
        self.epoch += 1
        self.disk = Rows(self, self.stores[0])
        self.apart = frozenset(range(PARTITIONS))
        self.serve(self.apart)

    def serve(self, partitions):
        self.kept_since.update(dict.fromkeys(partitions, self.stores[0].group("mail").sequence))

    def rejoin(self, partitions):
        mine, other = self.stores
        before = self.disk.pair_rows()
        self._pull(other, mine, partitions)
        after = self.disk.pair_rows()
        self.apart -= partitions
        self.serve(partitions)
        if not self.apart:
            self._pull(mine, other, frozenset(range(PARTITIONS)))
            self.taps.clear()
            self._attach(self.group)
            self.assert_alike()
        changed = {key for key in {**before, **after} if before.get(key) != after.get(key)}
        return [("pair", (partition_of(key[0]), *key)) for key in sorted(changed)]

    def _pull(self, source, sink, partitions):
        """Everything, in small chunks, from the beginning."""
        since = dict.fromkeys(sorted(partitions), 0)
        while since:
            with source.group("mail").snapshot() as reader:
                pulled = reader.pull(sorted(since.items()), None, 5, 10**6)
            self._take_in(sink, pulled.parts, trusted=False)
            for partition, through, whole in pulled.progress:
                if whole:
                    del since[partition]
                else:
                    since[partition] = through

    def assert_alike(self):
        """Copies are equal, versions and tombstones included."""
        if self.heir is not None:
            mine, other = (Rows(self, store).replicated() for store in self.stores)
            assert mine == other, "copies differ"

    def crash(self):
        self.stores[0].close()
        self.stores[0] = self._open(self.places[0])
        self.taps.clear()
        self.disk = Rows(self, self.stores[0])

    def _perform(self, fn):
        return _performed(self.stores[0], fn)

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
