"""What the meta database of a group says about its tables: ids, declarations, places, and what is still to be cleared.

    schema     table → its shape, id, declaration as plain data, where its maps are, what was altered at run time
    residues   maps of dropped tables and indexes, not yet empty; and the ids that entries in `changes` still name
    vacant     empty maps that nothing uses; the next open takes them away

Values only: nothing here is open, and nothing is changed in place.

A table that was made at run time is opened from here. Of one that is declared in code, what was altered at run time is
as it is here, and the rest as the code has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import attrs
import cbor2

from store.declaring import is_plain, schema_row, table_from_row
from store.errors import DamagedStore, NotDeclarable, TooManyTables, UnknownTable
from store.fieldindex import FieldIndex, index_from_row, index_row
from store.limits import TABLES_MAX
from store.schema import AnyIndex, Table

SCHEMA_KEY: Final = b"schema"
RESIDUES_KEY: Final = b"residues"
VACANT_KEY: Final = b"vacant"

Place = str
"""The name of an LMDB database."""


@attrs.frozen(slots=True)
class Entry:
    """One table.

    Args:
        number: its id in this directory.
        declaration: its declaration, without the parts that are functions.
        plain: whether it has no such parts.
        made: the code needn't declare it: it was made at run time, or is of one node alone and plain.
        altered: what was changed at run time: attribute → value (a merge as its name, or None).
        added, dropped: indexes, at run time.
        built: complete indexes and their versions.
        building: indexes that aren't complete.
        rows, tombstones, indexes: where they are on disc.
    """

    number: int
    declaration: Table
    plain: bool = True
    made: bool = False
    altered: dict[str, Any] = attrs.field(factory=dict)
    added: tuple[FieldIndex, ...] = ()
    dropped: tuple[str, ...] = ()
    built: dict[str, int] = attrs.field(factory=dict)
    building: tuple[str, ...] = ()
    rows: Place | None = None
    tombstones: Place | None = None
    indexes: dict[str, Place] = attrs.field(factory=dict)

    @property
    def places(self) -> list[Place]:
        """All of its maps on disc."""
        return [place for place in (self.rows, self.tombstones, *self.indexes.values()) if place is not None]


@attrs.frozen(slots=True)
class Residue:
    """What is left of a table or an index, to be cleared in steps.

    Args:
        number: the id under which `changes` lists the rows; of an index's map, that of its table.
        partitioned: as its table was declared.
        listed: whether `changes` on disc lists the rows.
        rows: maps of records (rows, tombstones).
        entries: maps of index entries.
        holds: whether the id can't be given to another table until the residue is gone.
    """

    number: int
    partitioned: bool
    listed: bool
    rows: tuple[Place, ...] = ()
    entries: tuple[Place, ...] = ()
    holds: bool = True

    @property
    def places(self) -> tuple[Place, ...]:
        """All of its maps."""
        return self.rows + self.entries


@attrs.frozen(slots=True)
class Catalog:
    """All tables of a group, and what is left of others."""

    entries: dict[str, Entry] = attrs.field(factory=dict)
    residues: tuple[Residue, ...] = ()
    vacant: tuple[Place, ...] = ()

    def __attrs_post_init__(self) -> None:
        numbers = [entry.number for entry in self.entries.values()]
        assert len(set(numbers)) == len(numbers), "an id is given once"
        places = self.places
        assert len(set(places)) == len(places), "a map has one use"

    @property
    def places(self) -> list[Place]:
        """All maps that are there."""
        found = [place for entry in self.entries.values() for place in entry.places]
        found += [place for residue in self.residues for place in residue.places]
        return [*found, *self.vacant]

    def with_entry(self, entry: Entry) -> Catalog:
        """With one table as it is now. Maps that it uses aren't vacant any more."""
        vacant = tuple(place for place in self.vacant if place not in entry.places)
        entries = {**self.entries, entry.declaration.name: entry}
        return attrs.evolve(self, entries=entries, vacant=vacant)

    def without(self, name: str, residues: Iterable[Residue]) -> Catalog:
        """Without one table, of which something is left."""
        entries = {other: entry for other, entry in self.entries.items() if other != name}
        return attrs.evolve(self, entries=entries, residues=(*self.residues, *residues))

    def cleared(self, residue: Residue) -> Catalog:
        """Without a residue; its maps are vacant."""
        residues = tuple(one for one in self.residues if one is not residue)
        assert len(residues) + 1 == len(self.residues), "a residue is cleared once"
        return attrs.evolve(self, residues=residues, vacant=(*self.vacant, *residue.places))

    def free_number(self, given: Iterable[int] = (), held_too: Iterable[int] = ()) -> int:
        """The lowest id that no table has and nothing holds, if possible none of those `given` before.

        Raises TooManyTables.
        """
        held = {entry.number for entry in self.entries.values()}
        held |= {residue.number for residue in self.residues if residue.holds} | set(held_too)
        free = sorted(set(range(TABLES_MAX)) - held)
        if not free:
            raise TooManyTables(
                f"a group holds {TABLES_MAX} tables, those included that are being cleared away"
            )
        unused = sorted(set(free) - set(given))
        return unused[0] if unused else free[0]

    def free_places(self, count: int) -> list[Place]:
        """Names for new maps, those of vacant ones first: LMDB's handles stay open, so few names are used often."""
        used = {place for entry in self.entries.values() for place in entry.places}
        used |= {place for residue in self.residues for place in residue.places}
        candidates = (f"m:{number}" for number in range(len(used) + count))
        return [place for place in candidates if place not in used][:count]

    def named_place(self, kind: str, *names: str) -> Place:
        """The name of a map for a table that is declared in code: tells what it is, where that is free."""
        place = ":".join((kind, *names))
        return place if place not in self.places else self.free_places(1)[0]


