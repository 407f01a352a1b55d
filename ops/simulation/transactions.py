"""Transactions and cursors of the virtual disk, with the names and the meaning that py-lmdb gives them.

A write transaction changes the maps in place and remembers how to undo it, so that a commit costs what it writes and a
child is only a mark in that list. A reader that is open meanwhile gets copies of the maps that are written to, made
before the first write: rare in simulations, where reads are over before the next commit.

Only what the store uses is here, and of that the behaviour that a caller may rely on: where a cursor stands after a
failed search is not defined, as it isn't in LMDB's manual.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, Final

import lmdb

from ops.simulation.maps import VirtualMap

KEY_BYTES_MAX: Final = 511
ROWS_PER_PAGE: Final = 16

Undo = list[tuple[VirtualMap, bytes | None, Any]]
"""(map, key, record before or None); for an emptied map (map, None, the map as it was)."""

Pair = tuple[bytes, bytes]


class VirtualFile:
    """One environment's content, and who reads and writes it now."""

    __slots__ = ("maps", "readers", "writer")

    def __init__(self) -> None:
        self.maps: dict[bytes, VirtualMap] = {}
        self.readers: list[VirtualTransaction] = []
        self.writer: VirtualTransaction | None = None

    def stat(self) -> dict[str, int]:
        """As of the environment: its entries are its named maps."""
        return {"entries": len(self.maps), "psize": 4096}

    def begin(self, *, write: bool, parent: VirtualTransaction | None) -> VirtualTransaction:
        """A transaction; at most one writes, and that is the innermost child."""
        if not write:
            reader = VirtualTransaction(self, None, None)
            if self.writer is not None:
                self.writer.hide_from(reader)
            self.readers.append(reader)
            return reader
        assert self.writer is parent, "LMDB would wait for the other writer forever"
        self.writer = VirtualTransaction(self, parent, [])
        return self.writer

    def keep_for_readers(self, written: VirtualMap) -> None:
        """Before a write: whoever reads goes on seeing the map as it is."""
        for reader in self.readers:
            if written not in reader.kept:
                reader.kept[written] = written.copy()


