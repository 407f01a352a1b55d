"""What changed in a partition since a sequence: one entry per live key, in the order of the last write of each.

So catching up costs what is live, however long a peer was away: a new entry comes when a key is overwritten, and the
old one goes soon (`stale`), as it does when the key is deleted (a tombstone is live until it is purged).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from typing import Any, Final

import attrs

from store import keys
from store.buckets import bucket_of
from store.record import SEQUENCE, Record, unpack
from store.rows import ReadRows
from store.state import TableState

CHUNK: Final = 1_000


@attrs.frozen(slots=True)
class Change:
    """The state now of a key that was last written here at `sequence`. `digest` tells a bag's value."""

    table: str
    key: tuple[Any, ...]
    sequence: int
    record: Record
    digest: bytes = b""


def read_changes(
    sources: Sequence[ReadRows],
    tables: Sequence[TableState | None],
    partition: int | None,
    after: int,
    limit: int,
    raw: Callable[[TableState, bytes], bytes | None],
) -> list[Change]:
    """Up to `limit` changes after a local sequence; fewer mean that there are no more.

    Args:
        sources: where entries are: on disc, in memory.
        raw: reads a record or tombstone.

    Raises:
        DamagedRecord: a record fails its checksum.
    """
    found: list[Change] = []
    for sequence, target in _entries(sources, partition, after):
        state, physical = tables[target[0]], target[1:]
        record = None if state is None else raw(state, physical)
        if state is None or record is None:
            continue  # stale, or in memory and deleted between two reads
        whole = unpack(state.name, physical, record)
        if whole.local_sequence != sequence:
            continue
        logical, digest = keys.split(physical) if state.bag else (physical, b"")
        found.append(Change(state.name, keys.decode(logical), sequence, whole, digest))
        if len(found) == limit:
            break
    return found


def _entries(sources: Sequence[ReadRows], partition: int | None, after: int) -> Iterator[tuple[int, bytes]]:
    """(sequence, table's tag and physical key) of one partition, in order of sequence."""
    bucket = bucket_of(partition)
    mine = keys.encode((partition,))
    high = bucket + keys.END * 9
    return merge(
        *(_of_one(source, bucket + SEQUENCE.pack(after + 1), high, mine, partition) for source in sources)
    )


def _of_one(
    source: ReadRows, low: bytes, high: bytes, mine: bytes, partition: int | None
) -> Iterator[tuple[int, bytes]]:
    end = 1 + len(mine)
    while chunk := source.scan(low, high, CHUNK):
        for place, target in chunk:
            if target[1:end] == mine or partition is None:
                yield int.from_bytes(place[2:], "big"), target
        if len(chunk) < CHUNK:
            return
        low = chunk[-1][0] + keys.SEPARATOR