# ---- what is declared, put together ----------------------------------------------------------------


def declared(name: str, code: Table | None, entry: Entry | None, *, lenient: bool) -> Table:
    """A table's declaration: by the code, by what is on disc, or by both.

    Args:
        lenient: do without functions that only the code would have (for reading).

    Raises:
        UnknownTable: it is on disc, and neither the code declares it nor could the disc.
    """
    if entry is None:
        assert code is not None
        return code
    if code is None:
        if not (entry.plain or lenient):
            raise UnknownTable(
                f"table {name!r} has a function as its merge or index, and the code doesn't declare it"
            )
        code = entry.declaration
    indexes: list[AnyIndex] = [index for index in code.indexes if index.name not in entry.dropped]
    names = {index.name for index in indexes}
    indexes += [index for index in entry.added if index.name not in names]
    return attrs.evolve(code, indexes=tuple(indexes), **entry.altered)


def without_functions(table: Table) -> Table:
    """The part of a declaration that can be kept as plain data."""
    if is_plain(table):
        return table
    indexes = tuple(index for index in table.indexes if isinstance(index, FieldIndex))
    return attrs.evolve(table, indexes=indexes, merge=table.merge if isinstance(table.merge, str) else None)


# ---- as it is kept ---------------------------------------------------------------------------------


def encode(catalog: Catalog) -> dict[bytes, bytes]:
    """Key and value of the meta database."""
    return {
        SCHEMA_KEY: cbor2.dumps({name: _entry_row(entry) for name, entry in catalog.entries.items()}),
        RESIDUES_KEY: cbor2.dumps([attrs.asdict(residue) for residue in catalog.residues]),
        VACANT_KEY: cbor2.dumps(list(catalog.vacant)),
    }


def decode(found: dict[bytes, bytes | None], where: object) -> Catalog:
    """Raises DamagedStore, UnknownMerge."""
    try:
        schema = cbor2.loads(found[SCHEMA_KEY] or b"\xa0")
        residues = cbor2.loads(found[RESIDUES_KEY] or b"\x80")
        return Catalog(
            {name: _entry(row) for name, row in schema.items()},
            tuple(
                Residue(**{**row, "rows": tuple(row["rows"]), "entries": tuple(row["entries"])})
                for row in residues
            ),
            tuple(cbor2.loads(found[VACANT_KEY] or b"\x80")),
        )
    except (
        cbor2.CBORDecodeError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        NotDeclarable,
    ) as error:
        raise DamagedStore(f"the schema of {where} can't be read ({type(error).__name__})") from None


def _entry_row(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": entry.number,
        "declaration": schema_row(entry.declaration),
        "added": [index_row(index) for index in entry.added],
    }
    for name in _AS_THEY_ARE:
        value = getattr(entry, name)
        row[name] = list(value) if isinstance(value, tuple) else value
    return row


_AS_THEY_ARE: Final = (
    "plain",
    "made",
    "altered",
    "dropped",
    "built",
    "building",
    "rows",
    "tombstones",
    "indexes",
)


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(
        row["id"],
        table_from_row(row["declaration"]),
        plain=row["plain"],
        made=row["made"],
        altered=row["altered"],
        added=tuple(index_from_row(one) for one in row["added"]),
        dropped=tuple(row["dropped"]),
        built=row["built"],
        building=tuple(row["building"]),
        rows=row["rows"],
        tombstones=row["tombstones"],
        indexes=row["indexes"],
    )
