"""What changed in a partition since a sequence: one entry per live key, in the order of the last write of each.

So catching up costs what is live, however long a peer was away: an entry moves when its key is overwritten and goes
when the key is deleted (a tombstone is live until it is purged).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from store import keys
from store.errors import DamagedRecord
from store.record import SEQUENCE, Record, unpack
from store.state import TableState


@attrs.frozen(slots=True)
class Change:
    """The state now of a key that was last written here at `sequence`. `digest` tells a bag's value."""

    table: str
    key: tuple[Any, ...]
    sequence: int
    record: Record
    digest: bytes = b""


def partition_prefix(partition: int | None) -> bytes:
    """How the entries of a partition begin; None is for tables without partitions."""
    return keys.encode((partition,))


def read_changes(
    sources: Sequence[Any],
    by_id: Callable[[int], TableState],
    partition: int | None,
    after: int,
    limit: int,
    raw: Callable[[TableState, bytes], bytes | None],
) -> list[Change]:
    """Up to `limit` changes after a local sequence. `raw` reads a record or tombstone.

    Raises:
        DamagedRecord: an entry leads nowhere, or a record fails its checksum.
    """
    prefix = partition_prefix(partition)
    low, high = prefix + SEQUENCE.pack(after + 1), prefix + keys.END * 9
    entries = [entry for source in sources for entry in source.scan(low, high, limit)]
    entries.sort()
    found = []
    for place, target in entries[:limit]:
        state, physical = by_id(target[0]), target[1:]
        record = raw(state, physical)
        if record is None:
            if state.ram:
                continue  # deleted between two reads: ram tables have no snapshots
            raise DamagedRecord(f"`changes` lists a record that table {state.name!r} doesn't have")
        logical, digest = keys.split(physical) if state.bag else (physical, b"")
        sequence = int.from_bytes(place[len(prefix) :], "big")
        found.append(
            Change(state.name, keys.decode(logical), sequence, unpack(state.name, physical, record), digest)
        )
    return found
