"""A batch as writes of the store, and what reads of the store mean. Nothing here waits or decides."""

from collections.abc import Callable, Sequence
from typing import Any

from node.mail.pair import Pair, PairKey
from node.mail.state import Batch, Box, OwedKey
from store import keys
from store.group import OpenGroup
from store.snapshot import Snapshot
from store.writes import DELETE, PUT, Write

PartitionOf = Callable[[int], int]

WIPE_MESSAGES = 512
"""Messages of one pair that a wipe ends in one step."""
SWEEP_MESSAGES = 256
"""Messages of one pair that a sweep ends in one step."""

_END = keys.END


class MailTables:
    """The tables of an open group `mail`, and the encoding of their keys."""

    __slots__ = ("group", "mailbox", "message", "pair", "partition_of", "receipt")

    def __init__(self, group: OpenGroup, partition_of: PartitionOf) -> None:
        self.group = group
        self.partition_of = partition_of
        self.message = group.table("message")
        self.pair = group.table("pair")
        self.receipt = group.table("receipt")
        self.mailbox = group.table("mailbox")

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
        for recipient, sender, stream in batch.purged:
            found.append((DELETE, pair_id, (self.partition_of(recipient), recipient, sender, stream)))
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
            last = reader.range(self.message, prefix, prefix + _END, 1, reverse=True)
            return (
                reader.get(self.pair, prefix),
                last[0][0][4] if last else 0,
                reader.get(self.mailbox, (partition, recipient)),
            )

        return read

    def load_box(self, user: int) -> Callable[[Snapshot], Any]:
        """Row of the box."""
        key = (self.partition_of(user), user)
        return lambda reader: reader.get(self.mailbox, key)

    def body(self, pair: Pair, n: int) -> Callable[[Snapshot], bytes | None]:
        """The stored body of a number."""
        key = self.prefix(pair) + keys.encode((n,))

        def read(reader: Snapshot) -> bytes | None:
            row = reader.get(self.message, key)
            return None if row is None else row[1]

        return read

    def messages(
        self, prefix: bytes, first: int, limit: int, last: int | None = None
    ) -> Callable[[Snapshot], list[tuple[int, int, bytes]]]:
        """(n, arrived, body) of one pair from ``first`` on, in order."""
        low = prefix + keys.encode((first,))
        high = prefix + (_END if last is None else keys.encode((last + 1,)))

        def read(reader: Snapshot) -> list[tuple[int, int, bytes]]:
            found = reader.range(self.message, low, high, limit)
            return [(key[4], row[0], row[1]) for key, row in found]

        return read

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
                first = reader.range(self.message, start, whole + _END, 1)
                if not first:
                    return found, None
                sender, stream = first[0][0][2:4]
                found.append((sender, stream))
                start = keys.encode((partition, user, sender, stream)) + _END
            return found, found[-1]

        return read

    def waiting_messages(
        self, user: int, after: tuple[int, bytes] | None, limit: int
    ) -> Callable[
        [Snapshot], tuple[list[tuple[int, bytes, list[tuple[int, int]]]], tuple[int, bytes] | None]
    ]:
        """As `waiting`, with (n, bytes) of each pair's messages. A pair with too many is found again the next time."""
        find = self.waiting(user, after, limit)
        partition = self.partition_of(user)

        def read(
            reader: Snapshot,
        ) -> tuple[list[tuple[int, bytes, list[tuple[int, int]]]], tuple[int, bytes] | None]:
            pairs, onward = find(reader)
            found: list[tuple[int, bytes, list[tuple[int, int]]]] = []
            before = after
            for sender, stream in pairs:
                prefix = keys.encode((partition, user, sender, stream))
                rows = self.messages(prefix, 1, WIPE_MESSAGES)(reader)
                found.append((sender, stream, [(n, len(body)) for n, _, body in rows]))
                if len(rows) == WIPE_MESSAGES:
                    return found, before or (0, b"")
                before = (sender, stream)
            return found, onward

        return read

    def load_owed(self, key: OwedKey) -> Callable[[Snapshot], Any]:
        """Row of a receipt."""
        sender = key[0]
        row_key = (self.partition_of(sender), *key)
        return lambda reader: reader.get(self.receipt, row_key)

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
