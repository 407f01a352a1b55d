"""An hour at one second and a week at one minute, in one file of a fixed size that survives the process's end.

Written through one descriptor, a slot at a time, in a thread: the disk may take its time. Records are never synced:
after a crash of the process all are there, after a power loss perhaps not those of the last half minute, and what is
torn is told by its checksum. A file that isn't of this form is put aside and begun anew: no statistic is worth a node
that doesn't start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from admin.descriptor import Descriptor
from admin.statistics import layout
from admin.statistics.layout import MINUTE, NAMES_MAX, RINGS, SECOND, SLOT_BYTES, Record
from admin.statistics.minutes import MINUTE_S, Minute, add, values_of

log = structlog.get_logger()

FILE: Final = "statistics.history"
"""Its name in the data directory."""
DAMAGED: Final = ".damaged"
READ_SLOTS: Final = 256
"""Slots read at a time."""


class HistoryUnreadable(Exception):
    """The file can't be read as a history; the text says why, and what to do."""


class HistoryWriter(Descriptor):
    """Keeps what it is given. One at a time for a file: the node holds its data directory's lock.

    Raises:
        OSError: the file can't be opened or made.
    """

    __slots__ = ("_minute", "_names", "_sequences", "dropped", "errors", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors = 0
        self.dropped = 0
        self._minute: Minute | None = None
        self._names: dict[str, int] = {}
        self._sequences = [0, 0]
        self._fd = self._open()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self.path, flags, 0o600)
        try:
            size = os.fstat(fd).st_size
            if size and (os.pread(fd, layout.HEAD_BYTES, 0) != layout.head() or size != layout.FILE_BYTES):
                aside = self.path.with_name(self.path.name + DAMAGED)
                self.path.replace(aside)
                log.warning(
                    "history_put_aside", cause="it is damaged, or of another version", path=str(aside)
                )
                another = os.open(self.path, flags, 0o600)
                os.close(fd)
                fd, size = another, 0
            if not size:
                os.ftruncate(fd, layout.FILE_BYTES)
                os.pwrite(fd, layout.head(), 0)
            else:
                self._names = {name: index for index, name in enumerate(_names(fd))}
                for ring in (SECOND, MINUTE):
                    self._sequences[ring] = max((one.sequence for one in _records(fd, ring)), default=0)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def keep(self, at: float, covers_s: float, values: Mapping[str, float]) -> None:
        """Write a second's record, and a minute's when one is over. What can't be written is counted and left out."""
        minute = self._minute
        if minute is None:
            minute = self._minute = Minute(at - covers_s)
        add(minute, values, covers_s)
        try:
            self._learn(values)
            self._write(SECOND, at, covers_s, values)
            if at - minute.began >= MINUTE_S:
                self._minute = None
                self._write(MINUTE, at, minute.covers_s, values_of(minute))
        except OSError as error:
            if not self.errors:
                log.warning("history_not_written", cause=error.strerror, path=str(self.path))
            self.errors += 1

    def _learn(self, values: Mapping[str, float]) -> None:
        """Give names that are new their places, as long as there are some.

        These are synced: were a name lost that a record has a value of, the next name would get its place.
        """
        known = len(self._names)
        for name in values:
            if name in self._names:
                continue
            index = len(self._names)
            if index >= NAMES_MAX:
                self.dropped += 1
                continue
            try:
                place = layout.pack_name(name)
            except ValueError:
                self.dropped += 1
                continue
            os.pwrite(self._fd, place, layout.name_at(index))
            self._names[name] = index
        if len(self._names) > known:
            os.fdatasync(self._fd)

    def _write(self, ring: int, at: float, covers_s: float, values: Mapping[str, float]) -> None:
        sequence = self._sequences[ring] + 1
        record = Record(ring, sequence, at, covers_s, layout.of_values(self._names, values))
        os.pwrite(self._fd, layout.pack(record), layout.slot_at(ring, sequence))
        self._sequences[ring] = sequence


class HistoryReader(Descriptor):
    """Looks at a history while it is written, or afterwards.

    Raises:
        HistoryUnreadable: there is none, or it is of another version.
    """

    __slots__ = ("path",)

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise HistoryUnreadable(
                f"{path} can't be read: {error.strerror}; a node with `statistics.history` on makes it in its data"
                " directory"
            ) from None
        if os.pread(self._fd, layout.HEAD_BYTES, 0) != layout.head():
            self.close()
            raise HistoryUnreadable(
                f"{path} is no history of this version: read it with the one that made it"
            )

    def names(self) -> list[str]:
        """All figures that it has or had."""
        return _names(self._fd)

    def records(
        self, ring: int, since: float = 0.0, until: float = float("inf"), after: int = 0
    ) -> list[Record]:
        """The whole records of a ring between two Unix times, both included, above a sequence; oldest first."""
        found = [one for one in _records(self._fd, ring) if since <= one.at <= until and one.sequence > after]
        found.sort(key=lambda one: one.sequence)
        return found

    def newest(self, ring: int, after: int) -> list[Record]:
        """What came after a sequence, without looking at the whole ring."""
        found: list[Record] = []
        for sequence in range(after + 1, after + RINGS[ring]):
            slot = os.pread(self._fd, SLOT_BYTES, layout.slot_at(ring, sequence))
            record = layout.unpack(slot, ring, sequence % RINGS[ring])
            if record is None or record.sequence != sequence:
                break
            found.append(record)
        return found


def _names(fd: int) -> list[str]:
    return layout.unpack_names(os.pread(fd, NAMES_MAX * layout.NAME_BYTES, layout.NAMES_AT))


def _records(fd: int, ring: int) -> list[Record]:
    """The whole ones, in no order."""
    found = []
    start = layout.slot_at(ring, 0)
    for first in range(0, RINGS[ring], READ_SLOTS):
        count = min(READ_SLOTS, RINGS[ring] - first)
        chunk = os.pread(fd, count * SLOT_BYTES, start + first * SLOT_BYTES)
        for index in range(len(chunk) // SLOT_BYTES):
            record = layout.unpack(chunk[index * SLOT_BYTES : (index + 1) * SLOT_BYTES], ring, first + index)
            if record is not None:
                found.append(record)
    return found
