"""The shim's journal, read: records of every change and every sync, of all processes, in the clock's order.

It must never decide what is durable. The layout of a record is that of `struct record` in `shim.c`.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

MAGIC: Final = 0x314A5357
HEADER: Final = struct.Struct("<IHHQQIIqq")
LENGTH_MAX: Final = 1 << 30

OPEN, WRITE, TRUNCATE, ALLOCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, DONE, FATAL = range(1, 12)
SYNCED: Final = 1
SYNC_LOST: Final = 2


class JournalError(Exception):
    """The journal is no true account of what happened, so nothing can be concluded from it.

    Remedy: make the process do what the shim can follow (see the head of `shim.c`), or teach the shim.
    """


@frozen
class Record:
    """One record. A DONE names in `a` the order of the record that it completes, and in `b` its result."""

    journal: Path
    kind: int
    flags: int
    order: int
    at_ns: int
    file: int
    a: int
    b: int
    data: bytes

    @property
    def path(self) -> str:
        return self.data.decode("utf-8", "surrogateescape")


def read_journal(path: Path) -> Iterator[Record]:
    """The records of one process. A last one cut short by a kill is left out: it changed nothing yet.

    Raises:
        JournalError: it is damaged, or the shim met something that it can't follow.
    """
    with path.open("rb") as file:
        expected = 1
        while len(head := file.read(HEADER.size)) == HEADER.size:
            magic, kind, flags, order, at_ns, number, length, a, b = HEADER.unpack(head)
            if magic != MAGIC or order != expected or length > LENGTH_MAX:
                raise JournalError(f"{path} is damaged at its record {expected}")
            data = file.read(length)
            if len(data) < length:
                return
            record = Record(path, kind, flags, order, at_ns, number, a, b, data)
            if kind == FATAL:
                raise JournalError(f"the shim can't follow what the process did: {record.path}")
            yield record
            expected += 1


def read_journals(folder: Path, until_ns: int | None = None) -> Iterator[Record]:
    """The records of all processes, by the clock, up to a moment."""
    journals = [read_journal(path) for path in sorted(folder.glob("*.journal"))]
    for record in heapq.merge(*journals, key=lambda record: record.at_ns):
        if until_ns is not None and record.at_ns > until_ns:
            return
        yield record
