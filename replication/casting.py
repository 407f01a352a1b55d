"""What was cast: written by those who wait for nothing. How much of it is under way is bounded, and what failed is
counted; where it goes isn't known here.
"""

from __future__ import annotations

from collections.abc import Callable

from replication.core.errors import WritersWait

CAST_ROWS_MAX = 50_000
"""Rows that were cast and have not been written yet."""
CAST_BYTES_MAX = 64 << 20
"""The same in bytes; the last cast may go beyond it."""


class Casts:
    """Of one group. Whoever casts adds to `rows` and `size` himself, when it is on its way."""

    __slots__ = ("_wake", "failed", "rows", "size")

    def __init__(self, wake: Callable[[], None]) -> None:
        """wake: whoever waits for room is to look again."""
        self._wake = wake
        self.rows = 0
        self.size = 0
        self.failed = 0

    def full(self) -> WritersWait:
        """What is said where there is no room."""
        return WritersWait(f"{self.rows} rows, {self.size} bytes that were cast are under way")

    def ended(self, rows: int, size: int, *, failed: bool) -> None:
        """So much is written, or isn't going to be."""
        self.rows -= rows
        self.size -= size
        if failed:
            self.failed += rows
        if not self.is_half_full:
            self._wake()

    @property
    def is_half_full(self) -> bool:
        """Whether there is too little room to call somebody who waits for it."""
        return self.rows > CAST_ROWS_MAX // 2 or self.size > CAST_BYTES_MAX // 2
