"""Where the tables of a group are, as it is opened: maps found, made, built, or given up.

Works on the catalog that was read and makes the one to be written. This module must never know who may open what.
"""

from __future__ import annotations

from typing import Any

import attrs

from store.catalog import Catalog, Entry, Residue, without_functions
from store.declaring import is_plain
from store.environment import Environment
from store.ram import RamMap
from store.record import value_of
from store.rows import DiscRows
from store.schema import Table
from store.state import TableState
from store.writes import index_entries

CHUNK = 1_000


class Placing:
    """The tables of one group.

    Args:
        transaction: the write transaction that it is opened in, None to read only.
        made: new tables are made at run time, not declared by the code.
    """

    __slots__ = ("_environment", "_run_time", "_transaction", "catalog")

    def __init__(
        self, environment: Environment, transaction: Any, catalog: Catalog, *, made: bool = False
    ) -> None:
        self._run_time = made
        self._environment = environment
        self._transaction = transaction
        self.catalog = catalog

    def sweep(self) -> None:
        """Take the vacant maps away. Only now, when nobody has a handle of them: see store/DESIGN.md."""
        for place in self.catalog.vacant:
            database = self._environment.database(place.encode(), create=False, transaction=self._transaction)
            if database is not None:
                self._transaction.drop(database, delete=True)
        self.catalog = attrs.evolve(self.catalog, vacant=())

    def look(self, table: Table) -> TableState:
        """A table for reading. What isn't there reads as empty; indexes that aren't complete can't be read."""
        entry = self.catalog.entries.get(table.name)
        state = TableState(table, entry.number if entry is not None else self.catalog.free_number())
        if entry is None:
            # Declared, and not made yet: the next id, so that two of them don't have the same.
            entry = Entry(state.id, without_functions(table))
            self.catalog = self.catalog.with_entry(entry)
        state.unusable = frozenset(
            index.name for index in table.indexes if entry.built.get(index.name) != index.version
        )
        if not state.ram:
            state.place = self._found(entry.rows)
            if state.tombstones:
                state.tombstone_place = self._found(entry.tombstones)
            state.indexed_places = [self._found(entry.indexes.get(index.name)) for index in table.indexes]
        return state

    def _found(self, place: str | None) -> Any:
        database = None if place is None else self._environment.database(place.encode(), create=False)
        return RamMap() if database is None else database

    def settle(self, table: Table) -> TableState:
        """A table for reading and writing: what it lacks is made, its indexes are built."""
        entry = self.catalog.entries.get(table.name)
        if entry is None:
            entry = Entry(self.catalog.free_number(), without_functions(table), made=self._run_time)
            self.catalog = self.catalog.with_entry(entry)
        state = TableState(table, entry.number)
        building = (
            ()
            if state.ram
            else tuple(name for name in entry.building if name in {index.name for index in table.indexes})
        )
        state.unusable = frozenset(building)
        known, entry = (
            entry,
            attrs.evolve(
                entry,
                declaration=without_functions(table),
                plain=is_plain(table),
                # So a release that doesn't know it opens it from here, and a node can go back to that release.
                made=entry.made or (table.local_content and is_plain(table)),
                built={index.name: index.version for index in table.indexes if index.name not in building},
                building=building,
            ),
        )
        if not state.ram:
            entry = self._place(state, entry)
            self._give_up(entry, [index.name for index in table.indexes])
            entry = self.catalog.entries[table.name]
            for at, index in enumerate(table.indexes):
                if index.name not in building and known.built.get(index.name) != index.version:
                    self._build(state, at)
        self.catalog = self.catalog.with_entry(entry)
        return state

    def _place(self, state: TableState, entry: Entry) -> Entry:
        name = state.name
        rows = entry.rows or self.catalog.named_place("t", name)
        state.place = self._made(rows)
        entry = attrs.evolve(entry, rows=rows)
        self.catalog = self.catalog.with_entry(entry)
        if state.tombstones:
            tombstones = entry.tombstones or self.catalog.named_place("x", name)
            state.tombstone_place = self._made(tombstones)
            entry = attrs.evolve(entry, tombstones=tombstones)
            self.catalog = self.catalog.with_entry(entry)
        for index in state.indexes:
            place = entry.indexes.get(index.name) or self.catalog.named_place("i", name, index.name)
            state.indexed_places.append(self._made(place))
            entry = attrs.evolve(entry, indexes={**entry.indexes, index.name: place})
            self.catalog = self.catalog.with_entry(entry)
        return entry

    def _made(self, place: str) -> Any:
        return self._environment.database(place.encode(), transaction=self._transaction)

    def _give_up(self, entry: Entry, declared: list[str]) -> None:
        """Indexes that are declared no longer are cleared later."""
        gone = tuple(place for name, place in entry.indexes.items() if name not in declared)
        kept = {name: place for name, place in entry.indexes.items() if name in declared}
        self.catalog = self.catalog.with_entry(attrs.evolve(entry, indexes=kept))
        if gone:
            residue = Residue(
                entry.number, entry.declaration.partitioned, listed=False, entries=gone, holds=False
            )
            self.catalog = attrs.evolve(self.catalog, residues=(*self.catalog.residues, residue))

    def _build(self, table: TableState, position: int) -> None:
        transaction, target = self._transaction, table.indexed_places[position]
        transaction.drop(target, delete=False)
        rows, index = DiscRows(transaction, table.place), DiscRows(transaction, target)
        low = b""
        while chunk := rows.scan(low, b"\xff", CHUNK):
            for key, record in chunk:
                value = value_of(table.name, key, record)
                for entry in index_entries(table, key, value)[position]:
                    index.put(entry, b"")
            low = chunk[-1][0] + b"\0"
