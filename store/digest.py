"""Comparing what two nodes have without sending it: a digest over the records of a range of keys.

It covers keys, versions and values, and is the same whichever node stores a record (where `changes` lists it is not in
it). Tombstones aren't covered: nodes forget them at different times. Every checksum is looked at on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from typing import Final

import cbor2

from store import keys
from store.record import check, original_of
from store.rows import ReadRows

DIGEST_BYTES: Final = 16
CHUNK: Final = 500


def digest_range(
    table: str, rows: ReadRows, low: bytes, high: bytes, limit: int
) -> tuple[int, bytes, bytes | None]:
    """How many records of low <= key < high there are, `limit` at most; their digest; the last key, if it is the limit
    that ended them.

    Raises:
        DamagedRecord.
    """
    digest = blake2b(digest_size=DIGEST_BYTES)
    every = islice(_every(rows, low, high), limit)
    count = 0
    last = None
    # In chunks of a fixed number, so that the same records are the same bytes; as CBOR, so that they end somewhere.
    while chunk := list(islice(every, CHUNK)):
        flat = []
        for key, record in chunk:
            check(table, key, record)
            flat += [key, original_of(record)[:-4]]
        digest.update(cbor2.dumps(flat))
        count += len(chunk)
        last = chunk[-1][0]
    return count, digest.digest(), last if count == limit else None


def range_of(partition: int | None) -> tuple[bytes, bytes]:
    """Between which keys the rows of a partition are."""
    prefix = b"" if partition is None else keys.encode((partition,))
    return prefix, prefix + keys.END


def _every(source: ReadRows, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
    while chunk := source.scan(low, high, CHUNK):
        yield from chunk
        if len(chunk) < CHUNK:
            return
        low = chunk[-1][0] + keys.SEPARATOR
