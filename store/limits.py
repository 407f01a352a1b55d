"""Named limits of the store, and the settings that an operator may turn.

The constants are properties of the format or of LMDB; the settings are knobs.
"""

from __future__ import annotations

from typing import Final

import attrs

PAGE_BYTES: Final = 4_096

FORMAT: Final = 2
"""Version of everything on disk: marker, meta, records, keys."""

KEY_BYTES_MAX: Final = 511
"""LMDB's limit on a key (its compiled-in default)."""

VALUE_BYTES_MAX: Final = 16 * 1024 * 1024
VALUE_DEPTH_MAX: Final = 100
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

RESULTS_PER_PASS: Final = 2_000
"""Results called back in one `deliver_results`: a loop has other things to do, too."""

PULL_SCAN_MAX: Final = 50_000
"""Entries of `changes` that one step of catching up looks at: those of neighbouring partitions count, too."""

PARTITIONS_REMEMBERED: Final = 4_096
"""Partitions whose number a group needn't work out anew from the bytes of a key."""

STALE_PER_LIVE: Final = 8
"""One entry of `changes` in so many may be stale before the stale ones are taken away."""

STALE_MIN: Final = 1_000
"""So many may be at any rate."""

STALE_MAX: Final = 100_000
"""And no more than so many: they are held in memory, 60 to 80 bytes each, up to half as many again while some leave."""

TRANSFORM_ROWS: Final = 1_000
"""Records that one transaction of a transformation looks at."""

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

    spare_bytes: int = 0
    """How much of each group's file may be kept free so that commits find pages side by side (see `spacing`)."""

    warm_bytes: int = 0
    """A group up to this size is taken to be in memory and is read directly; a larger one on the reader thread. 0: half
    of the memory that the process may use, divided over the groups (see `memory`)."""

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

    alter_rows: int = 1_000
    """Rows that one step of an alteration does (building an index, clearing what was dropped, moving a table) before it
    lets others' commits go."""

    readers: int = 126
    """Read transactions open at one time, over all threads."""

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("map_bytes", 1_048_576, 1 << 46),  # what x86-64 can address, and some room
            ("spare_bytes", 0, 1 << 32),
            ("warm_bytes", 0, 1 << 46),
            ("linger_ms", 0, 1_000),
            ("batch_rows", 1, 10_000_000),
            ("queue_rows", 1, 100_000_000),
            ("queue_bytes", 1, 1 << 40),
            ("read_queue", 1, 10_000_000),
            ("alter_rows", 1, 100_000),
            ("readers", 1, 100_000),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"store.{name} is {value}: choose a value from {low} to {high}")
        if self.map_bytes % PAGE_BYTES:
            raise ValueError(
                f"store.map_bytes is {self.map_bytes}: choose a multiple of {PAGE_BYTES}, such as"
                f" {self.map_bytes // PAGE_BYTES * PAGE_BYTES}"
            )
