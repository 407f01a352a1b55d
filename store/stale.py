"""Entries of `changes` whose record was overwritten or deleted since, until they are taken away.

The old entry of a record lies anywhere in `changes`. Taking it away at once would dirty a page there for nearly every
row of a commit, as costly as the page of the record itself. So commits note such entries in a log (`stale`: number →
CBOR list of entries, each the place of an entry and what it says), in the same transaction, and take older ones away in
the order in which `changes` has them, page by page. There are never more than an eighth of what is live, and some.

Whoever reads `changes` passes over entries whose record says that it is listed elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import cbor2

from store.environment import Environment
from store.limits import STALE_MAX, STALE_MIN, STALE_PER_LIVE
from store.record import SEQUENCE

STALE: Final = b"stale"
PLACE: Final = 10
"""Bytes of the place of an entry: bucket and sequence."""

STEP: Final = 256
"""Entries that are taken away between two looks at the clock."""

_LOG_ROW_BYTES: Final = 1_800
"""About so much is in a row of the log: several fit into a page of LMDB's. Larger ones would lie in pages of their own,
side by side, for which it has to search among the free ones."""

_LOG_ROWS: Final = 8
"""Rows of the log that a commit deletes, besides twice as many as it writes."""


class Stale:
    """What is stale on disc, as the committer knows it. `noted` says what was written; only `done` believes it."""

    __slots__ = ("_expired", "_leaving", "_number", "_upto", "_waiting", "kept", "log")

    def __init__(self) -> None:
        self.log: Any = None
        self.kept = 0
        """Entries that weren't what a record said of them, and were left. `verify` finds them."""
        self._waiting: list[bytes] = []
        self._leaving: list[bytes] = []  # in falling order
        self._number = 0
        self._upto = 0  # rows of the log up to here are about what leaves
        self._expired = 0  # rows up to here are about nothing any more

    def __len__(self) -> int:
        return len(self._waiting) + len(self._leaving)

    def load(self, environment: Environment) -> None:
        """Read the log, when the group is opened."""
        self.log = environment.database(STALE)
        if self.log is None:
            return
        transaction = environment.begin()
        try:
            for number, entries in read_log(transaction, self.log):
                self._number = number
                self._waiting += entries
        finally:
            transaction.abort()

    def note(
        self, transaction: Any, changes: Any, fresh: list[bytes], step: Callable[[], None] | None = None
    ) -> int:
        """In a commit's transaction: note its stale entries, and take older ones away, twice as many.

        Gives what `done` is told. Calls `step` after each `STEP` entries.
        """
        cursor = transaction.cursor(changes)
        for at, entry in enumerate(reversed(self._leaving[-2 * len(fresh) :])):
            if step is not None and at % STEP == 0:
                step()
            found = cursor.pop(entry[:PLACE])
            if found is not None and found != entry[PLACE:]:
                cursor.put(entry[:PLACE], found)
                self.kept += 1
        each = max(1, _LOG_ROW_BYTES // (len(fresh[0]) + 3))
        rows = [cbor2.dumps(fresh[at : at + each]) for at in range(0, len(fresh), each)]
        log = transaction.cursor(self.log)
        if self._expired:
            for _ in range(2 * len(rows) + _LOG_ROWS):
                if not log.first() or SEQUENCE.unpack(log.key())[0] > self._expired:
                    break
                log.delete()
        log.putmulti([(SEQUENCE.pack(number), row) for number, row in enumerate(rows, self._number + 1)])
        return self._number + len(rows)

    def done(self, fresh: list[bytes], number: int, listed: int) -> None:
        """The transaction is durable. `number` is what `note` gave, `listed` how many entries `changes` has in all."""
        self._number = number
        self._waiting += fresh
        if self._leaving:
            del self._leaving[-2 * len(fresh) :]
            if not self._leaving:
                self._expired = self._upto
        if not self._leaving and len(self._waiting) >= min(
            max(listed // STALE_PER_LIVE, STALE_MIN), STALE_MAX
        ):
            self._leaving = sorted(self._waiting, reverse=True)
            self._waiting = []
            self._upto = self._number


def read_log(transaction: Any, log: Any) -> Iterator[tuple[int, list[bytes]]]:
    """The rows of the log: (number, entries)."""
    for number, entries in transaction.cursor(log):
        yield SEQUENCE.unpack(number)[0], cbor2.loads(entries)
