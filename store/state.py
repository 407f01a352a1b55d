"""The running state of one open table: where it lives, what it declared, who watches it.

State only, apart from the logic in `batch`, `reader` and `table`, so that those can be swapped while this stays.

An alteration doesn't change a state, it puts another one in its place, so whoever reads sees one schema throughout.
What stays the same as long as the table is there is its `Lineage`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from store.fieldindex import FieldIndex
from store.merges import merge_named
from store.ram import RamMap
from store.schema import AnyIndex, Table

IDS: Final = 256
"""A table's id is one byte."""

Place = Any
"""Where one ordered map lives: an LMDB database handle, or a RamMap."""


class Lineage:
    """A table through all of its alterations. `now` is its last state, `gone` says that it was dropped."""

    __slots__ = ("gone", "now", "watchers")

    def __init__(self, now: TableState) -> None:
        self.now = now
        self.gone = False
        self.watchers: list[Any] = []


class TableState:
    """One open table of a group, as it is between two alterations."""

    __slots__ = (
        "bag",
        "declaration",
        "id",
        "indexed_places",
        "indexes",
        "insert_only",
        "lineage",
        "listed",
        "merge",
        "name",
        "partitioned",
        "place",
        "plain",
        "ram",
        "read_only",
        "tag",
        "tombstone_place",
        "tombstones",
        "unusable",
        "watchers",
    )

    def __init__(self, declaration: Table, number: int, lineage: Lineage | None = None) -> None:
        self.declaration = declaration
        self.id = number
        self.tag = bytes([number])
        self.name = declaration.name
        self.bag = declaration.kind == "bag"
        self.ram = declaration.storage == "ram"
        self.partitioned = declaration.partitioned
        self.tombstones = declaration.tombstones
        self.merge = (
            merge_named(declaration.merge) if isinstance(declaration.merge, str) else declaration.merge
        )
        self.indexes: tuple[AnyIndex, ...] = declaration.indexes
        """Those that every write keeps, the `unusable` ones included."""
        self.unusable: frozenset[str] = frozenset()
        """Indexes that aren't complete, so nobody reads them."""
        self.insert_only = declaration.insert_only
        self.listed = not declaration.local_content
        """Whether its rows have entries in `changes`."""
        self.place: Place = RamMap() if self.ram else None
        self.tombstone_place: Place = RamMap() if self.ram and self.tombstones else None
        self.indexed_places: list[Place] = [RamMap() for _ in self.indexes] if self.ram else []
        self.lineage = Lineage(self) if lineage is None else lineage
        self.watchers = self.lineage.watchers
        self.plain = False
        self.read_only = False
        self.set_read_only(declaration.read_only)

    def set_read_only(self, read_only: bool) -> None:
        """Refuse every write, or no longer."""
        self.read_only = read_only
        # Tables that take the short way through `encode_writes`.
        self.plain = not (self.bag or self.indexes or read_only)

    def altered(self, declaration: Table) -> TableState:
        """The state that comes after this one, with the same maps; its indexes' maps must then be set."""
        state = TableState(declaration, self.id, self.lineage)
        state.place, state.tombstone_place = self.place, self.tombstone_place
        state.indexed_places = list(self.indexed_places)
        state.unusable = self.unusable
        state.set_read_only(declaration.read_only or (self.read_only and not self.declaration.read_only))
        return state

    def describe(self) -> dict[str, Any]:
        """What the table is declared to be, for people and as JSON."""
        declared = self.declaration
        merge = declared.merge if declared.merge is None or isinstance(declared.merge, str) else "a function"
        return {
            **declared.shape(),
            "read_only": self.read_only,
            "insert_only": declared.insert_only,
            "merge": merge,
            "indexes": {
                index.name: {
                    "version": index.version,
                    "paths": index.describe() if isinstance(index, FieldIndex) else "a function",
                    "complete": index.name not in self.unusable,
                }
                for index in self.indexes
            },
        }


class TablesById(list[Any]):
    """Tables by their ids. Ids have gaps: there is None then, which whoever goes through the tables doesn't see.

    `unsettled`: the lists of changes may have entries of dropped tables, or of those that move between memory and disc.
    """

    __slots__ = ("unsettled",)

    def __init__(self, tables: Iterable[TableState], *, unsettled: bool = False) -> None:
        listed = list(tables)
        super().__init__([None] * IDS)
        for table in listed:
            assert self[table.id] is None, "an id is given once"
            self[table.id] = table
        self.unsettled = unsettled

    def __iter__(self) -> Iterator[TableState]:
        return (table for table in super().__iter__() if table is not None)

    def tags(self, *, ram: bool) -> frozenset[bytes]:
        """The tables whose entries belong in the list of changes in memory, or on disc."""
        return frozenset(table.tag for table in self if table.listed and table.ram == ram)
