"""What a process writes its history with: a line is handed to the kernel before the call returns.

So `kill -9` of the process loses nothing that it said (power loss of the machine does, and may: the process
that writes a history is part of the test, not of what is tested). It must never see a message's body.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ops.history.format import VERSION, Event, encode_event


class HistoryWriter:
    """One process's history in one file; a restarted process takes another file and another name.

    Args:
        path: the file, which must not exist.
        process: the name of this process, unique in the run, as `alice.2`.
        clock: nanoseconds of a clock that all processes of the run share, as CLOCK_MONOTONIC on one machine.

    Raises:
        FileExistsError: somebody's history is there already.
    """

    def __init__(self, path: Path, process: str, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._order = 0
        self.process = process
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.write("history", version=VERSION)

    def write(self, event: str, **fields: Any) -> None:
        """Append one event; the fields are those of `Event`, by their Python names."""
        self._order += 1
        line = encode_event(Event(self.process, self._order, self._clock(), event, **fields))
        written = os.write(self._fd, line)
        if written != len(line):
            raise OSError(f"history cut short: {written} of {len(line)} bytes; is the disk full?")

    def close(self) -> None:
        os.close(self._fd)
