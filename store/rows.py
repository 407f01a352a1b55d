"""One ordered map of bytes inside a transaction: on disc or in memory, with the same few operations.

All of the store's logic is written against these, once. They know no table, no record and no version.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from store.ram import RamMap

Pairs = list[tuple[bytes, bytes]]


class ReadRows(Protocol):
    """What a reader does with one ordered map."""

    def get(self, key: bytes, /) -> bytes | None: ...
    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False, /) -> Pairs: ...
    def count(self) -> int: ...


class Rows(ReadRows, Protocol):
    """What a write transaction does with one ordered map."""

    def put(self, key: bytes, record: bytes, /) -> Any: ...
    def insert(self, key: bytes, record: bytes, /) -> bool: ...
    def replace(self, key: bytes, record: bytes, /) -> bytes | None: ...
    def pop(self, key: bytes, /) -> bytes | None: ...
    def put_many(self, pairs: Pairs, /) -> None: ...


class DiscRows:
    """A database of an LMDB transaction. Gone when the transaction ends."""

    __slots__ = ("_cursor", "_database", "_transaction", "get", "pop", "put", "replace")

    def __init__(self, transaction: Any, database: Any) -> None:
        cursor = transaction.cursor(database)
        self._transaction = transaction
        self._database = database
        self._cursor = cursor
        # Bound methods of the cursor: one call from here to C.
        self.get: Callable[[bytes], bytes | None] = cursor.get
        self.put: Callable[[bytes, bytes], Any] = cursor.put
        self.replace: Callable[[bytes, bytes], bytes | None] = cursor.replace
        self.pop: Callable[[bytes], bytes | None] = cursor.pop

    def insert(self, key: bytes, record: bytes) -> bool:
        """Put unless the key is there; says whether it was put."""
        done: bool = self._cursor.put(key, record, True, False)
        return done

    def put_many(self, pairs: Pairs) -> None:
        """Set many; cheapest in the order of their keys."""
        self._cursor.putmulti(pairs)

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> Pairs:
        """Up to `limit` rows with low <= key < high."""
        return scan(self._transaction.cursor(self._database), low, high, limit, reverse)

    def count(self) -> int:
        """Rows in all."""
        return int(self._transaction.stat(self._database)["entries"])


class RamRows:
    """A published map, or another transaction's view of it, with this transaction's changes on top."""

    __slots__ = ("base", "staged")

    def __init__(self, base: RamMap | RamRows) -> None:
        self.base = base
        self.staged: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """The record, or None."""
        return self.staged[key] if key in self.staged else self.base.get(key)

    def put(self, key: bytes, record: bytes) -> None:
        """Set it."""
        self.staged[key] = record

    def put_many(self, pairs: Pairs) -> None:
        """Set many."""
        self.staged.update(pairs)

    def insert(self, key: bytes, record: bytes) -> bool:
        """Put unless the key is there; says whether it was put."""
        if self.get(key) is not None:
            return False
        self.staged[key] = record
        return True

    def replace(self, key: bytes, record: bytes) -> bytes | None:
        """Set it and give what was there."""
        old = self.get(key)
        self.staged[key] = record
        return old

    def pop(self, key: bytes) -> bytes | None:
        """Delete it and give what was there."""
        old = self.get(key)
        if old is not None:
            self.staged[key] = None
        return old

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> Pairs:
        """Up to `limit` rows with low <= key < high."""
        mine = {key: record for key, record in self.staged.items() if low <= key < high}
        # Each of mine hides at most one row below, so this many from below are enough.
        rows: dict[bytes, bytes | None] = dict(self.base.scan(low, high, limit + len(mine), reverse))
        rows.update(mine)
        found = [(key, record) for key, record in rows.items() if record is not None]
        found.sort(reverse=reverse)
        return found[:limit]

    def count(self) -> int:
        """Rows in all."""
        below = len(self.base) if isinstance(self.base, RamMap) else self.base.count()
        for key, record in self.staged.items():
            below += (record is not None) - (self.base.get(key) is not None)
        return below

    def fold(self) -> None:
        """Hand the changes to the view below, when a nested transaction succeeds."""
        assert isinstance(self.base, RamRows)
        self.base.staged.update(self.staged)

    def publish(self) -> None:
        """Make the changes visible, after the commit."""
        assert isinstance(self.base, RamMap)
        self.base.publish(self.staged)


class RamView:
    """A published map, read only: the same reading operations as the rows of a transaction."""

    __slots__ = ("_map", "get", "scan")

    def __init__(self, published: RamMap) -> None:
        self._map = published
        self.get = published.get
        self.scan = published.scan

    def count(self) -> int:
        """Rows in all."""
        return len(self._map)


def scan(cursor: Any, low: bytes, high: bytes, limit: int, reverse: bool) -> Pairs:
    """Up to `limit` rows with low <= key < high, from an LMDB cursor."""
    found: Pairs = []
    if limit <= 0 or low >= high:
        return found
    if reverse:
        # The last row below `high`: step back from the first one that isn't.
        at = cursor.prev() if cursor.set_range(high) else cursor.last()
        if at:
            for row in cursor.iterprev():
                if row[0] < low:
                    break
                found.append(row)
                if len(found) == limit:
                    break
    elif cursor.set_range(low):
        for row in cursor:
            if row[0] >= high:
                break
            found.append(row)
            if len(found) == limit:
                break
    return found
