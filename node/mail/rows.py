"""A batch as writes of the store, and what reads of the store mean. Nothing here waits or decides."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from node.mail.notes import NoteKey
from node.mail.pair import Pair, PairKey
from node.mail.reconcile import Reconcile
from node.mail.settings import MAILBOX_MESSAGES_MAX
from node.mail.state import Batch, Box, OwedKey
from store import keys
from store.group import OpenGroup
from store.results import Result
from store.snapshot import Snapshot
from store.transaction import Transaction
from store.writes import DELETE, PUT, Write

PartitionOf = Callable[[int], int]

WIPE_MESSAGES = 512
"""Messages that a wipe ends in one step."""
CHUNK_ROWS = 8
"""Messages read at once where their bytes are limited: their bodies may be large."""

log = structlog.get_logger()

_END = keys.END


class MailTables:
    """The tables of an open group `mail`, and the encoding of their keys."""

    __slots__ = (
        "_former", "_reconcile", "_recount_max", "_trusted_since", "group", "mailbox", "message", "pair",
        "partition_of", "receipt", "telling", "untold",
    )  # fmt: skip

    def __init__(
        self,
        group: OpenGroup,
        partition_of: PartitionOf,
        trusted_since: Callable[[int], int] | None = None,
        mailbox_messages_max: int = MAILBOX_MESSAGES_MAX,
    ) -> None:
        """
        Args:
            trusted_since: partition → the last local sequence before this node began to keep its mailboxes' counts, 0
                if it always did; a count that isn't younger is made anew from the messages, of which one more than
                ``mailbox_messages_max`` are looked at. None: always, as on a node that stands alone.
        """
        self.group = group
        self.partition_of = partition_of
        self._trusted_since = trusted_since
        self._recount_max = mailbox_messages_max + 1
        self.message = group.table("message")
        self.pair = group.table("pair")
        self.receipt = group.table("receipt")
        self.mailbox = group.table("mailbox")
        self.untold = group.table("untold")
        self.telling = group.table("telling")
        self._reconcile = group.declaration.reconcile
        self._former = 1 if group.table("retell").range(limit=1) else 0

    def prefix(self, pair: Pair) -> bytes:
        """The encoded (partition, recipient, sender, stream): the key in `pair`, the start of those in `message`."""
        if not pair.prefix:
            pair.prefix = keys.encode((pair.box.partition, pair.recipient, pair.sender, pair.stream))
        return pair.prefix

    def writes(self, batch: Batch) -> list[Write]:
        """All of a batch. Messages first: a store that is full fails the whole."""
        found: list[Write] = []
        message, pair_id = self.message.id, self.pair.id
        for pair, item in batch.messages:
            found.append(
                (PUT, message, self.prefix(pair) + keys.encode((item.n,)), (item.arrived, item.body))
            )
        found += [(DELETE, message, self.prefix(pair) + keys.encode((n,))) for pair, n, _ in batch.deletes]
        found += [(PUT, pair_id, self.prefix(pair), pair.row()) for pair in batch.pairs]
        found += [self._box(box) for box in batch.boxes]
        for owed, kept in batch.owed:
            key = (self.partition_of(owed.sender), owed.sender, owed.recipient, owed.stream)
            found.append((PUT, self.receipt.id, key, owed.row()) if kept else (DELETE, self.receipt.id, key))
        found += [(DELETE, self.untold.id, self.prefix(pair)) for pair in batch.told]
        for telling, kept in batch.marks:
            key = (telling.part, *telling.key)
            found.append((PUT, self.telling.id, key, []) if kept else (DELETE, self.telling.id, key))
        for (recipient, sender, stream), _ in batch.purged:
            key = (self.partition_of(recipient), recipient, sender, stream)
            found += [(DELETE, pair_id, key), (DELETE, self.untold.id, key)]
            if batch.served is not None:
                found.append((DELETE, self.telling.id, key))
            key = (self.partition_of(sender), sender, recipient, stream)
            if batch.served is None or key[0] in batch.served:
                found.append((DELETE, self.receipt.id, key))
        return found

    def _box(self, box: Box) -> Write:
        key = (box.partition, box.user)
        if not box.count:
            return (DELETE, self.mailbox.id, key)
        return (PUT, self.mailbox.id, key, (box.count, box.bytes))

    # ---- reads; each gives a function of a snapshot, which may run on another thread ----------

    def load(self, key: PairKey) -> Callable[[Snapshot], tuple[Any, int, Any]]:
        """Row of the pair, its highest number on disk, row of the box."""
        recipient, sender, stream = key
        partition = self.partition_of(recipient)
        prefix = keys.encode((partition, recipient, sender, stream))

        def read(reader: Snapshot) -> tuple[Any, int, Any]:
            last = reader.keys(self.message, prefix, prefix + _END, 1, reverse=True)
            return (
                reader.get(self.pair, prefix),
                last[0][4] if last else 0,
                self._waits(reader, partition, recipient),
            )

        return read

    def load_box(self, user: int) -> Callable[[Snapshot], Any]:
        """Row of the box."""
        partition = self.partition_of(user)
        return lambda reader: self._waits(reader, partition, user)

    def _waits(self, reader: Snapshot, partition: int, user: int) -> Any:
        """Row of a box: the stored one if it can be trusted, or one made from the messages."""
        key = (partition, user)
        since = self._trusted_since(partition) if self._trusted_since is not None else 0
        if not since:
            return reader.get(self.mailbox, key)
        record = reader.record(self.mailbox, key)
        if record is not None and record.local_sequence > since:
            return record.value
        low = keys.encode(key)
        sizes = self._sizes(reader, low, low + _END, self._recount_max)
        return (len(sizes), sum(size for _, _, size in sizes)) if sizes else None

    def body(self, pair: Pair, n: int) -> Callable[[Snapshot], bytes | None]:
        """The stored body of a number."""
        key = self.prefix(pair) + keys.encode((n,))

        def read(reader: Snapshot) -> bytes | None:
            row = reader.get(self.message, key)
            return None if row is None else row[1]

        return read

    def messages(
        self, pair: Pair, first: int, limit: int, size: int
    ) -> Callable[[Snapshot], tuple[list[tuple[int, int, bytes]], bool]]:
        """(n, arrived, body) of one pair from ``first`` on, in order, until there are ``limit`` or ``size`` bytes of
        bodies; and whether there are no more."""
        prefix = self.prefix(pair)

        def read(reader: Snapshot) -> tuple[list[tuple[int, int, bytes]], bool]:
            found: list[tuple[int, int, bytes]] = []
            low, total = first, 0
            while len(found) < limit and total < size:
                wanted = min(CHUNK_ROWS, limit - len(found))
                rows, damaged = reader.sound(
                    self.message, prefix + keys.encode((low,)), prefix + _END, wanted
                )
                for key, row in rows:
                    found.append((key[4], row[0], row[1]))
                    total += len(row[1])
                _report(damaged)
                if len(rows) + len(damaged) < wanted:
                    return found, True
                low = max(*(key[4] for key, _ in rows[-1:]), *(key[4] for key in damaged[-1:]), low) + 1
            return found, False

        return read

    def sizes(self, pair: Pair, first: int, last: int) -> Callable[[Snapshot], list[tuple[int, int]]]:
        """(n, bytes of the body) of those of first..last that are there."""
        prefix = self.prefix(pair)
        low, high = prefix + keys.encode((first,)), prefix + keys.encode((last + 1,))
        return lambda reader: [(n, size) for n, _, size in self._sizes(reader, low, high, last - first + 1)]

    def arrivals(self, reader: Snapshot, prefix: bytes, limit: int) -> list[tuple[int, int, int]]:
        """(n, arrived, bytes of the body) of the first messages of a pair."""
        return self._sizes(reader, prefix, prefix + _END, limit)

    def _sizes(self, reader: Snapshot, low: bytes, high: bytes, limit: int) -> list[tuple[int, int, int]]:
        found: list[tuple[int, int, int]] = []
        while len(found) < limit:
            wanted = min(CHUNK_ROWS, limit - len(found))
            rows, damaged = reader.sound(self.message, low, high, wanted)
            found += [(key[4], row[0], len(row[1])) for key, row in rows]
            _report(damaged)
            if len(rows) + len(damaged) < wanted:
                break
            last = max(*(key for key, _ in rows[-1:]), *damaged[-1:], ())
            low = keys.encode((*last[:4], last[4] + 1))
        return found

    def waiting(
        self, user: int, after: tuple[int, bytes] | None, limit: int
    ) -> Callable[[Snapshot], tuple[list[tuple[int, bytes]], tuple[int, bytes] | None]]:
        """(sender, stream) of up to ``limit`` pairs with messages on disk, and where to go on."""
        partition = self.partition_of(user)
        whole = keys.encode((partition, user))
        low = whole if after is None else keys.encode((partition, user, *after)) + _END

        def read(reader: Snapshot) -> tuple[list[tuple[int, bytes]], tuple[int, bytes] | None]:
            found: list[tuple[int, bytes]] = []
            start = low
            while len(found) < limit:
                first = reader.keys(self.message, start, whole + _END, 1)
                if not first:
                    return found, None
                sender, stream = first[0][2:4]
                found.append((sender, stream))
                start = keys.encode((partition, user, sender, stream)) + _END
            return found, found[-1]

        return read

    def waiting_messages(
        self, user: int, after: tuple[int, bytes] | None, limit: int
    ) -> Callable[
        [Snapshot], tuple[list[tuple[int, bytes, list[tuple[int, int]]]], tuple[int, bytes] | None]
    ]:
        """As `waiting`, with (n, bytes) of each pair's messages, of WIPE_MESSAGES in all. A pair that has more is
        found again the next time."""
        find = self.waiting(user, after, limit)
        partition = self.partition_of(user)

        def read(
            reader: Snapshot,
        ) -> tuple[list[tuple[int, bytes, list[tuple[int, int]]]], tuple[int, bytes] | None]:
            pairs, onward = find(reader)
            found: list[tuple[int, bytes, list[tuple[int, int]]]] = []
            before = after
            left = WIPE_MESSAGES
            for sender, stream in pairs:
                prefix = keys.encode((partition, user, sender, stream))
                rows = self.arrivals(reader, prefix, left)
                found.append((sender, stream, [(n, size) for n, _, size in rows]))
                left -= len(rows)
                if not left:
                    return found, before or (0, b"")
                before = (sender, stream)
            return found, onward

        return read

    def load_owed(self, key: OwedKey) -> Callable[[Snapshot], Any]:
        """Row of a receipt."""
        sender = key[0]
        row_key = (self.partition_of(sender), *key)
        return lambda reader: reader.get(self.receipt, row_key)

    def untold_in(
        self, partition: int, after: PairKey | None, limit: int
    ) -> Callable[[Snapshot], tuple[list[PairKey], PairKey | None, set[PairKey]]]:
        """Keys of pairs of which all is to be told again, where to go on, and which of them are in `telling`."""
        beyond = None if after is None else (partition, *after)

        def read(reader: Snapshot) -> tuple[list[PairKey], PairKey | None, set[PairKey]]:
            noted, marked = (
                [(key[1], key[2], key[3]) for key, _ in reader.prefix(table, (partition,), beyond, limit)]
                for table in (self.untold, self.telling)
            )
            found = sorted({*noted, *marked})[:limit]
            return found, found[-1] if len(found) == limit else None, set(marked)

        return read

    @property
    def noted(self) -> int:
        """Another number whenever there may be new notes in `retell`; those of a former life are new, too."""
        return self._former + (self._reconcile.noted if isinstance(self._reconcile, Reconcile) else 0)

    def read_notes(self, after: NoteKey | None, limit: int, done: Callable[[Result], None]) -> None:
        """(key, local sequence) of notes in `retell`, and where to go on. Read by the writer: behind whatever was about
        to write those that `noted` counts."""
        low = b"" if after is None else keys.encode(after) + _END

        def read(transaction: Transaction) -> tuple[list[tuple[NoteKey, int]], NoteKey | None]:
            found: list[tuple[NoteKey, int]] = []
            for key in transaction.keys("retell", low, _END, limit):
                record = transaction.record("retell", key)
                if record is not None:
                    found.append(((key[0], key[1], key[2], key[3]), record.local_sequence))
            return found, found[-1][0] if len(found) == limit else None

        self.group.submit_transaction(done, read)

    def take_notes_off(self, notes: Sequence[tuple[NoteKey, int]], done: Callable[[Result], None]) -> None:
        """Delete notes, but for those that were made anew. No other node has any of them, so nothing is settled."""

        def take_off(transaction: Transaction) -> None:
            for key, sequence in notes:
                record = transaction.record("retell", key)
                if record is not None and record.local_sequence == sequence:
                    transaction.delete("retell", key)

        self.group.submit_transaction(done, take_off)

    def scan_owed(
        self, sender: int, after: tuple[int, bytes] | None, limit: int
    ) -> Callable[[Snapshot], tuple[list[tuple[int, bytes, Sequence[Any]]], tuple[int, bytes] | None]]:
        """(recipient, stream, row) of what a sender is owed, and where to go on."""
        whole = (self.partition_of(sender), sender)

        def read(
            reader: Snapshot,
        ) -> tuple[list[tuple[int, bytes, Sequence[Any]]], tuple[int, bytes] | None]:
            beyond = None if after is None else (*whole, *after)
            found = reader.prefix(self.receipt, whole, beyond, limit)
            rows = [(key[2], key[3], row) for key, row in found]
            return rows, (rows[-1][0], rows[-1][1]) if len(rows) == limit else None

        return read


def _report(damaged: list[tuple[Any, ...]]) -> None:
    """A message that fails its checksum is left where it is and out of everything; those around it go on."""
    for key in damaged:
        log.error("a stored message is damaged and is passed over; restore it from a backup", key=repr(key))
