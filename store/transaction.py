"""What the function given to `transact` sees: reads that include its own writes, and writes that happen or don't.

It runs on the committer's thread, alone. It must not keep the transaction, await, or have side effects: if the
commit it is in has to be redone without a submit that failed, it runs again.
"""

from __future__ import annotations

from typing import Any

from store.batch import Batch
from store.keys import AnyKey
from store.reading import Reading, find_state
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

    def _state(self, table: Any) -> TableState:
        return find_state(self._states, table)

    def _rows(self, table: TableState) -> Rows:
        return self._batch.rows_of(table)

    def _tombstones(self, table: TableState) -> Rows:
        return self._batch.tombstones_of(table)

    def _index(self, table: TableState, position: int) -> Rows:
        return self._batch.index_of(table, position)
