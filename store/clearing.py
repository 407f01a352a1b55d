"""Clearing away what is left of a dropped table, a dropped index, or the place that a table has moved from.

Nobody sees it any more: whoever reads goes by a schema without it, and snapshots from before have pages of their own.
Maps are emptied, never taken away, for LMDB's handles can't be closed while others may read; see store/DESIGN.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from store import keys
from store.buckets import UNPARTITIONED, bucket_of
from store.catalog import Entry, Residue, without_functions
from store.declaring import is_plain
from store.errors import UnknownIndex
from store.groupstate import GroupState
from store.limits import SCAN_LIMIT
from store.ram import RamMap
from store.record import OVERHEAD, SEQUENCE, local_sequence
from store.rows import DiscRows, Pairs, RamView, Rows
from store.state import TableState
from store.steps import Steps, Write, some


class Clearing(Steps):
    """Empties the maps of a residue on disc, and takes its rows' entries out of the list of changes."""

    __slots__ = ("_residue",)

    def __init__(self, residue: Residue, what: str, total: int = 0) -> None:
        super().__init__(what, total)
        self._residue = residue

    def step(self, state: GroupState) -> Sequence[Steps] | None:
        """One transaction."""
        residue = self._residue
        rows_max = left = state.settings.alter_rows
        with Write(state) as write:
            changes = DiscRows(write.transaction, state.places.changes)
            for place in residue.places:
                rows = DiscRows(write.transaction, write.database(place))
                found, _ = some(rows, b"", left)
                if place in residue.rows and residue.listed:
                    unlist(changes, residue.number, found, partitioned=residue.partitioned)
                for key, _ in found:
                    rows.pop(key)
                left -= len(found)
                if left <= 0 or rows.scan(b"", keys.END, 1):
                    break
            else:
                write.catalog = state.catalog.cleared(residue)
        self.done += rows_max - left
        if write.catalog is None:
            return None
        state.adopt(state.by_id)
        return ()

    def give_up(self, state: GroupState) -> Sequence[Steps]:
        """It stays as it is; the next open tries again."""
        return ()


class Fading(Steps):
    """Takes the entries of rows that were in memory out of the list of changes there."""

    __slots__ = ("_low", "_sources", "_table")

    def __init__(self, state: GroupState, table: TableState) -> None:
        sources = [table.place, *([table.tombstone_place] if table.tombstones else [])]
        super().__init__(f"clear what was in memory of {table.name}", sum(len(source) for source in sources))
        self._table = table
        self._sources: list[RamMap] = sources
        self._low = b""
        state.fading = state.fading | {table.id}

    def step(self, state: GroupState) -> Sequence[Steps] | None:
        """Some rows."""
        listed = state.places.ram_changes
        if self._sources and self._table.listed:
            found, low = some(RamView(self._sources[0]), self._low, state.settings.alter_rows)
            tag = self._table.tag
            places = [
                (place, key) for place, key in places_of(found, partitioned=self._table.partitioned) if place
            ]
            listed.publish({place: None for place, key in places if listed.get(place) == tag + key})
            self.done += len(found)
            self._low = low or b""
            if low is None:
                del self._sources[0]
            return None
        state.fading = state.fading - {self._table.id}
        state.adopt(state.by_id)
        return ()

    def give_up(self, state: GroupState) -> Sequence[Steps]:
        """Nothing to undo."""
        return ()


def places_of(found: Pairs, *, partitioned: bool) -> list[tuple[bytes, bytes]]:
    """For each row, where it is listed (nothing if its record can't say) and its key."""
    buckets: dict[bytes, bytes] = {}
    places: list[tuple[bytes, bytes]] = []
    for key, record in found:
        if partitioned:
            partition = key[: keys.first_length(key)]
            bucket = buckets.get(partition)
            if bucket is None:
                bucket = buckets[partition] = bucket_of(keys.decode(partition)[0])
        else:
            bucket = UNPARTITIONED
        places.append((bucket + local_sequence(record) if len(record) >= OVERHEAD else b"", key))
    return places


def unlist(changes: Rows, number: int, found: Pairs, *, partitioned: bool) -> None:
    """Take the entries of rows out of the list of changes on disc."""
    tag = bytes([number])
    for place, key in places_of(found, partitioned=partitioned):
        if place and changes.get(place) == tag + key:
            changes.pop(place)
        else:
            _search(changes, tag + key, partitioned=partitioned)


def _search(changes: Rows, target: bytes, *, partitioned: bool) -> None:
    """A damaged record doesn't know where it is listed: look through all that is listed in its bucket."""
    key = target[1:]
    bucket = bucket_of(keys.decode(key[: keys.first_length(key)])[0]) if partitioned else UNPARTITIONED
    low, high = bucket + SEQUENCE.pack(0), bucket + keys.END * 9
    while chunk := changes.scan(low, high, SCAN_LIMIT):
        for place, listed in chunk:
            if listed == target:
                changes.pop(place)
                return
        low = chunk[-1][0] + keys.SEPARATOR


def left_over(state: GroupState) -> list[Steps]:
    """What the last process didn't finish clearing."""
    return [Clearing(residue, "clear what was dropped") for residue in state.catalog.residues]


def residue_of(table: TableState, entry: Entry) -> Residue:
    """All maps of a table on disc, as what is left of it."""
    rows = tuple(place for place in (entry.rows, entry.tombstones) if place is not None)
    return Residue(table.id, table.partitioned, table.listed, rows, tuple(entry.indexes.values()))


def drop_index(state: GroupState, name: str, index: str) -> Sequence[Steps]:
    """Nobody reads or keeps the index any more; what is left of it is cleared.

    Raises:
        UnknownIndex.
    """
    table, entry = state.tables[name], state.catalog.entries[name]
    position = next((at for at, one in enumerate(table.indexes) if one.name == index), None)
    if position is None:
        raise UnknownIndex(f"table {name!r} has no index {index!r}")
    declaration = attrs.evolve(
        table.declaration, indexes=tuple(one for one in table.indexes if one.name != index)
    )
    place = entry.indexes.get(index)
    after_entry = attrs.evolve(
        entry,
        declaration=without_functions(declaration),
        plain=is_plain(declaration),
        added=tuple(one for one in entry.added if one.name != index),
        dropped=(*entry.dropped, index) if name in state.coded or not entry.made else (),
        built={one: version for one, version in entry.built.items() if one != index},
        building=tuple(one for one in entry.building if one != index),
        indexes={one: where for one, where in entry.indexes.items() if one != index},
    )
    residue = (
        Residue(table.id, table.partitioned, listed=False, entries=(place,), holds=False) if place else None
    )
    with Write(state) as write:
        catalog = state.catalog.with_entry(after_entry)
        if residue is not None:
            catalog = attrs.evolve(catalog, residues=(*catalog.residues, residue))
        write.catalog = catalog
    after = table.altered(declaration)
    del after.indexed_places[position]
    after.unusable = table.unusable - {index}
    state.replace(after)
    return [Clearing(residue, f"clear index {index} of {name}")] if residue is not None else []
