"""A thread that looks at something again and again while a run goes on. What at is for who derives from it to say."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self


class Looking:
    """Context manager. Derive and implement `look`, which is called each `step_s` seconds."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic() + self._step_s
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            self.look(due)
            due = time.monotonic() + self._step_s

    def look(self, due: float) -> None:
        """Once. due: when it was to be, by the monotonic clock."""
        raise NotImplementedError
