"""Reading what stands on a virtual disk: records as the store writes them, by this module's own understanding.

    flags 1 | epoch 4 | sequence 8 | incarnation 8 | payload (CBOR) | CRC-32 4        written here
    02 | local sequence 8 | the same                                                  carried from another node

Checkers look through it. It shares nothing with the code that wrote the records but the format (docs/store.md) and the
encoding of keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import cbor2

from ops.simulation.disk import Commit, VirtualDisk
from ops.simulation.trace import Trace
from store import keys

_VERSION: Final = struct.Struct(">IQQ")
_CARRIED: Final = 2
_TOMBSTONE: Final = 1

Key = tuple[Any, ...]
Version = tuple[int, int, int]
"""(epoch, sequence, incarnation)"""


class Found(NamedTuple):
    """What a disk holds under a key. `payload` is None in a tombstone."""

    version: Version
    local: int
    payload: bytes | None

    @property
    def value(self) -> Any:
        """What was put."""
        return None if self.payload is None else cbor2.loads(self.payload)


def parse(record: bytes) -> Found:
    """A stored record."""
    local = -1
    if record[0] == _CARRIED:
        local = int.from_bytes(record[1:9], "big")
        record = record[9:]
    version = _VERSION.unpack_from(record, 1)
    payload = None if record[0] & _TOMBSTONE else record[21:-4]
    return Found(version, version[1] if local < 0 else local, payload)


class Landed(NamedTuple):
    """A record or tombstone that a commit made durable. `key` is as the store encodes it."""

    table: str
    key: bytes
    found: Found


class Landings(NamedTuple):
    """The records of one commit."""

    node: int
    group: str
    records: list[Landed]


class Reader:
    """Reads what is committed, once for all checkers."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        trace.subscribe(Commit, self._committed)

    def _committed(self, commit: Commit) -> None:
        records = [
            Landed(name[2:].decode(), key, parse(record))
            for name, key, record in commit.changes
            if record is not None and name[:2] in (b"t:", b"x:")
        ]
        if records:
            self._trace.observe(Landings(int(commit.node), commit.group, records))


def find(disk: VirtualDisk, group: str, table: str, key: Key) -> Found | None:
    """Record or tombstone of a key, as committed."""
    physical = keys.encode(key)
    record = disk.rows(group, b"t:" + table.encode()).get(physical)
    if record is None:
        record = disk.rows(group, b"x:" + table.encode()).get(physical)
    return None if record is None else parse(record)


def every(disk: VirtualDisk, group: str, table: str) -> Iterator[tuple[Key, Found]]:
    """All records and tombstones of a table, as committed, in no order."""
    for kind in (b"t:", b"x:"):
        for physical, record in disk.rows(group, kind + table.encode()).items():
            yield keys.decode(physical), parse(record)