class VirtualTransaction:
    """A transaction of a `VirtualFile`. `undo` is None in one that may not write: a reader, a parent, an ended one."""

    __slots__ = ("_above", "_parent", "file", "kept", "undo")

    def __init__(self, file: VirtualFile, parent: VirtualTransaction | None, undo: Undo | None) -> None:
        self.file = file
        self.kept: dict[VirtualMap, VirtualMap] = {}
        self.undo = undo
        self._parent = parent
        self._above: Undo | None = None
        if parent is not None:
            self._above, parent.undo = parent.undo, None

    @property
    def is_child(self) -> bool:
        """Whether it joins another one."""
        return self._parent is not None

    def seen(self, database: VirtualMap) -> VirtualMap:
        """The map as this transaction sees it."""
        return self.kept.get(database, database) if self.kept else database

    def hide_from(self, reader: VirtualTransaction) -> None:
        """Give a reader that begins now the maps as they were before this transaction."""
        for database, key, before in reversed(self.pending()):
            restored = reader.kept.get(database)
            if restored is None:
                restored = reader.kept[database] = database.copy()
            _revert(restored, key, before)

    def pending(self) -> Undo:
        """What it and those above it have written, in order."""
        assert self.undo is not None
        if self._parent is None:
            return self.undo
        assert self._above is not None
        self._parent.undo = self._above
        pending = self._parent.pending() + self.undo
        self._parent.undo = None
        return pending

    # ---- reading and writing ------------------------------------------------------------------------

    def get(self, key: bytes, default: bytes | None = None, db: Any = None) -> bytes | None:
        """The record, or the default."""
        found: bytes | None = self.seen(db).rows.get(key, default)
        return found

    def put(
        self,
        key: bytes,
        value: bytes,
        dupdata: bool = True,
        overwrite: bool = True,
        append: bool = False,
        db: Any = None,
    ) -> bool:
        """Set it; without `overwrite`, only if there is none. Says whether it was set."""
        if not overwrite and key in db.rows:
            return False
        self.write(db, key, value)
        return True

    def replace(self, key: bytes, value: bytes, db: Any = None) -> bytes | None:
        """Set it and give what was there."""
        return self.write(db, key, value)

    def pop(self, key: bytes, db: Any = None) -> bytes | None:
        """Delete it and give what was there."""
        return self.erase(db, key)

    def delete(self, key: bytes, value: bytes = b"", db: Any = None) -> bool:
        """Delete it; says whether it was there."""
        return self.erase(db, key) is not None

    def drop(self, db: Any, delete: bool = True) -> None:
        """Empty a map, or do away with it."""
        undo = self.undo
        assert undo is not None, "this transaction may not write"
        self.file.keep_for_readers(db)
        undo.append((db, None, (db.rows, db.order, delete)))
        db.rows, db.order = {}, []
        if delete:
            del self.file.maps[db.name]

    def cursor(self, db: Any) -> VirtualCursor:
        """A cursor that stands nowhere yet."""
        return VirtualCursor(self, db)

    def stat(self, db: Any) -> dict[str, int]:
        """How much there is; the pages are a guess."""
        entries = len(self.seen(db).rows)
        leaves = -(-entries // ROWS_PER_PAGE)
        return {
            "entries": entries,
            "branch_pages": 0,
            "leaf_pages": leaves,
            "overflow_pages": 0,
            "psize": 4096,
        }

    def write(self, database: VirtualMap, key: bytes, record: bytes) -> bytes | None:
        """Set a record, remembering the one before."""
        undo = self.undo
        assert undo is not None, "this transaction may not write"
        if not 0 < len(key) <= KEY_BYTES_MAX:
            raise lmdb.BadValsizeError(f"a key has {len(key)} bytes")
        if self.file.readers:
            self.file.keep_for_readers(database)
        if type(record) is not bytes:
            record = bytes(record)
        old = database.set(key if type(key) is bytes else bytes(key), record)
        undo.append((database, key, old))
        return old

    def erase(self, database: VirtualMap, key: bytes) -> bytes | None:
        """Delete a record, remembering it."""
        undo = self.undo
        assert undo is not None, "this transaction may not write"
        if self.file.readers:
            self.file.keep_for_readers(database)
        old = database.take(key)
        if old is not None:
            undo.append((database, key, old))
        return old

    # ---- ending -------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Keep what was written; a child gives it to its parent."""
        undo = self.undo
        if undo is not None and self._parent is not None:
            assert self._above is not None
            self._above += undo
            self._parent.undo = self._above
        self._end()

    def abort(self) -> None:
        """Undo what was written, or end a reader."""
        undo = self.undo
        if undo is not None:
            for database, key, before in reversed(undo):
                if key is None and before[2]:
                    self.file.maps[database.name] = database
                _revert(database, key, before)
            if self._parent is not None:
                self._parent.undo = self._above
        self._end()

    def _end(self) -> None:
        if self.undo is not None:
            assert self.file.writer is self, "a transaction with an open child can't end"
            self.file.writer = self._parent
            self.undo = None
        elif self in self.file.readers:
            self.file.readers.remove(self)

    def __enter__(self) -> VirtualTransaction:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is None:
            self.commit()
        else:
            self.abort()


class VirtualCursor:
    """Where one stands in a map. It follows its key, whatever is written meanwhile."""

    __slots__ = ("_database", "_key", "_there", "_transaction")

    def __init__(self, transaction: VirtualTransaction, database: VirtualMap) -> None:
        self._transaction = transaction
        self._database = database
        self._key = b""
        self._there = False

    # ---- by key -------------------------------------------------------------------------------------

    def get(self, key: bytes, default: bytes | None = None) -> bytes | None:
        """Go to a key and give its record, or the default."""
        found = self._transaction.seen(self._database).rows.get(key)
        self._there = found is not None
        self._key = key
        return default if found is None else found

    def set_key(self, key: bytes) -> bool:
        """Go to a key."""
        return self.get(key) is not None

    def put(
        self, key: bytes, value: bytes, dupdata: bool = True, overwrite: bool = True, append: bool = False
    ) -> bool:
        """Set it and go there; without `overwrite`, only if there is none. Says whether it was set."""
        self._key, self._there = key, True
        if not overwrite and key in self._database.rows:
            return False
        self._transaction.write(self._database, key, value)
        return True

    def replace(self, key: bytes, value: bytes) -> bytes | None:
        """Set it, go there and give what was there."""
        self._key, self._there = key, True
        return self._transaction.write(self._database, key, value)

    def pop(self, key: bytes) -> bytes | None:
        """Delete it and give what was there. The cursor goes to the row after it."""
        old = self._transaction.erase(self._database, key)
        self._there = False
        if old is not None:
            self.set_range(key)
        return old

    def delete(self, dupdata: bool = False) -> bool:
        """Delete the row here and go to the one after it."""
        return self._there and self.pop(self._key) is not None

    def getmulti(self, keys: Iterable[bytes], dupdata: bool = False) -> list[Pair]:
        """The rows of those keys that are there, in the order asked for."""
        rows = self._transaction.seen(self._database).rows
        found: list[Pair] = []
        for key in keys:
            record = rows.get(key)
            if record is not None:
                found.append((key, record))
                self._key, self._there = key, True
        return found

    def putmulti(
        self, items: Iterable[Pair], dupdata: bool = True, overwrite: bool = True, append: bool = False
    ) -> tuple[int, int]:
        """Put many. Gives how many were read and how many were set."""
        read = done = 0
        for key, value in items:
            read += 1
            done += self.put(key, value, dupdata, overwrite)
        return read, done

    # ---- by order -----------------------------------------------------------------------------------

    def key(self) -> bytes:
        """The key here, or nothing."""
        return self._key if self._there else b""

    def value(self) -> bytes:
        """The record here, or nothing."""
        return self._transaction.seen(self._database).rows.get(self._key, b"") if self._there else b""

    def item(self) -> Pair:
        """Both."""
        return self.key(), self.value()

    def first(self) -> bool:
        """Go to the first row."""
        return self._go(0)

    def last(self) -> bool:
        """Go to the last row."""
        return self._go(len(self._order()) - 1)

    def next(self) -> bool:
        """Go on; from nowhere, to the first row."""
        if not self._key:
            return self.first()
        return self._go(bisect_right(self._order(), self._key))

    def prev(self) -> bool:
        """Go back; from nowhere, to the last row."""
        if not self._key:
            return self.last()
        return self._go(bisect_left(self._order(), self._key) - 1)

    def set_range(self, key: bytes) -> bool:
        """Go to the first row at or beyond a key."""
        return self._go(bisect_left(self._order(), key))

    def iternext(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        """Rows from here on, from the first one if the cursor stands nowhere."""
        return self._rows(1, keys, values)

    def iterprev(self, keys: bool = True, values: bool = True) -> Iterator[Any]:
        """Rows from here back, from the last one if the cursor stands nowhere."""
        return self._rows(-1, keys, values)

    def __iter__(self) -> Iterator[Pair]:
        return self._rows(1, True, True)

    def close(self) -> None:
        """Nothing to give back."""

    def _order(self) -> list[bytes]:
        return self._transaction.seen(self._database).order

    def _go(self, at: int) -> bool:
        order = self._order()
        self._there = 0 <= at < len(order)
        if self._there:
            self._key = order[at]
        return self._there

    def _rows(self, way: int, keys: bool, values: bool) -> Iterator[Any]:
        if not self._there and not (self.first() if way > 0 else self.last()):
            return
        seen = self._transaction.seen(self._database)
        order, rows = seen.order, seen.rows
        key = self._key
        at = bisect_left(order, key)
        while 0 <= at < len(order):
            self._key = key = order[at]
            yield (key, rows[key]) if keys and values else key if keys else rows[key]
            if seen is not self._transaction.seen(self._database) or order is not seen.order:
                seen = self._transaction.seen(self._database)
                order, rows = seen.order, seen.rows
            if at < len(order) and order[at] is key:
                at += way
            elif way > 0:
                at = bisect_right(order, key)
            else:
                at = bisect_left(order, key) - 1
        self._there = False


def _revert(database: VirtualMap, key: bytes | None, before: Any) -> None:
    if key is None:
        database.rows, database.order = before[0].copy(), before[1].copy()
    elif before is None:
        database.take(key)
    else:
        database.set(key, before)
