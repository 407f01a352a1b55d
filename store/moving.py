"""Moving a table between memory and disc, in steps, while others read and write.

From the beginning every write goes to both sides (`mirror`); the steps copy what was there before, reads go to where
the table was; at the end one commit says where it is. A crash before that leaves it where it was: on disc with all of
its rows, or in memory, and so empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from store.catalog import Catalog, Entry, Residue
from store.clearing import Clearing, Fading, places_of, residue_of
from store.errors import DamagedRecord, UnknownTable
from store.groupstate import GroupState
from store.mirror import Mirror
from store.ram import RamMap
from store.record import SEQUENCE
from store.rows import DiscRows, Pairs, RamView
from store.schema import Table
from store.state import Lineage, TableState
from store.steps import Steps, Write, some
from store.work import SEQUENCE_KEY


class Moving(Steps):
    """Copies a table to the other side, then says that it is there. Made by `begin`."""

    __slots__ = ("_at", "_lineage", "_low", "_residue", "_sources", "_target")

    def __init__(self, table: TableState, target: TableState, residue: Residue | None) -> None:
        super().__init__(f"move {table.name} to {target.declaration.storage}", awaited=True)
        self._lineage: Lineage = table.lineage
        self._target = target
        self._residue = residue
        self._sources = list(zip(_maps(table), _maps(target), strict=True))
        self._at = 0
        self._low = b""

    def step(self, state: GroupState) -> Sequence[Steps] | None:
        """One transaction."""
        if self._lineage.gone:
            self.error = UnknownTable(f"table {self._target.name!r} was dropped as it was moved")
            return ()
        if self._at == len(self._sources):
            return self._finish(state)
        source, target = self._sources[self._at]
        # Rows and tombstones are listed in `changes`; index entries aren't.
        listed = self._target.listed and self._at < len(self._sources) - len(self._target.indexes)
        if self._target.ram:
            transaction = state.environment.begin()
            try:
                rows = DiscRows(transaction, source)
                self.total = max(self.total, rows.count() if not self._at else 0)
                found, low = some(rows, self._low, state.settings.alter_rows)
            finally:
                transaction.abort()
            if listed:
                state.places.ram_changes.publish(dict(self._entries(found)))
            target.publish(dict(found))
        else:
            self.total = max(self.total, len(self._sources[0][0]))
            found, low = some(RamView(source), self._low, state.settings.alter_rows)
            with Write(state) as write:
                into = DiscRows(write.transaction, target)
                changes = DiscRows(write.transaction, state.places.changes)
                for key, record in found:
                    into.put(key, record)
                for place, entry in self._entries(found) if listed else ():
                    changes.put(place, entry)
        self.done += len(found)
        self._low = low or b""
        self._at += low is None
        return None

    def _entries(self, found: Pairs) -> Pairs:
        places = places_of(found, partitioned=self._target.partitioned)
        if any(not place for place, _ in places):
            raise DamagedRecord(f"a record of table {self._target.name!r} is too short to be moved")
        return [(place, self._target.tag + key) for place, key in places]

    def _finish(self, state: GroupState) -> Sequence[Steps]:
        table = self._lineage.now
        entry = state.catalog.entries[table.name]
        storage = self._target.declaration.storage
        declaration = attrs.evolve(table.declaration, storage=storage)
        altered = attrs.evolve(
            entry,
            declaration=attrs.evolve(entry.declaration, storage=storage),
            altered={**entry.altered, "storage": storage},
            rows=None,
            tombstones=None,
            indexes={},
        )
        after = table.altered(declaration)
        after.place, after.tombstone_place = self._target.place, self._target.tombstone_place
        after.indexed_places = list(self._target.indexed_places)
        left: Residue | None = None
        with Write(state) as write:
            if self._residue is not None:
                altered = _placed(altered, self._residue, table)
                residues = tuple(one for one in state.catalog.residues if one is not self._residue)
                write.catalog = attrs.evolve(state.catalog, residues=residues).with_entry(altered)
                write.transaction.put(SEQUENCE_KEY, SEQUENCE.pack(state.sequence), db=state.places.meta)
            else:
                left = residue_of(table, entry)
                catalog = state.catalog.with_entry(altered)
                write.catalog = attrs.evolve(catalog, residues=(*catalog.residues, left))
        stop(state, table)
        onward: list[Steps] = (
            [Clearing(left, f"clear {table.name} on disc", self.done)] if left is not None else []
        )
        if table.ram:
            onward.append(Fading(state, table))
        state.replace(after)
        return onward

    def give_up(self, state: GroupState) -> Sequence[Steps]:
        """A record can't be read: the table stays where it is."""
        if self._lineage.gone:
            return ()
        stop(state, self._lineage.now)
        after = self.left_over(state)
        state.adopt(state.by_id)
        return after

    def left_over(self, state: GroupState) -> list[Steps]:
        """What clears the copy away that was begun."""
        if self._residue is not None:
            return [Clearing(self._residue, f"clear a copy of {self._target.name} that was begun")]
        return [Fading(state, self._target)]


