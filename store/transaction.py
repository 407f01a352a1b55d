"""What the function given to `transact` sees: reads that include its own writes, and writes that happen or don't.

It runs on the committer's thread, alone. It must not keep the transaction, await, or have side effects: if the
commit it is in has to be redone without a submit that failed, it runs again.
"""

from __future__ import annotations

from typing import Any

import cbor2

from store import keys
from store.batch import Batch
from store.keys import AnyKey
from store.limits import PURGE_ROWS
from store.reading import Reading, find_state
from store.record import local_sequence, payload_of
from store.rows import Rows
from store.state import TableState
from store.writes import DELETE, MERGE, PUT, REMOVE


class Transaction(Reading):
    """Serial, atomic reads and writes of one group."""

    __slots__ = ("_batch", "_states")

    def __init__(self, batch: Batch, states: dict[str, TableState]) -> None:
        self._batch = batch
        self._states = states

    def put(self, table: Any, key: AnyKey, value: Any) -> None:
        """Set a key's value; in a bag, add a value."""
        state = find_state(self._states, table)
        self._batch.write(state, PUT, state.id, key, value)

    def delete(self, table: Any, key: AnyKey) -> None:
        """Delete a key, if it is there; in a bag, all of its values."""
        state = find_state(self._states, table)
        self._batch.write(state, DELETE, state.id, key)

    def remove(self, table: Any, key: AnyKey, value: Any) -> None:
        """Delete one value of a bag's key, if it is there."""
        state = find_state(self._states, table)
        self._batch.write(state, REMOVE, state.id, key, value)

    def merge(self, table: Any, key: AnyKey, value: Any) -> None:
        """Set a key to the table's merge of its value and this one."""
        state = find_state(self._states, table)
        self._batch.write(state, MERGE, state.id, key, value)

    def purge(
        self, table: Any, before_ms: int, before_sequence: int, after: bytes = b"", limit: int = PURGE_ROWS
    ) -> tuple[int, bytes | None]:
        """Forget tombstones made before a time and listed before a local sequence.

        Looks at `limit` of them. Gives how many went, and where to go on (`after`), or None at the end.
        """
        state = find_state(self._states, table)
        found = self._batch.tombstones_of(state).scan(after, keys.END, limit)
        purged = 0
        for physical, record in found:
            made_ms = cbor2.loads(payload_of(state.name, physical, record))
            if made_ms < before_ms and int.from_bytes(local_sequence(record), "big") < before_sequence:
                self._batch.purge(state, physical)
                purged += 1
        return purged, found[-1][0] + keys.SEPARATOR if len(found) == limit else None

    def _state(self, table: Any) -> TableState:
        return find_state(self._states, table)

    def _rows(self, table: TableState) -> Rows:
        return self._batch.rows_of(table)

    def _tombstones(self, table: TableState) -> Rows:
        return self._batch.tombstones_of(table)

    def _index(self, table: TableState, position: int) -> Rows:
        return self._batch.index_of(table, position)
