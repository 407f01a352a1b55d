"""Long alterations, in steps: each does some rows, commits by itself on the committer's thread, and lets others'
commits go between. This module has what all of them share; `clearing`, `building` and `moving` are those there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from store import keys
from store.catalog import Catalog, encode
from store.groupstate import GroupState
from store.rows import Pairs, ReadRows

STEP_BYTES: Final = 4 * 1024 * 1024
"""Bytes of keys and records after which a step ends, even if it did fewer rows."""

CHUNK: Final = 50
"""Rows read at a time, so that a step of large records ends soon after its limit."""


@attrs.frozen(slots=True)
class Progress:
    """How far an alteration is.

    Args:
        what: in words, for people.
        done, total: rows; the total is what there was at the beginning.
        stalled: why it doesn't go on for the time being, or None. It tries again after each commit of the group.
    """

    what: str
    done: int
    total: int
    stalled: BaseException | None = None


class Steps:
    """One long alteration. `awaited`: whoever asked for it waits until it is complete. `error`: why it ended early."""

    __slots__ = ("awaited", "done", "error", "total", "what")

    def __init__(self, what: str, total: int = 0, *, awaited: bool = False) -> None:
        self.what = what
        self.done = 0
        self.total = total
        self.awaited = awaited
        self.error: BaseException | None = None

    def step(self, state: GroupState) -> Sequence[Steps] | None:
        """Do some rows. None if there are more; else it is complete, and these come after it."""
        raise NotImplementedError

    def give_up(self, state: GroupState) -> Sequence[Steps]:
        """A step failed for good: undo it all. Gives what comes after it."""
        raise NotImplementedError


def some(rows: ReadRows, low: bytes, limit: int, high: bytes = keys.END) -> tuple[Pairs, bytes | None]:
    """The next rows from `low` on that make up a step, and where to go on; None at the end (or at `high`)."""
    found: Pairs = []
    size = 0
    while len(found) < limit and size < STEP_BYTES:
        wanted = min(CHUNK, limit - len(found))
        chunk = rows.scan(low, high, wanted)
        found += chunk
        if len(chunk) < wanted:
            return found, None
        size += sum(len(key) + len(record) for key, record in chunk)
        low = chunk[-1][0] + keys.SEPARATOR
    return found, low


class Write:
    """A context manager: a write transaction of the committer's thread, committed at the end unless something raised.

    With `catalog` set meanwhile, that is written, and is the group's once it is durable.
    """

    __slots__ = ("_state", "catalog", "transaction")

    def __init__(self, state: GroupState) -> None:
        self._state = state
        self.catalog: Catalog | None = None
        self.transaction: Any = None

    def __enter__(self) -> Write:
        self.transaction = self._state.environment.begin(write=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        state, transaction = self._state, self.transaction
        if error is not None:
            transaction.abort()
            return
        if self.catalog is not None:
            try:
                for key, value in encode(self.catalog).items():
                    transaction.put(key, value, db=state.places.meta)
            except BaseException:
                transaction.abort()
                raise
        state.environment.commit(transaction)
        if self.catalog is not None:
            state.catalog = self.catalog

    def database(self, place: str) -> Any:
        """A map of the catalog, made if it isn't there."""
        return self._state.environment.database(place.encode(), transaction=self.transaction)
