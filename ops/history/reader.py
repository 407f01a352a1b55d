"""Many history files as one stream, in the order of the shared clock, each event with the place of its line.

It must never hold a file in memory, and never judge: a line it can't read is passed on as `Damage`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from attrs import frozen

from ops.history.format import LINE_BYTES_MAX, Event, FormatError, decode_event

FILES_MAX: Final = 4096
SUFFIX: Final = ".jsonl"


class UnreadableHistoryError(Exception):
    """No history where one was named. Remedy: name files, or a directory of `*.jsonl` files."""


@frozen
class Place:
    """Where a line is: a path and a line number from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@frozen
class Damage:
    """A line that is no event. `torn`: it is a last line without its newline, as `kill -9` may leave it."""

    text: str
    torn: bool


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The files named, and those in the directories named, sorted.

    Raises:
        UnreadableHistoryError: nothing there, or more than FILES_MAX files.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(sorted(path.glob(f"*{SUFFIX}")))
        elif path.is_file():
            found.append(path)
        else:
            raise UnreadableHistoryError(f"{path} is neither a file nor a directory")
    if not found:
        raise UnreadableHistoryError(f"no *{SUFFIX} files in {', '.join(map(str, paths)) or 'nothing'}")
    if len(found) > FILES_MAX:
        raise UnreadableHistoryError(
            f"{len(found)} files; the limit is {FILES_MAX}: join those that follow one another"
        )
    return found


def read_file(path: Path) -> Iterator[tuple[int, Event | Damage]]:
    """The lines of one file with their numbers; one line in memory at a time."""
    with path.open("rb") as lines:
        yield from _read_lines(lines)


def _read_lines(lines: BinaryIO) -> Iterator[tuple[int, Event | Damage]]:
    number = 0
    while line := lines.readline(LINE_BYTES_MAX + 1):
        number += 1
        if not line.endswith(b"\n"):
            rest = lines.readline(LINE_BYTES_MAX) if len(line) > LINE_BYTES_MAX else b""
            if rest:  # a line too long: skip it in pieces
                while rest and not rest.endswith(b"\n"):
                    rest = lines.readline(LINE_BYTES_MAX)
                yield number, Damage(f"a line of more than {LINE_BYTES_MAX} bytes", torn=False)
            else:
                yield number, Damage("the last line has no newline", torn=True)
            continue
        try:
            event = decode_event(line)
        except FormatError as error:
            yield number, Damage(str(error), torn=False)
        else:
            yield number, event


def merge(paths: list[Path]) -> Iterator[tuple[int, int, Event | Damage]]:
    """(index of the file, line, event) of all files by the clock; within a file, in the file's order.

    A file is opened when the merge comes to its first line and closed after its last, so that a run of
    many restarted processes needs few descriptors at a time.
    """
    heap: list[tuple[int, int, int, Event | Damage, Iterator[tuple[int, Event | Damage]] | None]] = []
    for index, path in enumerate(paths):
        first = next(read_file(path), None)
        if first is not None:
            heap.append((_clock(first[1], 0), index, 0, first[1], None))
    heapq.heapify(heap)
    while heap:
        at, index, line, event, lines = heap[0]
        if lines is None:
            lines = read_file(paths[index])
        else:
            yield index, line, event
        following = next(lines, None)
        if following is None:
            heapq.heappop(heap)
        else:
            line, event = following
            heapq.heapreplace(heap, (max(at, _clock(event, at)), index, line, event, lines))


def _clock(event: Event | Damage, before: int) -> int:
    return event.at_ns if isinstance(event, Event) else before
