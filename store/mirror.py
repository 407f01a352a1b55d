"""A map that is written twice, while its table moves between memory and disc: to where it is, and to where it will be.

Reads go to where it is. The other side is filled in steps meanwhile (`moving`), and what was written since needn't be
looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from store.rows import Pairs, Rows


class Mirror(NamedTuple):
    """The other side of a map. Of the list of changes, which all tables share, only the entries with these tags."""

    place: Any
    tags: frozenset[bytes] | None = None


Mirrors = dict[Any, Mirror]
"""place → its other side"""


class MirrorRows:
    """Both sides, with the operations of one. They are asked for each time: cursors don't outlive a child."""

    __slots__ = ("_mirror", "_part", "_place")

    def __init__(self, part: Callable[[Any], Rows], place: Any, mirror: Mirror) -> None:
        self._part = part
        self._place = place
        self._mirror = mirror

    def get(self, key: bytes) -> bytes | None:
        """The record, or None."""
        return self._part(self._place).get(key)

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> Pairs:
        """Up to `limit` rows with low <= key < high."""
        return self._part(self._place).scan(low, high, limit, reverse)

    def count(self) -> int:
        """Rows in all."""
        return self._part(self._place).count()

    def put(self, key: bytes, record: bytes) -> None:
        """Set it, on both sides."""
        self._part(self._place).put(key, record)
        if self._mirrored(record):
            self._part(self._mirror.place).put(key, record)

    def put_many(self, pairs: Pairs) -> None:
        """Set many, on both sides."""
        self._part(self._place).put_many(pairs)
        self._part(self._mirror.place).put_many([pair for pair in pairs if self._mirrored(pair[1])])

    def insert(self, key: bytes, record: bytes) -> bool:
        """Put unless the key is there; says whether it was put."""
        if not self._part(self._place).insert(key, record):
            return False
        if self._mirrored(record):
            self._part(self._mirror.place).put(key, record)
        return True

    def replace(self, key: bytes, record: bytes) -> bytes | None:
        """Set it and give what was there."""
        old = self._part(self._place).replace(key, record)
        if self._mirrored(record):
            self._part(self._mirror.place).put(key, record)
        return old

    def pop(self, key: bytes) -> bytes | None:
        """Delete it and give what was there."""
        old = self._part(self._place).pop(key)
        if old is not None and self._mirrored(old):
            self._part(self._mirror.place).pop(key)
        return old

    def _mirrored(self, record: bytes) -> bool:
        return self._mirror.tags is None or record[:1] in self._mirror.tags
