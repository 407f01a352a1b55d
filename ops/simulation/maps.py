"""One ordered map of the virtual disk: what LMDB calls a named database. Knows no transaction and no file."""

from __future__ import annotations

from bisect import bisect_left, insort


class VirtualMap:
    """Keys and records, in key order.

    A dictionary and a sorted list: worlds are small, and at 10,000 keys an insertion is still less than a microsecond.
    """

    __slots__ = ("name", "order", "rows")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.rows: dict[bytes, bytes] = {}
        self.order: list[bytes] = []

    def set(self, key: bytes, record: bytes) -> bytes | None:
        """Put, and give what was there."""
        old = self.rows.get(key)
        if old is None:
            insort(self.order, key)
        self.rows[key] = record
        return old

    def take(self, key: bytes) -> bytes | None:
        """Delete, and give what was there."""
        old = self.rows.pop(key, None)
        if old is not None:
            del self.order[bisect_left(self.order, key)]
        return old

    def copy(self) -> VirtualMap:
        """Another one with the same rows."""
        other = VirtualMap(self.name)
        other.rows = self.rows.copy()
        other.order = self.order.copy()
        return other
