"""Reading rows: the same for a snapshot, for the function of a transaction, and for a table handle.

Whoever inherits from `Reading` says where the rows are; this module knows what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cbor2

from store import keys
from store.errors import DamagedRecord, UnknownIndex, UnknownTable
from store.keys import AnyKey
from store.limits import SCAN_LIMIT, SELECT_SCAN_MAX
from store.match import Match
from store.record import Record, payload_of, unpack, value_of
from store.rows import Pairs, ReadRows
from store.state import TableState

Item = tuple[tuple[Any, ...], Any]
"""(key, value)"""

_CHUNK = 256


class Reading:
    """Reads of one group at one moment. Tables are named by their declaration's name, or by their handle or state."""

    __slots__ = ()

    def _state(self, table: Any) -> TableState:
        raise NotImplementedError

    def _rows(self, table: TableState) -> ReadRows:
        raise NotImplementedError

    def _tombstones(self, table: TableState) -> ReadRows:
        raise NotImplementedError

    def _index(self, table: TableState, position: int) -> ReadRows:
        raise NotImplementedError

    def get(self, table: Any, key: AnyKey) -> Any:
        """The value of a key, or None. Of a bag: the list of its values, in no meaningful order.

        Raises:
            DamagedRecord: the record fails its checksum.
        """
        state = self._state(table)
        encoded = keys.as_key(key)
        rows = self._rows(state)
        if state.bag:
            found = rows.scan(encoded + keys.SEPARATOR, encoded + keys.AFTER_SEPARATOR, SELECT_SCAN_MAX)
            return [value_of(state.name, physical, record) for physical, record in found]
        record = rows.get(encoded)
        return None if record is None else value_of(state.name, encoded, record)

    def record(self, table: Any, key: AnyKey) -> Record | None:
        """The value with its version, or the tombstone, or None. Not for bags."""
        state = self._state(table)
        assert not state.bag, "a bag's key has no single record"
        encoded = keys.as_key(key)
        raw = self._rows(state).get(encoded)
        if raw is None and state.tombstones:
            raw = self._tombstones(state).get(encoded)
        return None if raw is None else unpack(state.name, encoded, raw)

    def range(
        self,
        table: Any,
        low: AnyKey = b"",
        high: AnyKey = keys.END,
        limit: int = SCAN_LIMIT,
        *,
        reverse: bool = False,
    ) -> list[Item]:
        """Up to `limit` rows with low <= key < high, in key order or backwards. A bag gives one row per value."""
        state = self._state(table)
        pairs = self._rows(state).scan(keys.as_bound(low), keys.as_bound(high), limit, reverse)
        return _items(state, pairs)

    def sound(
        self, table: Any, low: AnyKey, high: AnyKey, limit: int = SCAN_LIMIT
    ) -> tuple[list[Item], list[tuple[Any, ...]]]:
        """As `range`, but rows that fail their checksum don't raise: their keys come apart. Up to `limit` in all.

        For readers that can go on without a row, and say that it is damaged.
        """
        state = self._state(table)
        pairs = list(self._rows(state).scan(keys.as_bound(low), keys.as_bound(high), limit))
        rows: list[Item] = []
        damaged: list[tuple[Any, ...]] = []
        try:
            return _items(state, pairs), damaged
        except DamagedRecord:
            pass  # one by one, then
        for physical, record in pairs:
            try:
                rows.append(_item(state, physical, record))
            except DamagedRecord:
                damaged.append(logical_key(state, physical))
        return rows, damaged

    def keys(
        self, table: Any, low: AnyKey, high: AnyKey, limit: int = SCAN_LIMIT, *, reverse: bool = False
    ) -> list[tuple[Any, ...]]:
        """The keys that `range` would give; values are neither decoded nor checked."""
        state = self._state(table)
        pairs = self._rows(state).scan(keys.as_bound(low), keys.as_bound(high), limit, reverse)
        return [logical_key(state, physical) for physical, _ in pairs]

    def prefix(
        self,
        table: Any,
        prefix: AnyKey,
        after: AnyKey | None = None,
        limit: int = SCAN_LIMIT,
        *,
        reverse: bool = False,
    ) -> list[Item]:
        """Up to `limit` rows whose keys begin with the elements of `prefix`, beyond `after` in the direction read.

        Going on with `after` = the last key given skips nothing and repeats nothing; in a bag it skips the rest of
        that key's values, so ask for a limit that a key's values fit in.
        """
        state = self._state(table)
        start = keys.as_bound(prefix)
        low, high = start, start + keys.END
        if after is not None:
            beyond = keys.as_bound(after)
            if reverse:
                high = min(high, beyond)
            else:
                low = max(low, beyond + (keys.AFTER_SEPARATOR if state.bag else keys.SEPARATOR))
        pairs = self._rows(state).scan(low, high, limit, reverse)
        return _items(state, pairs)

    def index(
        self, table: Any, index: str, prefix: AnyKey, after: AnyKey | None = None, limit: int = SCAN_LIMIT
    ) -> list[Item]:
        """Up to `limit` rows whose entries in the index begin with `prefix`, in the index's order.

        `after` is an index tuple: only entries beyond it. A row with two matching entries comes twice.
        """
        state = self._state(table)
        start = keys.as_bound(prefix)
        low = start if after is None else max(start, keys.as_bound(after) + keys.AFTER_SEPARATOR)
        entries = self._index(state, _position(state, index)).scan(low, start + keys.END, limit)
        rows = self._rows(state)
        found = []
        for entry, _ in entries:
            physical = keys.split(entry)[1]
            record = rows.get(physical)
            if record is not None:
                found.append(_item(state, physical, record))
        return found

    def select(
        self, table: Any, match: Match, limit: int = SCAN_LIMIT, scan_max: int = SELECT_SCAN_MAX
    ) -> list[Item]:
        """Up to `limit` rows that match, in key order (or the index's), looking at `scan_max` rows at most."""
        state = self._state(table)
        start = keys.encode(match.prefix())
        low, high = start, start + keys.END
        source = (
            self._rows(state) if match.index is None else self._index(state, _position(state, match.index))
        )
        read = self._by_key if match.index is None else self._by_index
        found: list[Item] = []
        looked = 0
        while looked < scan_max and len(found) < limit:
            chunk = source.scan(low, high, min(_CHUNK, scan_max - looked))
            for physical, record in chunk:
                looked += 1
                item = read(state, match, physical, record)
                if item is not None:
                    found.append(item)
                    if len(found) == limit:
                        break
            if len(chunk) < _CHUNK:
                break
            low = chunk[-1][0] + keys.SEPARATOR
        return found

    def count(self, table: Any) -> int:
        """Rows of a table (values, in a bag). Costs the same for any size."""
        return self._rows(self._state(table)).count()

    def _by_key(self, state: TableState, match: Match, physical: bytes, record: bytes) -> Item | None:
        key = logical_key(state, physical)
        if not match.key_fits(key):
            return None
        value = value_of(state.name, physical, record)
        return (key, value) if match.value_fits(key, value) else None

    def _by_index(self, state: TableState, match: Match, entry: bytes, _: bytes) -> Item | None:
        by, physical = keys.split(entry)
        record = self._rows(state).get(physical)
        if record is None or not match.key_fits(keys.decode(by)):
            return None
        key, value = _item(state, physical, record)
        return (key, value) if match.value_fits(key, value) else None


