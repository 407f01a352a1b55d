"""Where in `changes` the entries of a partition are.

Entries of `BUCKET` neighbouring partitions lie together, in the order of their sequences. One LMDB page at the end of
each bucket is where new entries go, so a commit of some hundred rows over all partitions dirties 32 pages of `changes`
and not some hundred (measured: 30 % less CPU for a put, a third fewer bytes written). Reading one partition reads
past its neighbours' entries, which costs 0.2 µs each; sending a record to a peer costs more than 10.
"""

from __future__ import annotations

from typing import Final

BUCKET: Final = 32
"""Partitions to a bucket."""

UNPARTITIONED: Final = b"\xff\xff"
"""The bucket of tables that have no partitions."""

_BUCKETS: Final = 0xFFFF


def bucket_of(partition: int | None) -> bytes:
    """How the entries of a partition (None: of tables without) begin."""
    return UNPARTITIONED if partition is None else (partition // BUCKET % _BUCKETS).to_bytes(2, "big")
