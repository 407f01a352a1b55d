"""The handle of one table: reads straight from the last commit.

These reads run on the caller's thread. While a group is larger than its warm_bytes they may wait for the disk, which
a loop must not do: use `group.fetch` there.
"""

from __future__ import annotations

from typing import Any

import cbor2

from store import keys
from store.errors import UnknownTable
from store.groupstate import GroupState
from store.keys import AnyKey
from store.limits import SCAN_LIMIT
from store.match import Match
from store.reading import Item
from store.record import Record, payload_of
from store.snapshot import Snapshot
from store.state import TableState
from store.subscribe import Subscription


class OpenTable:
    """A table of an open group. `id` is what writes name it by."""

    __slots__ = ("_group", "id", "lineage", "name")

    def __init__(self, group: GroupState, state: TableState) -> None:
        self._group = group
        self.lineage = state.lineage
        self.id = state.id
        self.name = state.name

    def __repr__(self) -> str:
        return f"<table {self._group.name}.{self.name}>"

    @property
    def state(self) -> TableState:
        """As it is now; of a dropped table, as it was last."""
        return self.lineage.now

    def get(self, key: AnyKey) -> Any:
        """The value of a key, or None; of a bag, the list of its values. Raises DamagedRecord, UnknownTable."""
        lineage = self.lineage
        state = lineage.now
        if state.bag:
            with self._snapshot() as reader:
                return reader.get(state, key)
        encoded = keys.as_key(key)
        while True:
            state = lineage.now
            if state.ram:
                record = state.place.get(encoded)
            else:
                transaction = self._group.environment.begin()
                record = transaction.get(encoded, None, state.place) if lineage.now is state else None
                transaction.abort()
            if lineage.gone:
                raise UnknownTable(f"table {self.name!r} was dropped")
            if lineage.now is state:
                return None if record is None else cbor2.loads(payload_of(state.name, encoded, record))

    def record(self, key: AnyKey) -> Record | None:
        """The value with its version, or the tombstone, or None."""
        with self._snapshot() as reader:
            return reader.record(self.state, key)

    def range(
        self, low: AnyKey = b"", high: AnyKey = keys.END, limit: int = SCAN_LIMIT, *, reverse: bool = False
    ) -> list[Item]:
        """Up to `limit` (key, value) with low <= key < high, in key order or backwards."""
        with self._snapshot() as reader:
            return reader.range(self.state, low, high, limit, reverse=reverse)

    def prefix(
        self, prefix: AnyKey, after: AnyKey | None = None, limit: int = SCAN_LIMIT, *, reverse: bool = False
    ) -> list[Item]:
        """Up to `limit` (key, value) whose keys begin with `prefix`, beyond `after`."""
        with self._snapshot() as reader:
            return reader.prefix(self.state, prefix, after, limit, reverse=reverse)

    def index(
        self, index: str, prefix: AnyKey, after: AnyKey | None = None, limit: int = SCAN_LIMIT
    ) -> list[Item]:
        """Up to `limit` (key, value) found through an index, in its order."""
        with self._snapshot() as reader:
            return reader.index(self.state, index, prefix, after, limit)

    def select(self, match: Match, limit: int = SCAN_LIMIT) -> list[Item]:
        """Up to `limit` (key, value) that match."""
        with self._snapshot() as reader:
            return reader.select(self.state, match, limit)

    def count(self) -> int:
        """Rows (values, in a bag). Costs the same for any size."""
        with self._snapshot() as reader:
            return reader.count(self.state)

    def subscribe(self, limit: int = 1_000) -> Subscription:
        """What is committed to this table from now on."""
        return Subscription(limit, self.state.watchers)

    def set_read_only(self, read_only: bool) -> None:
        """Refuse submits to this table from now on, or take them again. Those queued before are committed."""
        self.state.set_read_only(read_only or self.state.declaration.read_only)

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._group)