def logical_key(state: TableState, physical: bytes) -> tuple[Any, ...]:
    """The caller's key of a stored row."""
    return keys.decode(keys.split(physical)[0] if state.bag else physical)


def find_state(states: dict[str, TableState], table: Any) -> TableState:
    """The state of a table given by name, handle or state. Raises UnknownTable, also for one that was dropped since."""
    if type(table) is str:
        state = states.get(table)
        if state is None:
            raise UnknownTable(f"there is no table {table!r}")
        return state
    given: TableState = table if isinstance(table, TableState) else table.state
    state = states.get(given.name)
    if state is None or state.lineage is not given.lineage:
        raise UnknownTable(f"table {given.name!r} was dropped, or wasn't made yet")
    return state


def _items(state: TableState, pairs: Pairs) -> list[Item]:
    if state.bag:
        return [_item(state, physical, record) for physical, record in pairs]
    name, decode, loads = state.name, keys.decode, cbor2.loads
    return [(decode(key), loads(payload_of(name, key, record))) for key, record in pairs]


def _item(state: TableState, physical: bytes, record: bytes) -> Item:
    return logical_key(state, physical), cbor2.loads(payload_of(state.name, physical, record))


def _position(state: TableState, index: str) -> int:
    for at, declared in enumerate(state.indexes):
        if declared.name == index and index not in state.unusable:
            return at
    raise UnknownIndex(f"table {state.name!r} has no index {index!r}, or it isn't complete yet")


ReadFunction = Callable[[Any], Any]
