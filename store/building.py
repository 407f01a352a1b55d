"""Building an index in steps. Every write keeps it from its beginning; the steps add what was there before.

So what is in it is always right, as far as it goes, and nothing has to be caught up with at the end. After a crash the
writes go on keeping it, and the steps begin again.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from store.clearing import drop_index
from store.errors import UnknownIndex, UnknownTable
from store.groupstate import GroupState
from store.ram import RamMap
from store.record import value_of
from store.rows import DiscRows, Pairs, RamView, ReadRows
from store.state import TableState
from store.steps import Steps, Write, some
from store.writes import entries_of


class Building(Steps):
    """Adds the rows of a table to an index that writes keep already."""

    __slots__ = ("_index", "_lineage", "_low")

    def __init__(self, state: GroupState, table: TableState, index: str) -> None:
        total = len(table.place) if table.ram else 0
        super().__init__(f"build index {index} of {table.name}", total, awaited=True)
        self._lineage = table.lineage
        self._index = index
        self._low = b""

    def step(self, state: GroupState) -> Sequence[Steps] | None:
        """One transaction."""
        table = self._lineage.now
        if self._lineage.gone:
            self.error = UnknownTable(f"table {table.name!r} was dropped as index {self._index!r} was built")
            return ()
        if self._index not in table.unusable:
            self.error = UnknownIndex(f"index {self._index!r} of {table.name!r} was dropped as it was built")
            return ()
        position = [index.name for index in table.indexes].index(self._index)
        with Write(state) as write:
            rows: ReadRows
            if table.ram:
                rows = RamView(table.place)
            else:
                rows = DiscRows(write.transaction, table.place)
                self.total = max(self.total, rows.count())
            found, low = some(rows, self._low, state.settings.alter_rows)
            entries = _entries(table, position, found)
            if not table.ram:
                built = DiscRows(write.transaction, table.indexed_places[position])
                for entry in entries:
                    built.put(entry, b"")
            if low is None:
                entry_of = state.catalog.entries[table.name]
                index = table.indexes[position]
                write.catalog = state.catalog.with_entry(
                    attrs.evolve(
                        entry_of,
                        built={**entry_of.built, index.name: index.version},
                        building=tuple(name for name in entry_of.building if name != index.name),
                    )
                )
        if isinstance(target := table.indexed_places[position], RamMap):
            target.publish(dict.fromkeys(entries, b""))
        self.done += len(found)
        if low is not None:
            self._low = low
            return None
        after = table.altered(table.declaration)
        after.unusable = table.unusable - {self._index}
        state.replace(after)
        return ()

    def give_up(self, state: GroupState) -> Sequence[Steps]:
        """A row can't be in the index: drop it."""
        table = self._lineage.now
        if self._lineage.gone or self._index not in table.unusable:
            return ()
        return drop_index(state, table.name, self._index)


def _entries(table: TableState, position: int, found: Pairs) -> list[bytes]:
    return [
        entry
        for key, record in found
        for entry in entries_of(table, position, key, value_of(table.name, key, record))
    ]
