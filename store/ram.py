"""The ordered maps behind `ram` tables: what has been published.

Only the committer publishes, after its group's LMDB commit; any thread reads. The lock is held for one operation at
a time, so a reader sees each row whole, and a scan sees one state; two reads in a row may see two states.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import islice
from typing import Any

from sortedcontainers import SortedDict


class RamMap:
    """An ordered map of bytes to bytes."""

    __slots__ = ("_bytes", "_lock", "_map")

    def __init__(self) -> None:
        self._map: Any = SortedDict()
        self._lock = threading.Lock()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._map)

    @property
    def held_bytes(self) -> int:
        """Bytes of keys and records, without Python's overhead."""
        return self._bytes

    def get(self, key: bytes) -> bytes | None:
        """The record, or None."""
        found: bytes | None = self._map.get(key)  # one dictionary look-up: atomic without the lock
        return found

    def scan(self, low: bytes, high: bytes, limit: int, reverse: bool = False) -> list[tuple[bytes, bytes]]:
        """Up to `limit` rows with low <= key < high."""
        with self._lock:
            keys = self._map.irange(low, high, inclusive=(True, False), reverse=reverse)
            return [(key, self._map[key]) for key in islice(keys, limit)]

    def publish(self, staged: Mapping[bytes, bytes | None]) -> None:
        """Make the changes of one commit visible at once. None deletes."""
        with self._lock:
            for key, record in staged.items():
                old = self._map.get(key)
                if old is not None:
                    self._bytes -= len(key) + len(old)
                if record is None:
                    self._map.pop(key, None)
                else:
                    self._map[key] = record
                    self._bytes += len(key) + len(record)
