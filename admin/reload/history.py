"""Every reload of a node, on disk: who, when, what, and what came of it. One JSON object to a line.

A line is written before code is touched and another when the outcome is known, so that an end in between shows. What
came of a reload is remembered at once and written when the disk takes it: it has happened, whatever a disk says.
This module must never know how a reload is done.
"""

import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ENTRIES_MAX: Final = 1_000
"""Older ones are forgotten when the node starts."""
LINE_BYTES_MAX: Final = 64 << 10
WAITING_MAX: Final = 256
"""Outcomes that wait for a disk; beyond, the oldest is not written (it is still remembered, and counted in `lost`)."""
CUT_OFF: Final = "the node ended meanwhile, and started again from the files on disk"
OPEN: Final = frozenset(("begun", "watched"))


class History:
    """Reads what is there. Calls that write (`open`, `begin`, `flush`) wait for the disk: for a thread."""

    def __init__(self, path: Path) -> None:
        self.lost = 0
        self._path = path
        self._writing = threading.Lock()
        self._waiting: deque[dict[str, Any]] = deque()
        self._flushing = False
        self._torn = False  # the last write may have left a piece of a line
        self._entries: dict[int, dict[str, Any]] = {}
        self._next = 1

    def open(self) -> list[dict[str, Any]]:
        """Read; entries that were never ended are ended now, and given back.

        Raises:
            OSError
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            for line in self._path.read_text("utf-8", errors="replace").splitlines():
                self._take(line)
        self._next = max(self._entries, default=0) + 1
        kept = list(self._entries.values())[-ENTRIES_MAX:]
        self._entries = {one["id"]: one for one in kept}
        cut_off = [one for one in kept if one.get("state") in OPEN]
        for one in cut_off:
            one.update(state="cut_off", cause=CUT_OFF)
        self._rewrite()
        return cut_off

    def _take(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:  # the end of the file, written when the machine lost power
            return
        if isinstance(entry, dict) and isinstance(entry.get("id"), int):
            self._entries.setdefault(entry["id"], {}).update(entry)

    def _rewrite(self) -> None:
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            file.writelines(_line(one) for one in self._entries.values())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)

    @property
    def waiting(self) -> int:
        """Outcomes that aren't on disk yet."""
        return len(self._waiting) + self._flushing

    def begin(self, entry: Mapping[str, Any]) -> int:
        """Returns the entry's id.

        Raises:
            OSError: it isn't on disk, and isn't remembered.
        """
        number = self._next
        self._next += 1
        with self._writing:
            self._append({"id": number, **entry})
        self._entries[number] = {"id": number, **entry}
        if len(self._entries) > ENTRIES_MAX:
            del self._entries[next(iter(self._entries))]
        return number

    def go_on(self, number: int, **changes: Any) -> None:
        """What came of it: remembered from now on, and written by `flush`."""
        self._entries.setdefault(number, {"id": number}).update(changes)
        if len(self._waiting) >= WAITING_MAX:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append({"id": number, **changes})

    def flush(self) -> None:
        """Write what waits.

        Raises:
            OSError: some of it still waits.
        """
        with self._writing:
            while self._waiting:
                self._flushing = True  # on its way to the disk is not on it
                entry = self._waiting.popleft()
                try:
                    self._append(entry)
                except OSError:
                    self._waiting.appendleft(entry)
                    raise
                finally:
                    self._flushing = False

    def _append(self, entry: Mapping[str, Any]) -> None:
        start, self._torn = "\n" if self._torn else "", True
        with self._path.open("a", encoding="utf-8") as file:
            file.write(start + _line(entry))
            file.flush()
            os.fsync(file.fileno())
        self._torn = False

    def entries(self) -> list[dict[str, Any]]:
        """The oldest first."""
        return [dict(one) for one in self._entries.values()]


def _line(entry: Mapping[str, Any]) -> str:
    line = json.dumps(entry, ensure_ascii=True)
    if len(line) > LINE_BYTES_MAX:
        short = {name: value for name, value in entry.items() if name != "modules"}
        line = json.dumps({**short, "modules": f"{len(entry.get('modules', ()))} of them"}, ensure_ascii=True)
    return line + "\n"
