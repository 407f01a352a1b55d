"""What the tables of a group that was made at run time are called between nodes: by name and creation.

A table that was deleted and made again under its name is another one, and nodes learn of that at different times. So
records travel under a label that only the two that mean the same table share: what was meant for the former one never
comes into its successor, whoever was away meanwhile. Must never know what a record is.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from store.errors import UnknownTable

GONE_MAX = 1_000
"""Labels of tables that were dropped in this process's life; what still comes for one of them is passed over."""

Part = tuple[Any, ...]
"""(partition, table or label, …)"""


class Labels:
    """Of one group. A table without a label is being made or dropped: nothing of it is sent."""

    __slots__ = ("_gone", "_labels", "_names")

    def __init__(self, ids: Mapping[str, bytes]) -> None:
        self._labels: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._gone: deque[str] = deque(maxlen=GONE_MAX)
        for table, identity in ids.items():
            self.put(table, identity)

    def put(self, table: str, identity: bytes) -> None:
        """A table is here, or is about to be made."""
        label = f"{table}@{identity.hex()}"
        if self._labels.get(table) == label:
            return
        self.drop(table)
        if label in self._gone:
            self._gone.remove(label)
        self._labels[table] = label
        self._names[label] = table

    def drop(self, table: str) -> None:
        """A table is about to be dropped."""
        label = self._labels.pop(table, None)
        if label is not None:
            del self._names[label]
            self._gone.append(label)

    def label(self, table: str) -> str | None:
        """What a table is called, if it is called anything now."""
        return self._labels.get(table)

    def name(self, label: str) -> str:
        """The table here. Raises UnknownTable."""
        try:
            return self._names[label]
        except KeyError:
            raise UnknownTable(f"there is no table {label!r} here, or not yet") from None

    def outward(self, parts: Iterable[Part]) -> list[Part]:
        """Parts as they are sent."""
        labels = self._labels
        return [(part[0], labels[part[1]], *part[2:]) for part in parts if part[1] in labels]

    def inward(self, parts: Sequence[Part]) -> list[Part]:
        """Parts as they are taken in; those of tables that were dropped here are left out.

        Raises:
            UnknownTable: one is of a table that this node hasn't made yet.
        """
        return [(part[0], self.name(part[1]), *part[2:]) for part in parts if part[1] not in self._gone]
