"""Reads that may wait for the disk: one thread, a bounded queue, results on the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from store.results import Result, Results
from store.snapshot import Snapshot

Task = tuple[Callable[[], Snapshot], Callable[[Snapshot], Any], Callable[[Result], None]]


class ReaderThread:
    """Runs read functions one after another. Started with its first read."""

    __slots__ = ("_queue", "_results", "_thread")

    def __init__(self, results: Results) -> None:
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._results = results
        self._thread: threading.Thread | None = None

    def put(self, task: Task) -> None:
        """Queue a read."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cold reads", daemon=True)
            self._thread.start()
        self._queue.put(task)

    def stop(self) -> None:
        """Do what is queued, then end. Blocks until then."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while self.step():
            pass

    def step(self) -> bool:
        """One read. False when told to stop."""
        task = self._queue.get()
        if task is None:
            return False
        snapshot, fn, done = task
        self._results.add([(done, perform(snapshot, fn))])
        return True


def perform(snapshot: Callable[[], Snapshot], fn: Callable[[Snapshot], Any]) -> Result:
    """Run a read function on a snapshot of its own."""
    try:
        with snapshot() as reader:
            return Result(value=fn(reader))
    except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
        return Result(error)
