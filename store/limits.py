"""Named limits of the store, and the settings that an operator may turn.

The constants are properties of the format or of LMDB; the settings are knobs.
"""

from __future__ import annotations

from typing import Final

import attrs

FORMAT: Final = 1
"""Version of everything on disk: marker, meta, records, keys."""

KEY_BYTES_MAX: Final = 511
"""LMDB's limit on a key (its compiled-in default)."""

VALUE_BYTES_MAX: Final = 16 * 1024 * 1024
SUBMIT_ROWS_MAX: Final = 100_000
TABLES_MAX: Final = 200
"""Tables of one group; a table's id is one byte in `changes`."""

INCARNATIONS_KEPT: Final = 1024
"""Older ones are forgotten; a cursor that names one counts as 0, which is safe."""

SCAN_LIMIT: Final = 1_000
"""Rows that a range, prefix, select or index read gives if its caller names no limit."""

SELECT_SCAN_MAX: Final = 100_000
"""Rows that one select may look at before it gives up its turn (it says where it stopped)."""

FULL_TRIES: Final = 3
"""Submits tried one by one after a full disk or map, before the rest of that batch fails untried."""

COMPANY_ROWS: Final = 64
"""A submit of so many rows is a batch of its own: the committer doesn't wait for company for it."""

MEASURE_EVERY: Final = 32
"""Commits between two looks at how many bytes a group uses, which decides whether it is warm."""

PURGE_ROWS: Final = 1_000
"""Tombstones that one purge transaction looks at."""

assert FULL_TRIES >= 1
assert SCAN_LIMIT <= SELECT_SCAN_MAX
assert SUBMIT_ROWS_MAX >= PURGE_ROWS


@attrs.frozen(slots=True)
class StoreSettings:
    """What an operator may choose. Bytes and milliseconds as named."""

    map_bytes: int = 256 * 1024**3
    """Size of each group's memory map: address space, not disk. Can't grow while the store is open."""

    warm_bytes: int = 2 * 1024**3
    """A group up to this size is taken to be in memory and is read directly; a larger one on the reader thread."""

    linger_ms: float = 3.0
    """How long the committer waits for company for the first submit of a batch."""

    batch_rows: int = 5_000
    """Rows at which a batch stops waiting and commits."""

    queue_rows: int = 200_000
    """Rows submitted and not yet answered, beyond which submit gives StoreBusy."""

    queue_bytes: int = 256 * 1024**2
    """The same in bytes of keys and values."""

    read_queue: int = 10_000
    """Cold reads waiting, beyond which read gives StoreBusy."""

    readers: int = 126
    """Read transactions open at one time, over all threads."""

    def __attrs_post_init__(self) -> None:
        if self.map_bytes < 1024 * 1024 or self.map_bytes % 4096:
            raise ValueError("map_bytes must be a multiple of 4096 and at least 1 MiB")
        if not 0 <= self.linger_ms <= 1_000:
            raise ValueError("linger_ms must be between 0 and 1000")
        if min(self.batch_rows, self.queue_rows, self.queue_bytes, self.read_queue, self.readers) < 1:
            raise ValueError("limits of the store must be at least 1")
