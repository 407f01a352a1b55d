"""The history as a service writes it: what is about to be done is refused if the disk doesn't take it, what has
happened waits for a disk that does.

This module must never know what a reload is.
"""

from typing import Any, Final

import structlog
import trio

from admin.reload.errors import HistoryNotWritten
from admin.reload.history import History

log = structlog.get_logger()

LOG_EVERY: Final = 600
"""Of the failures to write, which come once a second while a disk is full, so many are one line of the log."""


class Recorder:
    """Of one history, which is open. `failed` counts writes."""

    def __init__(self, history: History) -> None:
        self.failed = 0
        self._history = history

    async def begin(self, entry: dict[str, Any]) -> int:
        """Before anything is touched. Returns the entry's id.

        Raises:
            HistoryNotWritten
        """
        try:
            return await trio.to_thread.run_sync(self._history.begin, entry)
        except OSError as error:
            self._not_written(error)
            raise HistoryNotWritten(str(error.strerror)) from None

    async def go_on(self, number: int, **changes: Any) -> None:
        """What has happened: if the disk doesn't take it, it is written by a later `flush`."""
        self.note(number, **changes)
        await self.flush()

    def note(self, number: int, **changes: Any) -> None:
        """The same, written by the next `flush`."""
        self._history.go_on(number, **changes)

    async def flush(self) -> None:
        """Try to write what waits, if anything does."""
        if self._history.waiting:
            try:
                await trio.to_thread.run_sync(self._history.flush)
            except OSError as error:
                self._not_written(error)

    def _not_written(self, error: OSError) -> None:
        if not self.failed % LOG_EVERY:
            log.error(
                "the history of reloads can't be written",
                cause=error.strerror,
                outcomes_waiting=self._history.waiting,
            )
        self.failed += 1
