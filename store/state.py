"""The running state of one open table: where it lives, what it declared, who watches it.

State only, apart from the logic in `batch`, `reader` and `table`, so that those can be swapped while this stays.
"""

from __future__ import annotations

from typing import Any

from store.ram import RamMap
from store.schema import Table

Place = Any
"""Where one ordered map lives: an LMDB database handle, or a RamMap."""


class TableState:
    """One open table of a group."""

    __slots__ = (
        "bag",
        "declaration",
        "id",
        "indexed_places",
        "indexes",
        "insert_only",
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
        "watchers",
    )

    def __init__(self, declaration: Table, number: int) -> None:
        self.declaration = declaration
        self.id = number
        self.tag = bytes([number])
        self.name = declaration.name
        self.bag = declaration.kind == "bag"
        self.ram = declaration.storage == "ram"
        self.partitioned = declaration.partitioned
        self.tombstones = declaration.tombstones
        self.merge = declaration.merge
        self.indexes = declaration.indexes
        self.insert_only = declaration.insert_only
        self.listed = not declaration.local_content
        """Whether its rows have entries in `changes`."""
        self.place: Place = RamMap() if self.ram else None
        self.tombstone_place: Place = RamMap() if self.ram and self.tombstones else None
        self.indexed_places: list[Place] = [RamMap() for _ in self.indexes] if self.ram else []
        self.watchers: list[Any] = []
        self.plain = False
        self.read_only = False
        self.set_read_only(declaration.read_only)

    def set_read_only(self, read_only: bool) -> None:
        """Refuse every write, or no longer."""
        self.read_only = read_only
        # Tables that take the short way through `encode_writes`.
        self.plain = not (self.bag or self.indexes or read_only)