def begin(state: GroupState, table: TableState, declaration: Table) -> Moving:
    """Every write of the table goes to both sides from now on.

    Args:
        declaration: as the table will be declared.
    """
    target = TableState(declaration, table.id, table.lineage)
    residue: Residue | None = None
    if target.ram:
        target.indexed_places = [RamMap() for _ in table.indexes]
    else:
        residue = _make(state, target)
    for source, other in zip(_maps(table), _maps(target), strict=True):
        state.places.mirrors[source] = Mirror(other)
    if table.listed:
        lists = [state.places.changes, state.places.ram_changes]
        here, there = lists if target.ram else lists[::-1]
        tags = state.places.mirrors.get(here, Mirror(there, frozenset())).tags or frozenset[bytes]()
        state.places.mirrors[here] = Mirror(there, tags | {table.tag})
    moving = state.moving[table.id] = Moving(table, target, residue)
    state.adopt(state.by_id)
    return moving


def stop(state: GroupState, table: TableState) -> None:
    """Writes of the table go to one side again."""
    mirrors = state.places.mirrors
    del state.moving[table.id]
    for place in _maps(table):
        del mirrors[place]
    if table.listed:
        here = state.places.ram_changes if table.ram else state.places.changes
        mirror = mirrors.pop(here)
        tags = (mirror.tags or frozenset[bytes]()) - {table.tag}
        if tags:
            mirrors[here] = Mirror(mirror.place, tags)


def _maps(table: TableState) -> list[Any]:
    return [table.place, *([table.tombstone_place] if table.tombstones else []), *table.indexed_places]


def _make(state: GroupState, target: TableState) -> Residue:
    """The maps of the target on disc. Until the table is there they count as left over from it."""
    catalog: Catalog = state.catalog
    names = catalog.free_places(1 + target.tombstones + len(target.indexes))
    rows = tuple(names[: 1 + target.tombstones])
    residue = Residue(target.id, target.partitioned, target.listed, rows, tuple(names[len(rows) :]))
    with Write(state) as write:
        target.place = write.database(rows[0])
        target.tombstone_place = write.database(rows[1]) if target.tombstones else None
        target.indexed_places = [write.database(place) for place in residue.entries]
        vacant = tuple(place for place in catalog.vacant if place not in names)
        write.catalog = attrs.evolve(catalog, residues=(*catalog.residues, residue), vacant=vacant)
    return residue


def _placed(entry: Entry, residue: Residue, table: TableState) -> Entry:
    return attrs.evolve(
        entry,
        rows=residue.rows[0],
        tombstones=residue.rows[1] if table.tombstones else None,
        indexes=dict(zip((index.name for index in table.indexes), residue.entries, strict=True)),
    )
