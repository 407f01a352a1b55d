"""Where commits find pages for what they change: side by side, as far as a group has room to spare for it.

LMDB never overwrites a page that is in use: a changed page is written to a free one. It frees a set of pages with each
commit and takes them up again set by set, the oldest first. After a while of small commits each of these sets is
strewn over the whole file, and so is what each commit writes. Then 500 pages are 500 requests to the disk, and cost
several times as much as side by side.

So a group that may keep some of its file free (`spare_bytes`) works in *sweeps*. While a read transaction of ours
is open, what commits free isn't taken up; they use what was free when it began, in the order of the file. When that is
used up, it is closed, and all that was freed meanwhile is put together and sorted: LMDB does that when it looks for
room for one long value (`spacing` in `meta`). That value is freed shortly before the end of each sweep, and is put back
in the same place, which is found last, when all other sets have been read.

Nothing here matters to what is stored: it is put, deleted and read by LMDB's ordinary means. It must never fail a
commit that would succeed without it: see `release`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from store.environment import Environment
from store.errors import StoreError
from store.limits import PAGE_BYTES

KEY: Final = b"spacing"
RUN_PAGES: Final = 128
"""Pages of the long value. A shorter run would be found before all sets are read; a longer one costs more to write."""

USED_MIN: Final = 4 << 20
"""A group that uses less than so many bytes is left alone."""

SPARE_PER_USED: Final = 2
"""No more is kept free than so many times what is used: free pages lie in runs of three then."""

MAP_PARTS: Final = 4
"""The file is made longer only while it is shorter than a map's size over this."""

COMMIT_ROWS: Final = 16
"""What a commit writes besides its rows (meta, branches, what is free), counted as so many rows."""

SWEEP_COMMITS: Final = 1_000
"""A sweep ends after so many commits at the latest. The sets of them all are put together in one: some 20 ms."""

ENDING: Final = 0.9
"""The part of a sweep after which the long value is freed."""

PAUSE_COMMITS: Final = 1_000
"""For so many commits it is left alone after a commit failed."""

_FREE: Final = "free"
_GATHER: Final = "gather"


class Spacing:
    """Sweeps over the free pages of one group. For the committer's thread, or when that has ended.

    Args:
        used: gives the bytes that the group uses, about.
        limit: bytes of the file that may be kept free.
    """

    __slots__ = (
        "_commits",
        "_ending",
        "_environment",
        "_file",
        "_freed_at",
        "_limit",
        "_map",
        "_meta",
        "_pause",
        "_pool",
        "_reader",
        "_rows_per_page",
        "_spent",
        "_step",
        "_used",
        "sweeps",
    )

    def __init__(
        self, environment: Environment, meta: Any, used: Callable[[], int], limit: int, map_bytes: int
    ) -> None:
        self._environment = environment
        self._meta = meta
        self._used = used
        self._limit = limit
        self._map = map_bytes
        self._reader: Any = None
        self._step = ""  # what the next transaction does
        self._file = environment.file_bytes()
        self._pause = 0
        self.sweeps = 0
        self._pool = 0  # free pages when the sweep began; 0: nobody knows
        self._rows_per_page = 0.0  # learned from a sweep that made the file longer; 0.0: nothing yet
        self._begin_sweep()

    def _begin_sweep(self) -> None:
        self._spent = 0
        self._commits = 0
        self._freed_at = 0
        self._ending = False

    @property
    def is_holding(self) -> bool:
        """Whether free pages are held back."""
        return self._reader is not None

    def begun(self, transaction: Any) -> bool:
        """A write transaction has begun. False: this failed here, and it must begin anew; whoever writes isn't told."""
        try:
            if self._step == _FREE:
                transaction.delete(KEY, db=self._meta)
            elif self._step == _GATHER:
                transaction.put(KEY, bytes(RUN_PAGES * PAGE_BYTES - 64), db=self._meta)
        except Exception:  # noqa: BLE001 - no room, as a rule; anything else what is written meets, too
            self.release()
            return False
        return True

    def committed(self, rows: int) -> None:
        """It has been committed, with so many rows."""
        if self._pause:
            self._pause -= 1
            return
        used = self._used()
        if used < USED_MIN:
            self._let_go()
            self._step = ""  # or each commit would do it again
            return
        file = self._environment.file_bytes()
        grown, self._file = file - self._file, file
        spare = file - used
        room = spare < min(self._limit, SPARE_PER_USED * used) and file < self._map // MAP_PARTS
        step, self._step = self._step, ""
        if step == _GATHER:
            self.sweeps += 1
            self._pool = max(0, spare) // PAGE_BYTES
            self._begin_sweep()
            self._hold()
            return
        self._commits += 1
        self._spent += rows + COMMIT_ROWS
        if step == _FREE:
            self._freed_at = self._commits
        elif self._commits == 1 and not self.is_holding:
            self._hold()  # the first sweep
        self._look(grown, room=room)

    def _look(self, grown: int, *, room: bool) -> None:
        """What comes next."""
        done = self._done()
        if self.is_holding and grown > 0:
            if self._pool:
                self._rows_per_page = self._spent / self._pool
            done = 1.0
        if done >= 1:
            self._ending = True
        if self._ending or (done >= ENDING and not room):
            self._let_go()  # else the last ones would make the file longer
        if not self._freed_at:
            if self._ending or done >= ENDING:
                self._step = _FREE
        elif self._ending and self._commits > self._freed_at:
            self._step = _GATHER  # what a commit freed can be taken up by the second one after it

    def _done(self) -> float:
        """The part of the sweep that is behind us, as far as can be told."""
        pages = self._rows_per_page * self._pool
        return max(self._commits / SWEEP_COMMITS, self._spent / pages if pages else 0.0)

    def release(self) -> bool:
        """A commit failed: hold nothing back for a while. Gives whether something was, so that it may succeed now."""
        held = self.is_holding or bool(self._step)
        self._let_go()
        self._step = ""
        self._pause = PAUSE_COMMITS
        self._begin_sweep()
        return held

    def _hold(self) -> None:
        self._let_go()
        try:
            self._reader = self._environment.begin()
        except StoreError:  # no reader free
            self.release()

    def _let_go(self) -> None:
        if self._reader is not None:
            self._reader.abort()
            self._reader = None
