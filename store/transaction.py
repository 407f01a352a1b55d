"""What the function given to `transact` sees: reads that include its own writes, and writes that happen or don't.

It runs on the committer's thread, alone. It must not keep the transaction, await, or have side effects: if the
commit it is in has to be redone without a submit that failed, it runs again.
"""

from __future__ import annotations

from typing import Any

import cbor2

from store import keys
from store.batch import Batch
from store.deferred import Deferred
from store.digest import digest_range, range_of
from store.errors import OtherPartition
from store.keys import AnyKey
from store.limits import PURGE_ROWS, SCAN_LIMIT, SELECT_SCAN_MAX
from store.reading import Reading, find_state
from store.record import Record, local_sequence, payload_of
from store.rows import ReadRows, Rows
from store.state import TableState
from store.writes import DELETE, MERGE, PUT, REMOVE


class Transaction(Reading):
    """Serial, atomic reads and writes of one group."""

    __slots__ = ("_batch", "_only", "_states")

    def __init__(self, batch: Batch | Deferred, states: dict[str, TableState]) -> None:
        self._batch = batch
        self._states = states
        self._only: int | None = None

    def confine(self, partition: int) -> None:
        """From now on every write must be to this partition: others may have another writer, on another node."""
        self._only = partition

    def _writable(self, table: Any, key: AnyKey) -> TableState:
        state = find_state(self._states, table)
        if self._only is not None and state.listed:
            found = keys.decode(keys.as_key(key))[0]
            if found != self._only:
                raise OtherPartition(
                    f"a transaction in partition {self._only} writes {found!r} of table {state.name!r}"
                )
        return state

    def put(self, table: Any, key: AnyKey, value: Any) -> None:
        """Set a key's value; in a bag, add a value."""
        state = self._writable(table, key)
        self._batch.write(state, PUT, state.id, key, value)

    def delete(self, table: Any, key: AnyKey) -> None:
        """Delete a key, if it is there; in a bag, all of its values."""
        state = self._writable(table, key)
        self._batch.write(state, DELETE, state.id, key)

    def remove(self, table: Any, key: AnyKey, value: Any) -> None:
        """Delete one value of a bag's key, if it is there."""
        state = self._writable(table, key)
        self._batch.write(state, REMOVE, state.id, key, value)

    def merge(self, table: Any, key: AnyKey, value: Any) -> None:
        """Set a key to the table's merge of its value and this one."""
        state = self._writable(table, key)
        self._batch.write(state, MERGE, state.id, key, value)

    def stored(self, table: Any) -> tuple[TableState, Rows]:
        """The state of a table, and its rows as they are stored, with this transaction's writes."""
        state = find_state(self._states, table)
        batch = self._batch
        return state, (batch.within() if isinstance(batch, Deferred) else batch).rows_of(state)

    def record(self, table: Any, key: AnyKey) -> Record | None:
        """The value with its version, or the tombstone, or None. Not for bags."""
        if isinstance(self._batch, Deferred):
            self._batch.seen()  # what is pending has no version
        return super().record(table, key)

    def purge(
        self,
        table: Any,
        before_ms: int,
        before_sequence: int,
        after: bytes = b"",
        limit: int = PURGE_ROWS,
        within: tuple[bytes, bytes] = (b"", keys.END),
    ) -> tuple[int, bytes | None]:
        """Forget tombstones made before a time and listed before a local sequence.

        Looks at `limit` of them, `within` a range of keys (`store.digest.range_of` a partition). Gives how many went,
        and where to go on (`after`), or None at the end.
        """
        state = find_state(self._states, table)
        found = self._batch.tombstones_of(state).scan(max(after, within[0]), within[1], limit)
        purged = 0
        for physical, record in found:
            made_ms = cbor2.loads(payload_of(state.name, physical, record))
            if made_ms < before_ms and int.from_bytes(local_sequence(record), "big") < before_sequence:
                self._batch.purge(state, physical)
                purged += 1
        return purged, found[-1][0] + keys.SEPARATOR if len(found) == limit else None

    # ---- for replication ----------------------------------------------------------------------------

    @property
    def sequence(self) -> int:
        """The last sequence written before now, this transaction's own writes included."""
        return self._batch.sequence

    def digest(
        self, table: Any, partition: int | None, after: bytes = b"", limit: int = SCAN_LIMIT
    ) -> tuple[int, bytes, bytes | None]:
        """(count, digest, last key) of a partition's records beyond the physical key `after`.

        The last key is None at the end of the partition; else go on after it. The digest is 16 bytes, and equal on
        nodes that have the same records, whoever wrote them.

        Raises:
            DamagedRecord.
        """
        state = find_state(self._states, table)
        low, high = range_of(partition)
        return self._digest(state, after + keys.SEPARATOR if after else low, high, limit)

    def digest_upto(
        self,
        table: Any,
        partition: int | None,
        after: bytes,
        last_key: bytes | None,
        limit: int = SELECT_SCAN_MAX,
    ) -> tuple[int, bytes]:
        """(count, digest) of after < key <= last key, as another node's `digest` gave it. Not more than `limit` are
        looked at: pass one more than the count that it is compared with, and a longer range ends early."""
        state = find_state(self._states, table)
        low, high = range_of(partition)
        low = after + keys.SEPARATOR if after else low
        return self._digest(state, low, high if last_key is None else last_key + keys.SEPARATOR, limit)[:2]

    def _digest(
        self, state: TableState, low: bytes, high: bytes, limit: int
    ) -> tuple[int, bytes, bytes | None]:
        return digest_range(state.name, self._rows(state), low, high, limit)

    def clear(self, partition: int | None, limit: int = PURGE_ROWS) -> bool:
        """Drop `limit` rows of a partition's replicated tables, at most, with all that belongs to them, and leave no
        trace: no tombstone, nothing tapped; subscribers are told only how many they `Missed`. Whether there are more.
        """
        for state in self._states.values():
            if state.listed and state.partitioned == (partition is not None):
                limit -= self._clear(state, partition, limit)
                if limit <= 0:
                    return True
        return False

    def _clear(self, state: TableState, partition: int | None, limit: int) -> int:
        low, high = range_of(partition)
        found = self._batch.rows_of(state).scan(low, high, limit)
        for physical, _ in found:
            self._batch.drop(state, physical)
        if not state.tombstones or len(found) == limit:
            return len(found)
        buried = self._batch.tombstones_of(state).scan(low, high, limit - len(found))
        for physical, _ in buried:
            self._batch.drop(state, physical, tombstone=True)
        return len(found) + len(buried)

    # ---- where rows are -----------------------------------------------------------------------------

    def _state(self, table: Any) -> TableState:
        return find_state(self._states, table)

    def _rows(self, table: TableState) -> ReadRows:
        return self._batch.rows_of(table)

    def _tombstones(self, table: TableState) -> Rows:
        return self._batch.tombstones_of(table)

    def _index(self, table: TableState, position: int) -> Rows:
        return self._batch.index_of(table, position)
